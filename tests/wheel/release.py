"""Checks that all that states the version states the same one, and prints checksums of what is to be published.

Usage: python release.py WHEEL SDIST
"""

import datetime
import email
import hashlib
import pathlib
import re
import sys
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Where each file states it.
PATTERNS = {
    "pyproject.toml": r'^version = "(.+)"$',
    "Cargo.toml": r'^version = "(.+)"$',
    "CITATION.cff": r"^version: (.+)$",
    "CHANGELOG.md": r"^## \[(.+?)\]",
}


def stated() -> dict[str, str]:
    """The version by each file of the repository."""
    found = {}
    for name, pattern in PATTERNS.items():
        match = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        found[name] = match[1] if match else "none"
    return found


def packaged(wheel: pathlib.Path, sdist: pathlib.Path) -> dict[str, str]:
    """The version by the metadata in each package."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        in_wheel = archive.read(name)
    with tarfile.open(sdist) as archive:
        [member] = [member for member in archive.getmembers() if re.fullmatch(r"[^/]+/PKG-INFO", member.name)]
        file = archive.extractfile(member)
        assert file is not None, f"{member.name} is no file"
        in_sdist = file.read()
    metadata = {wheel.name: in_wheel, sdist.name: in_sdist}
    return {name: str(email.message_from_bytes(content)["Version"]) for name, content in metadata.items()}


def release_date(version: str) -> str | None:
    """What CHANGELOG.md has behind the version, if it is a date."""
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    match = re.search(rf"^## \[{re.escape(version)}\] - (\d{{4}}-\d\d-\d\d)$", log, re.MULTILINE)
    return match[1] if match and datetime.date.fromisoformat(match[1]) else None


def main() -> None:
    """Checks what the command line names."""
    if len(sys.argv) != 3:
        sys.exit("usage: release.py WHEEL SDIST")
    packages = [pathlib.Path(argument) for argument in sys.argv[1:]]
    versions = stated() | packaged(*packages)
    for name, version in versions.items():
        print(f"{name}: {version}")
    if len(set(versions.values())) != 1:
        sys.exit("error: they do not agree on the version")
    version = versions["pyproject.toml"]
    if release_date(version) is None:
        sys.exit(f"error: CHANGELOG.md has no date behind {version}, expected `## [{version}] - YEAR-MONTH-DAY`")
    for package in packages:
        print(f"{hashlib.sha256(package.read_bytes()).hexdigest()}  {package.name}")


if __name__ == "__main__":
    main()
