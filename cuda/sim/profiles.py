"""Sums a profile (SIM_PROFILE) by function of the source.

The PTX must have line numbers. An instruction counts for the innermost function that it was inlined from, but helpers count for their
caller: functions of fewer than five lines, those that only loop, and those of team.h, number.h, platform.h and parameters.h. Cycles are
those of the first warp of each block, summed over blocks: what it waited before the instruction.
"""

import collections
import dataclasses
import pathlib
import re

HELPER_FILES = {"team.h", "number.h", "platform.h", "parameters.h"}
# Functions of fewer lines count for their caller, and those that only loop.
LINES = 5
LOOPS = re.compile("ForEach")


@dataclasses.dataclass
class Function:
    """A function of the source, by its lines."""

    name: str
    first: int
    last: int
    is_helper: bool


@dataclasses.dataclass
class Instruction:
    """What a line of the profile says."""

    count: int
    cycles: int
    by_reason: collections.Counter[str]
    function: str


def functions_of(path: pathlib.Path) -> list[Function]:
    """The device functions in a file, outer ones first."""
    lines = path.read_text(encoding="utf-8").split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        if not re.match(r"\s*__device__", line):
            continue
        # The name stands before the first parenthesis; the body goes from the first brace behind it to its counterpart.
        declaration = " ".join(lines[number - 1 : number + 2])
        name = re.search(r"(operator\S*|\w+)\s*\(", declaration)
        depth, last, has_begun = 0, number, False
        for last in range(number, len(lines) + 1):
            text = lines[last - 1]
            depth += text.count("{") - text.count("}")
            has_begun = has_begun or "{" in text
            if has_begun and depth <= 0:
                break
        name = name[1] if name else "?"
        is_helper = path.name in HELPER_FILES or last - number < LINES or bool(LOOPS.match(name))
        found.append(Function(name, number, last, is_helper))
    return found


class Source:
    """Finds functions by nvdisasm's words."""

    def __init__(self, folder: pathlib.Path):
        self._functions = {path.name: functions_of(path) for path in [*folder.glob("*.h"), *folder.glob("*.cu")]}

    def function_at(self, where: str) -> str:
        """`where`: '"a.h", line 3 inlined at "b.h", line 5 < "b.h", line 5', innermost first."""
        outermost = "(kernel)"
        for file, line in re.findall(r'"(?:[^"]*/)?([^/"]+)", line (\d+)', where):
            around = [f for f in self._functions.get(file, []) if f.first <= int(line) <= f.last]
            if around and not around[-1].is_helper:
                return around[-1].name
            if around:
                outermost = around[-1].name
        return outermost


def read(profile: str, source: Source) -> dict[str, list[Instruction]]:
    """Instructions by launch."""
    launches: dict[str, list[Instruction]] = {}
    for line in profile.splitlines():
        if line.startswith("#kernel "):
            instructions = launches.setdefault(line.removeprefix("#kernel "), [])
            continue
        if line.startswith("#reasons "):
            reasons = line.removeprefix("#reasons ").split(",")
            continue
        _, _, count, cycles, numbers, _, _, where = line.split("\t")
        by_reason = collections.Counter(dict(zip(reasons, map(int, numbers.split(",")), strict=True)))
        instructions.append(Instruction(int(count), int(cycles), by_reason, source.function_at(where)))
    return launches


def tabulate(profile: str, folder: pathlib.Path) -> None:
    """Prints functions by cycles, those of half a percent and more; `folder` has the source."""
    for launch, instructions in read(profile, Source(folder)).items():
        print(launch)
        total = sum(i.cycles for i in instructions)
        by_function = collections.defaultdict(list)
        for instruction in instructions:
            by_function[instruction.function].append(instruction)
        cycles = {name: sum(i.cycles for i in own) for name, own in by_function.items()}
        for name, own in sorted(by_function.items(), key=lambda item: -cycles[item[0]]):
            if cycles[name] * 200 < total:
                continue
            by_reason = sum((i.by_reason for i in own), collections.Counter())
            most = [(reason, n) for reason, n in by_reason.most_common(5) if n * 50 > cycles[name]]
            shown = ", ".join(f"{reason} {100 * n / cycles[name]:.0f}%" for reason, n in most)
            print(
                f"  {name:18}{cycles[name]:11} cycles {100 * cycles[name] / total:5.1f}%"
                f"{sum(i.count for i in own):10} instructions   {shown}"
            )
