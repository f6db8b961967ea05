"""Compiles the kernels to PTX with NVRTC, and tabulates what they take of each device.

``ptx.py TOOLS`` writes cuda/assignment_70.ptx, cuda/assignment_80.ptx and cuda/resources.md; ``ptx.py TOOLS --check`` fails
where the two files of PTX are not what the source gives. It does not compare the table in resources.md: ptxas takes a minute and
a half for that. ``ptx.py TOOLS --line-info FOLDER OUTPUT`` compiles the kernels in FOLDER, a copy of cuda/, for the newest devices,
with line numbers, which change no instruction. TOOLS is where the wheels of NVRTC and of ptxas have been installed (see
make/cuda.mk). Neither needs a GPU or a CUDA toolkit.
"""

import argparse
import ctypes
import pathlib
import re
import stat
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
# The oldest device that each is for. From 8.0 on warps reduce integers in one instruction.
ARCHITECTURES = (70, 80)
OPTIONS = ("--std=c++17", "--fmad=false")

# Compute capability: registers, threads and blocks of a multiprocessor.
DEVICES = {
    70: (65536, 2048, 32),
    75: (65536, 1024, 16),
    80: (65536, 2048, 32),
    86: (65536, 1536, 16),
    89: (65536, 1536, 24),
    90: (65536, 2048, 32),
    100: (65536, 2048, 32),
    120: (65536, 1536, 24),
}
# Threads of a block for which occupancy is computed, as planned for a side of 300 or, of a warp, 100.
THREADS = {"search_by_warp": 32, "search_by_block": 160, "prove": 256}


class Nvrtc:
    """The compiler in a shared library."""

    def __init__(self, tools: pathlib.Path):
        (library,) = tools.glob("nvidia/cuda_nvrtc/lib/libnvrtc.so.*")
        # NVRTC finds this one by its name alone, so it has to be loaded before.
        for builtins in tools.glob("nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.*"):
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        self._library = ctypes.CDLL(str(library))

    def compile(self, architecture: int, folder: pathlib.Path = FOLDER, more_options: tuple[str, ...] = ()) -> str:
        source = folder / "assignment.cu"
        headers = sorted(folder.glob("*.h"))
        contents = (ctypes.c_char_p * len(headers))(*[header.read_bytes() for header in headers])
        names = (ctypes.c_char_p * len(headers))(*[header.name.encode() for header in headers])
        program = ctypes.c_void_p()
        self._expect_success(
            self._library.nvrtcCreateProgram(
                ctypes.byref(program), source.read_bytes(), source.name.encode(), len(headers), contents, names
            )
        )
        options = [f"--gpu-architecture=compute_{architecture}", *OPTIONS, *more_options]
        c_options = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        code = self._library.nvrtcCompileProgram(program, len(options), c_options)
        log = self._text(program, "ProgramLog")
        if log.strip():
            print(log, file=sys.stderr)
        self._expect_success(code)
        return self._text(program, "PTX")

    def _text(self, program: ctypes.c_void_p, kind: str) -> str:
        size = ctypes.c_size_t()
        self._expect_success(getattr(self._library, f"nvrtcGet{kind}Size")(program, ctypes.byref(size)))
        text = ctypes.create_string_buffer(size.value)
        self._expect_success(getattr(self._library, f"nvrtcGet{kind}")(program, text))
        return text.value.decode()

    @staticmethod
    def _expect_success(code: int) -> None:
        if code != 0:
            raise SystemExit(f"NVRTC returned {code}")


def path_of(architecture: int) -> pathlib.Path:
    return FOLDER / f"assignment_{architecture}.ptx"


def without_blank_lines(ptx: str) -> str:
    return "".join(line + "\n" for line in ptx.splitlines() if line.strip())


