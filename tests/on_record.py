"""Compares counts, which no noise disturbs, with those on record.

A count that is more than a tenth above its record is a failure; so is one as far below, which the record should keep.
"""

import pathlib
import sys

SLACK = 0.1


def write(record: pathlib.Path, head: str, counts: dict[str, int], what: str) -> None:
    """Puts counts by case on record, below `head`, which consists of comments."""
    record.write_text(head + "".join(f"{case} {number}\n" for case, number in counts.items()), encoding="utf-8")
    print(f"{what}: {len(counts)} recorded")


def read(record: pathlib.Path) -> dict[str, int]:
    """Recorded counts by case."""
    lines = record.read_text(encoding="utf-8").splitlines()
    return {case: int(n) for case, n in (line.rsplit(maxsplit=1) for line in lines if not line.startswith("#"))}


def compare(record: pathlib.Path, counts: dict[str, int], what: str, unit: str, renew: str) -> None:
    """Prints each case and ends the program, with 1 if one is off. `renew` is the command that writes the record."""
    recorded = read(record)
    if recorded.keys() != counts.keys():
        sys.exit(f"{what}: {record.name} has other cases; run `{renew}`")
    wrong = 0
    for case, number in counts.items():
        change = number / recorded[case] - 1
        print(f"{case:>34}: {number:>9} {unit}, {change:+.1%}")
        if change > SLACK:
            print(
                f"  too many: {recorded[case]} are on record. If that is the price of something, say so in the commit"
            )
        elif change < -SLACK:
            print(f"  far fewer than the {recorded[case]} on record: record the new ones with {renew}")
        wrong += abs(change) > SLACK
    print(f"{what}: {len(counts) - wrong} of {len(counts)} within {SLACK:.0%} of the record, 0 skipped")
    sys.exit(min(wrong, 1))
