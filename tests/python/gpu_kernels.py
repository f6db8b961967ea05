"""Which kernels TensorFlow has for GPUs, and which of their tensors lie in host memory: recorded from its CUDA build,
for machines without it.

`python gpu_kernels.py [OP ...]` in an environment with that build (`pip install tensorflow`; no GPU is needed) writes gpu_kernels.json anew,
with these ops beside those that it holds.
"""

import functools
import json
import pathlib
import sys

TABLE = pathlib.Path(__file__).with_suffix(".json")


def registered(op: str) -> list[dict]:
    """The kernels for a GPU of this process's TensorFlow, as the table has them; those for all devices come last."""
    import tensorflow as tf
    from tensorflow.python.framework import kernels

    found: dict[str, list[dict]] = {"GPU": [], "DEFAULT": []}
    for kernel in kernels.get_registered_kernels_for_op(op).kernel:
        if kernel.device_type in found:
            types = {
                constraint.name: [tf.as_dtype(number).name for number in constraint.allowed_values.list.type]
                for constraint in kernel.constraint
                if constraint.allowed_values.list.type
            }
            entry = {"types": types, "on_host": sorted(kernel.host_memory_arg)}
            found[kernel.device_type].append(entry)
    return in_short(found["GPU"] + found["DEFAULT"])


def in_short(kernels: list[dict]) -> list[dict]:
    """The same, with kernels merged that differ only in the types of one attribute."""
    kernels = [kernel for place, kernel in enumerate(kernels) if kernel not in kernels[:place]]
    for name in sorted({name for kernel in kernels for name in kernel["types"]}):
        shorter: list[dict] = []
        for kernel in kernels:
            alike = [
                other
                for other in shorter
                if other["on_host"] == kernel["on_host"]
                and {**other["types"], name: None} == {**kernel["types"], name: None}
                and name in kernel["types"]
            ]
            if alike:
                types = alike[0]["types"]
                types[name] = sorted({*types[name], *kernel["types"][name]})
            else:
                shorter.append(kernel)
        kernels = shorter
    return kernels


@functools.cache
def table() -> dict[str, list[dict]]:
    """The recorded kernels by the names of ops."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


def kernel_for(op: str, types: dict[str, str]) -> dict | None:
    """The kernel that a GPU runs an op with, by the types of its attributes; None where the op goes to the CPU."""
    assert op in table(), f"gpu_kernels.json has no {op}: see gpu_kernels.py"
    for kernel in table()[op]:
        if all(types.get(name) in allowed for name, allowed in kernel["types"].items()):
            return kernel
    return None


def main() -> None:
    """Writes the table anew."""
    import tensorflow as tf

    if not tf.test.is_built_with_cuda():
        raise SystemExit("this TensorFlow is not built with CUDA: pip install tensorflow")
    lines = [f"{json.dumps(op)}: {json.dumps(registered(op))}" for op in sorted({*table(), *sys.argv[1:]})]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
