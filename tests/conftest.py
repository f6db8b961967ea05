"""What holds for every test that pytest runs."""

import collections
import gc
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parent))
import skips


def pytest_collection_finish() -> None:
    """What is imported by now lives to the end, TensorFlow first of all: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_terminal_summary(terminalreporter, config) -> None:
    """Shows what earlier steps of `make test` skipped, and notes what was skipped here, by file and reason. xdist's
    workers leave that to the process above them."""
    if hasattr(config, "workerinput"):
        return
    noted = skips.noted()
    if noted:
        terminalreporter.section(f"{len(noted)} skipped in earlier steps of make test")
        for line in noted:
            terminalreporter.write_line(line)
    reports = terminalreporter.getreports("skipped")
    reasons = collections.Counter((report.nodeid.split("::")[0], report.longrepr[2]) for report in reports)
    for (file, reason), count in reasons.items():
        skips.note(f"{file}: {count} skipped ({reason.removeprefix('Skipped: ')})")
