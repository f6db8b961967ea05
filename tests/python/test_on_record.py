"""The checks of counted instructions and of simulated cycles notice a difference."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import on_record


@pytest.fixture
def compared(tmp_path, capsys):
    """A function that compares counts with a record of two counts of 1000, and returns the exit status and what is
    printed."""
    record = tmp_path / "record.txt"
    on_record.write(record, "# A comment.\n", {"a": 1000, "b": 1000}, "things")

    def compare(**counts):
        with pytest.raises(SystemExit) as ended:
            on_record.compare(record, counts, "things", "pieces", "make more")
        return ended.value.code, capsys.readouterr().out

    return compare


def test_within_a_tenth(compared):
    status, said = compared(a=1090, b=910)
    assert status == 0 and "things: 2 of 2 within 10% of the record" in said


def test_too_many_and_far_fewer(compared):
    status, said = compared(a=1110, b=890)
    assert status == 1 and "things: 0 of 2 within" in said
    assert "too many: 1000 are on record" in said and "record the new ones with make more" in said


def test_other_cases(compared):
    status, _ = compared(a=1000)
    assert status == "things: record.txt has other cases; run `make more`"
