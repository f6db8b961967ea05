"""Says what is in a wheel: sizes, and the oldest glibc it runs on. Fails unless its libraries keep to themselves.

Usage: python report.py WHEEL        (a Python that has pyelftools)
"""

import io
import pathlib
import re
import sys
import zipfile

from elftools.elf.elffile import ELFFile

# TensorFlow brings its own; every Linux that the tag names has the others.
TENSORFLOW = {"libtensorflow_framework.so.2", "libtensorflow_cc.so.2"}
SYSTEM = {"ld-linux-x86-64.so.2", "libc.so.6", "libgcc_s.so.1", "libm.so.6", "libstdc++.so.6"}


def needs(library: ELFFile) -> set[str]:
    """The libraries that the loader looks for."""
    return {tag.needed for tag in library.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}


def exports(library: ELFFile) -> list[str]:
    """What other libraries could take from this one."""
    symbols = library.get_section_by_name(".dynsym").iter_symbols()
    return [symbol.name for symbol in symbols if symbol.name and symbol["st_shndx"] != "SHN_UNDEF"]


def glibc_floor(library: ELFFile) -> tuple[int, ...]:
    """The newest version of glibc's symbols that it asks for."""
    asked = library.get_section_by_name(".gnu.version_r").iter_versions()
    names = [version.name for _, versions in asked for version in versions]
    numbers = [re.fullmatch(r"GLIBC_([\d.]+)", name) for name in names]
    return max(tuple(map(int, number[1].split("."))) for number in numbers if number)


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def main() -> None:
    """Reports on the wheel named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: report.py WHEEL")
    wheel = pathlib.Path(sys.argv[1])
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB")
    floors, wrong = [], []
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not re.search(r"\.so(\.|$)", name):
                continue
            content = archive.read(name)
            library = ELFFile(io.BytesIO(content))
            floors.append(glibc_floor(library))
            print(f"  {name}: {len(content) / 1e6:.2f} MB, glibc {dotted(floors[-1])} or newer")
            wrong += [f"{name} exports {symbol}" for symbol in exports(library)]
            wrong += [f"{name} needs {other}" for other in sorted(needs(library) - TENSORFLOW - SYSTEM)]
            wrong += [f"{name} does not need {other}" for other in sorted(TENSORFLOW - needs(library))]
    if not floors:
        wrong.append("it holds no shared object")
    else:
        tag = re.search(r"-py3-none-manylinux_(\d+)_(\d+)_x86_64\.whl$", wheel.name)
        if tag is None or tuple(map(int, tag.groups())) < max(floors):
            wrong.append(f"its name does not say that it needs glibc {dotted(max(floors))}")
    if wrong:
        sys.exit("\n".join(f"error: {line}" for line in wrong))
    print(
        f"  glibc {dotted(max(floors))} or newer in all; nothing exported; TensorFlow's libraries are left to TensorFlow"
    )


if __name__ == "__main__":
    main()
