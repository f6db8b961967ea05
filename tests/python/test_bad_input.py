"""Input that must do no harm: for each case a clean error or the right answer, the same however it is run.

The cases are in bad_input_cases.py and run in processes of their own; a process that dies is a verdict too.
"""

import functools
import json
import pathlib
import re
import signal

import numpy as np
import pytest

import bad_input_cases
import oracle
from bad_input_cases import ERRORS, Middle, Refused, Zeros
from hungarian_loss import Assignment

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import bad_input_cases
bad_input_cases.run(sys.argv[2], int(sys.argv[3]))
"""
# Without oneDNN: with it the allocator waits ten seconds before it refuses.
ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONFAULTHANDLER": "1"}
FOLDER = pathlib.Path(bad_input_cases.__file__).parent


@functools.cache
def verdicts(group):
    """{(case, mode): verdict} of a group. After a crash the rest runs in a new process."""
    found = {}
    while True:
        result = oracle.run_python(CODE, FOLDER, group, len(found), env=ENVIRONMENT)
        running = None
        for line in map(json.loads, result.stdout.splitlines()):
            if "case" in line:
                running = line["case"], line["mode"]
            elif "verdict" in line:
                found[running] = line["verdict"]
                running = None
            elif "end" in line:
                assert result.returncode == 0, result.stderr[-5000:]
                return found
        assert running is not None, f"exit status {result.returncode} before any call\n{result.stderr[-5000:]}"
        found[running] = {"crash": result.returncode, "message": result.stderr[-5000:]}


EVERY_CASE = [
    pytest.param(group, name, case, id=name)
    for group in ["shapes", "values", "solver"]
    for name, case in bad_input_cases.cases(group).items()
]


@pytest.mark.parametrize(("group", "name", "case"), EVERY_CASE)
def test_bad_input(group, name, case):
    found = verdicts(group)
    got = {mode: found[name, mode] for mode in case.modes}
    for mode, verdict in got.items():
        assert "crash" not in verdict, f"{mode}: exit status {verdict['crash']}\n{verdict['message']}"
    compiled = got.pop("jit", None)
    if compiled is not None:
        check_compiled(case, compiled)
    if isinstance(case.expected, Refused):
        for mode, verdict in got.items():
            check_refusal(case.expected, ERRORS[case.expected.by][mode], mode, verdict)
        return
    for mode, verdict in got.items():
        assert "error" not in verdict, f"{mode}: {verdict['error']}: {verdict['message'][-2000:]}"
    if case.target == "trace":
        assert got["trace"]["shapes"] == case.expected["shapes"]
        return
    check_answer(case, got["eager"]["outputs"])
    for mode, verdict in got.items():
        assert verdict == got["eager"], f"{mode} and eager differ"


def check_refusal(expected, error, mode, verdict):
    assert "error" in verdict, f"{mode}: not refused"
    what = f"{mode}: {verdict['error']}: {verdict['message'][-2000:]}"
    assert re.fullmatch(error, verdict["error"]), what
    assert re.search(expected.message, verdict["message"]), what


def check_compiled(case, verdict):
    """XLA may find a mistake while tracing or when run, and among equally good answers return another."""
    if isinstance(case.jit, Refused):
        check_refusal(case.jit, "|".join(ERRORS[case.jit.by].values()), "jit", verdict)
    else:
        assert "error" not in verdict, f"jit: {verdict['error']}: {verdict['message'][-2000:]}"
        check_answer(case, verdict["outputs"])


def check_answer(case, encoded):
    """Checks types, shapes, and what is known of this case; where numpy can hold the arrays, all that design.md
    promises."""
    for name, value in case.expected.items():
        values, shape = decode(encoded[0 if name == "mask" else Assignment._fields.index(name)])
        if isinstance(value, Middle):
            values, shape, value = values.reshape(3, -1)[1], shape[1:], value.value
        value = np.array(value)
        # Compared as numpy broadcasts, since numpy cannot have 254 dimensions.
        assert list(value.shape) == shape[len(shape) - value.ndim :], name
        np.testing.assert_array_equal(values, np.resize(value, values.size), name)
    if case.target == "assignment_mask":
        values, shape = decode(encoded[0])
        assert (shape, values.dtype) == ([*case.inputs["row_to_col"].shape, int(case.inputs["num_cols"])], bool)
        return
    cost = case.inputs["cost"]
    *batch, rows, cols = cost.shape
    shapes = [batch, [*batch, rows], [*batch, cols], [*batch, rows], [*batch, cols], batch]
    assert [shape for _, shape, _ in encoded[:6]] == shapes
    if isinstance(cost, Zeros):
        return
    answer = Assignment(*(values.reshape(shape) for values, shape in map(decode, encoded[:6])))
    limit = case.inputs.get("cost_limit", case.attributes.get("cost_limit", np.inf))
    real = oracle.real_type(cost.dtype)
    if isinstance(limit, float | int) and np.isfinite(float(limit)):
        # A limit beyond the range of its type counts as the largest finite one, not as "no limit".
        limit = min(max(limit, -float(np.finfo(real).max)), float(np.finfo(real).max))
    limit = real(limit)
    masks = {name: case.inputs.get(name, case.means.get(name)) for name in ["row_mask", "col_mask"]}
    oracle.check_batch(cost, answer, limit=limit, maximize=case.attributes.get("maximize", False), **masks)
    if case.target == "gradient":
        values, shape = decode(encoded[6])
        matched = answer.row_to_col[..., np.newaxis] == np.arange(cols)
        assert (values.dtype, shape) == (cost.dtype, list(cost.shape))
        np.testing.assert_array_equal(values.reshape(shape), matched)


def decode(output):
    """Values, flat, and shape."""
    dtype, shape, content = output
    return np.frombuffer(bytes.fromhex(content), dtype), shape


def test_a_crash_is_told_from_an_answer():
    found = verdicts("harness")
    crashes = {name: verdict["crash"] for (name, _), verdict in found.items() if "crash" in verdict}
    assert crashes == {"harness: aborts": -signal.SIGABRT}
    assert found["harness: answers again", "eager"] == {"outputs": []}
    assert len(found) == 3
