"""Says what is in a wheel: sizes, and the oldest system it runs on. Fails unless its libraries keep to themselves.

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
SYSTEM = {"libc.so.6", "libgcc_s.so.1", "libm.so.6", "libstdc++.so.6"}

# By the processor in the wheel's name: what its shared objects say that they are for, and its loader.
PROCESSORS = {"x86_64": ("EM_X86_64", "ld-linux-x86-64.so.2"), "aarch64": ("EM_AARCH64", "ld-linux-aarch64.so.1")}

# What a system of 2018 has, RHEL 8: glibc 2.28 and the libraries of GCC 8. More would be refused there, whatever the wheel's name says.
OLD_SYSTEM = {"GLIBC": (2, 28), "GLIBCXX": (3, 4, 25), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}
MOST_MEGABYTES = 32


def needs(library: ELFFile) -> set[str]:
    """The libraries that the loader looks for."""
    return {tag.needed for tag in library.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}


def exports(library: ELFFile) -> list[str]:
    """What other libraries could take from this one."""
    symbols = library.get_section_by_name(".dynsym").iter_symbols()
    return [symbol.name for symbol in symbols if symbol.name and symbol["st_shndx"] != "SHN_UNDEF"]


def floors(library: ELFFile) -> dict[str, tuple[int, ...]]:
    """The newest version that it asks for of each family of symbols, such as GLIBC."""
    asked = library.get_section_by_name(".gnu.version_r").iter_versions()
    found: dict[str, tuple[int, ...]] = {}
    for name in (version.name for _, versions in asked for version in versions):
        if match := re.fullmatch(r"([A-Z]+)_([\d.]+)", name):
            number = tuple(map(int, match[2].split(".")))
            found[match[1]] = max(number, found.get(match[1], ()))
    return found


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def main() -> None:
    """Reports on the wheel named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: report.py WHEEL")
    wheel = pathlib.Path(sys.argv[1])
    megabytes = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {megabytes:.2f} MB")
    tag = re.search(r"-py3-none-manylinux_(\d+)_(\d+)_(x86_64|aarch64)\.whl$", wheel.name)
    if tag is None:
        sys.exit("error: its name does not say which glibc and which processor it needs")
    named_glibc = int(tag[1]), int(tag[2])
    machine, loader = PROCESSORS[tag[3]]
    glibc, wrong = [], []
    if megabytes > MOST_MEGABYTES:
        wrong.append(f"it has {megabytes:.1f} MB, expected at most {MOST_MEGABYTES}")
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not re.search(r"\.so(\.|$)", name):
                continue
            content = archive.read(name)
            library = ELFFile(io.BytesIO(content))
            if library["e_machine"] != machine:
                wrong.append(f"{name} is for {library['e_machine']}, expected {machine}")
            asked = floors(library)
            glibc.append(asked["GLIBC"])
            said = ", ".join(f"{family} {dotted(version)}" for family, version in sorted(asked.items()))
            print(f"  {name}: {len(content) / 1e6:.2f} MB, asks for {said}")
            for family, version in asked.items():
                most = OLD_SYSTEM.get(family, ())
                if version > most:
                    wrong.append(f"{name} asks for {family}_{dotted(version)}, more than {dotted(most) or 'none'}")
            wrong += [f"{name} exports {symbol}" for symbol in exports(library)]
            wrong += [f"{name} needs {other}" for other in sorted(needs(library) - TENSORFLOW - SYSTEM - {loader})]
            wrong += [f"{name} does not need {other}" for other in sorted(TENSORFLOW - needs(library))]
    if not glibc:
        wrong.append("it holds no shared object")
    elif named_glibc < max(glibc):
        wrong.append(f"its name does not say that it needs glibc {dotted(max(glibc))}")
    if wrong:
        sys.exit("\n".join(f"error: {line}" for line in wrong))
    print(
        f"  glibc {dotted(max(glibc))} or newer in all; nothing exported; TensorFlow's libraries are left to TensorFlow"
    )


if __name__ == "__main__":
    main()