def resources(ptxas: pathlib.Path, ptx: pathlib.Path, device: int) -> dict[str, tuple[int, int, int]]:
    """Registers, bytes of static shared memory and bytes spilled, by kernel, with the functions that it calls."""
    ptxas.chmod(ptxas.stat().st_mode | stat.S_IXUSR)
    with tempfile.TemporaryDirectory() as folder:
        command = [ptxas, "-v", f"-arch=sm_{device}", ptx, "-o", pathlib.Path(folder) / "kernels.cubin"]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = {}
    for part in report.split("Compiling entry function '")[1:]:
        name = part.split("'")[0]
        spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", part)
        registers = re.search(r"Used (\d+) registers", part)
        shared = re.search(r"(\d+) bytes smem", part)
        found[name] = (
            int(registers[1]),
            int(shared[1]) if shared else 0,
            sum(map(int, spills)),
        )
    return found


def occupancy(device: int, registers: int, threads: int) -> float:
    """Threads of a multiprocessor that can be resident, of those that it has room for; shared memory apart."""
    all_registers, all_threads, all_blocks = DEVICES[device]
    per_warp = (registers * 32 + 255) // 256 * 256
    warps = threads // 32
    blocks = min(all_registers // per_warp // warps, all_threads // threads, all_blocks)
    return blocks * threads / all_threads


def tabulate(tools: pathlib.Path) -> str:
    ptxas = tools / "nvidia/cuda_nvcc/bin/ptxas"
    by_device = {}
    for device in DEVICES:
        architecture = max(known for known in ARCHITECTURES if known <= device)
        by_device[device] = resources(ptxas, path_of(architecture), device)
    lines = [
        "# What the kernels take",
        "",
        "Made by `make ptx` from the checked-in PTX: registers of a thread, and how many of a multiprocessor's threads they",
        "leave room for, by ptxas 12.9.86. A driver compiles the PTX again, with its own version. Occupancy is for 32, 160 and",
        "256 threads a block (searches by warp, by block, proofs); the shared memory that a launch asks for can lower it.",
        "",
        "| kernel | " + " | ".join(f"sm_{device}" for device in DEVICES) + " |",
        "|---|" + "---|" * len(DEVICES),
    ]
    spilled = dict.fromkeys(THREADS, 0)
    shared = 0
    for kernel in sorted(by_device[80]):
        prefix, threads = next(item for item in THREADS.items() if kernel.startswith(item[0]))
        cells = []
        for device in DEVICES:
            registers, static, spills = by_device[device][kernel]
            spilled[prefix] = max(spilled[prefix], spills)
            shared = max(shared, static)
            cells.append(f"{registers}, {occupancy(device, registers, threads):.0%}")
        lines.append(f"| {kernel} | " + " | ".join(cells) + " |")
    at_most = ", ".join(f"{spills} by {prefix}" for prefix, spills in spilled.items())
    lines += [
        "",
        f"Bytes spilled, at most: {at_most}.",
        "The parts of a proof that few problems come to spill, so that more of its threads have room.",
        f"Static shared memory: {shared} bytes; all of it is dynamic.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tools", type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="compare the PTX, but not resources.md, and write nothing")
    parser.add_argument("--line-info", nargs=2, type=pathlib.Path, metavar=("FOLDER", "OUTPUT"))
    arguments = parser.parse_args()
    compiler = Nvrtc(arguments.tools)
    if arguments.line_info:
        folder, output = arguments.line_info
        output.write_text(compiler.compile(max(ARCHITECTURES), folder, ("--generate-line-info",)))
        return
    for architecture in ARCHITECTURES:
        ptx = without_blank_lines(compiler.compile(architecture))
        path = path_of(architecture)
        if arguments.check:
            if not path.exists() or path.read_text() != ptx:
                raise SystemExit(f"{path.name} is not what assignment.cu gives: run make ptx")
        else:
            path.write_text(ptx)
    if arguments.check:
        names = " and ".join(path_of(architecture).name for architecture in ARCHITECTURES)
        print(f"test-ptx: {names} are what assignment.cu gives; resources.md was not compared, make ptx writes it")
    else:
        (FOLDER / "resources.md").write_text(tabulate(arguments.tools))


if __name__ == "__main__":
    main()
