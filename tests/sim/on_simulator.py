"""A program for test_simulator.py: ``on_simulator.py IMAGE THREADS WORDS`` runs the kernel `test` on one block, in a process of its own,
as the simulator ends the process where something is wrong.

The kernel is given the address of WORDS 32-bit words, word i of which is i. What is there afterwards is printed as JSON, with what the
driver says about the kernel.
"""

import ctypes
import json
import os
import pathlib
import sys

SUCCESS = 0
# CUjit_option
ERROR_LOG_BUFFER, ERROR_LOG_BUFFER_SIZE_BYTES = 5, 6
# CUfunction_attribute
ATTRIBUTES = {"max_threads": 0, "shared_bytes": 1, "local_bytes": 3, "registers": 4}


def load(driver: ctypes.CDLL, image: bytes) -> ctypes.c_void_p:
    """The module of PTX or a cubin; a refusal ends the program with the driver's log."""
    log = ctypes.create_string_buffer(4096)
    module = ctypes.c_void_p()
    options = (ctypes.c_int * 2)(ERROR_LOG_BUFFER, ERROR_LOG_BUFFER_SIZE_BYTES)
    values = (ctypes.c_void_p * 2)(ctypes.addressof(log), len(log))
    code = driver.cuModuleLoadDataEx(ctypes.byref(module), image, 2, options, values)
    if code != SUCCESS:
        sys.exit(f"cuModuleLoadDataEx returned {code}, and {values[1] or 0} bytes: {log.value.decode()}")
    return module


def main() -> None:
    image, threads, words = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    driver = ctypes.CDLL(os.environ["HUNGARIAN_SIM_DRIVER"])

    def call(name: str, *arguments: object) -> None:
        code = getattr(driver, name)(*arguments)
        if code != SUCCESS:
            sys.exit(f"{name} returned {code}")

    context, function, address = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint64()
    call("cuInit", 0)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
    call("cuCtxSetCurrent", context)
    module = load(driver, pathlib.Path(image).read_bytes())
    call("cuModuleGetFunction", ctypes.byref(function), module, b"test")
    memory = (ctypes.c_uint32 * words)(*range(words))
    size = ctypes.c_size_t(ctypes.sizeof(memory))
    call("cuMemAlloc_v2", ctypes.byref(address), size)
    call("cuMemcpyHtoD_v2", address, memory, size)
    arguments = (ctypes.c_void_p * 1)(ctypes.addressof(address))
    call("cuLaunchKernel", function, 1, 1, 1, threads, 1, 1, 0, None, arguments, None)
    call("cuMemcpyDtoH_v2", memory, address, size)
    said = {}
    for name, attribute in ATTRIBUTES.items():
        value = ctypes.c_int()
        call("cuFuncGetAttribute", ctypes.byref(value), attribute, function)
        said[name] = value.value
    blocks = ctypes.c_int()
    call("cuOccupancyMaxActiveBlocksPerMultiprocessor", ctypes.byref(blocks), function, threads, ctypes.c_size_t(0))
    print(json.dumps({"memory": list(memory), "blocks": blocks.value, **said}))


if __name__ == "__main__":
    main()
