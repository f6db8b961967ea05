"""Are the kernels right where JAX launches them: on its stream, in its memory, and in programs that XLA records as CUDA graphs?

Usage: python jax_check.py [--only PART] [--stand-in] [--patience SECONDS]

Builds jax_shim.cc first, with the machine's C++ compiler, JAX's headers, and what lies beside this file (`make gpu-package`). Each
part is a process of its own, so that one that crashes or hangs says nothing of the others. Exits with 0 if all is right, 1 if not, and 77
where something is missing. --stand-in: on our stand-in for the driver, in host memory, where there is no GPU.
"""

import argparse
import collections
import ctypes
import functools
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
# Makes XLA record what it may, custom calls and loops too, in as little as one call. The first that this JAX understands is taken.
RECORD = (
    "--xla_gpu_enable_command_buffer=+CUSTOM_CALL,+WHILE,+CONDITIONAL --xla_gpu_graph_min_graph_size=1",
    "--xla_gpu_enable_command_buffer=FUSION,CUBLAS,CUDNN,CUSTOM_CALL,WHILE,CONDITIONAL --xla_gpu_graph_min_graph_size=1",
    "--xla_gpu_enable_command_buffer=FUSION,CUBLAS,CUDNN,CUSTOM_CALL",
)
# Has XLA say when it records and replays.
TELL = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "command_buffer_thunk=3,command_buffer_conversion_pass=3"}

# The target that the parts call, and the handlers of the shim that it may stand for.
TARGET = "hungarian_assignment"
# A target that always stands for the handler without traits, as the op has it.
LOADER = "hungarian_assignment_that_loads"
ON_GPU, RECORDED, ON_STAND_IN = "HungarianOnGpu", "HungarianRecorded", "HungarianOnStandIn"

Assignment = collections.namedtuple("Assignment", "total_cost row_to_col col_to_row row_duals col_duals status")


# ---- The shim ----


def build(library: pathlib.Path) -> None:
    """Compiles the shim, or ends the program with what is missing."""
    if importlib.util.find_spec("jax") is None:
        skip(f"{sys.executable} has no JAX")
    import jax

    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", "g++"), "c++", "clang++"))), None)
    if compiler is None:
        skip("there is no C++ compiler")
    if not hasattr(jax, "ffi"):
        skip(f"JAX {jax.__version__} has no jax.ffi")
    command = [
        compiler,
        "-std=c++17",
        "-O2",
        "-fPIC",
        "-shared",
        f"-I{HERE / 'include'}",
        "-isystem",
        jax.ffi.include_dir(),
    ]
    command += [str(HERE / "jax_shim.cc"), str(HERE / "libhungarian_loss.a"), "-o", str(library)]
    command += ["-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-Wl,-z,defs", "-lpthread", "-ldl", "-lm"]
    subprocess.run(command, check=True)


def skip(reason: str) -> None:
    """Ends the program."""
    print(f"SKIPPED, nothing was checked with JAX: {reason}", flush=True)
    sys.exit(SKIPPED)


def register(library: str, target: str, symbol: str) -> None:
    """Makes a handler of the shim known to JAX."""
    import jax

    handler = jax.ffi.pycapsule(getattr(ctypes.cdll.LoadLibrary(library), symbol))
    jax.ffi.register_ffi_target(target, handler, platform="cpu" if symbol == ON_STAND_IN else "CUDA")


def solve(cost, row_mask=True, col_mask=True, maximize=False, target=TARGET):
    """The op's outputs for a batch, as part of a JAX program."""
    import jax
    import jax.numpy as jnp

    problems, rows, cols = cost.shape
    real = jnp.float64 if cost.dtype == jnp.float64 else jnp.float32
    shapes = [((problems,), real), ((problems, rows), jnp.int32), ((problems, cols), jnp.int32)]
    shapes += [((problems, rows), real), ((problems, cols), real), ((problems,), jnp.int32)]
    call = jax.ffi.ffi_call(target, [jax.ShapeDtypeStruct(*shape) for shape in shapes])
    limit = jnp.asarray(jnp.inf, real)
    return Assignment(*call(cost, jnp.asarray(row_mask), jnp.asarray(col_mask), limit, maximize=maximize))


# ---- What answers are held to ----


def whole(seed, shape, dtype="float32", largest=200):
    """Costs that are whole numbers, so that every sum is exact; each type has those up to 200."""
    import jax.numpy as jnp
    import numpy as np

    return jnp.asarray(np.random.default_rng(seed).integers(0, largest + 1, shape), dtype)


def hold(cost, answer, maximize=False):
    """Holds a batch's answer to SciPy's total, and to the certificate that the duals are."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    cost = np.asarray(cost).astype(np.float64)
    answer = Assignment(*(np.asarray(part).astype(np.float64) for part in answer))
    assert (answer.status == 0).all(), f"status {answer.status}"
    sign = -1.0 if maximize else 1.0
    for index, problem in enumerate(cost):
        row_to_col = answer.row_to_col[index].astype(int)
        rows = np.flatnonzero(row_to_col >= 0)
        cols = row_to_col[rows]
        assert len(rows) == min(problem.shape) == len(set(cols)), f"problem {index}: no matching: {row_to_col}"
        assert (answer.col_to_row[index][cols] == rows).all(), f"problem {index}: the two directions differ"
        best = problem[linear_sum_assignment(problem, maximize=maximize)].sum()
        assert problem[rows, cols].sum() == best, f"problem {index}: {problem[rows, cols].sum()}, SciPy has {best}"
        assert abs(answer.total_cost[index] - best) <= 1e-6 * best, f"problem {index}: total {answer.total_cost[index]}"
        reduced = sign * (problem - answer.row_duals[index][:, None] - answer.col_duals[index][None])
        tolerance = 1e-4 * np.abs(problem).max()
        assert reduced.min() >= -tolerance, f"problem {index}: a reduced cost of {reduced.min()}"
        assert np.abs(reduced[rows, cols]).max() <= tolerance, f"problem {index}: a matched pair that is not tight"


def same(one, other):
    """Are two answers the same to the last bit?"""
    import numpy as np

    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(one, other, strict=True))


# ---- The parts ----


def answers(scale):
    """Types, shapes and masks; a batch of nothing."""
    import jax
    import numpy as np

    shapes = [
        (1, 1, 1),
        (3, 5, 8),
        (7, 16, 16),
        (4, 40, 12),
        (2, 100, 100),
        (2, 131, 140),
        (2 * scale, 60 * scale, 50 * scale),
    ]
    run = jax.jit(solve, static_argnames="maximize")
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        for seed, shape in enumerate(shapes):
            for maximize in (False, True) if scale > 1 else (seed % 2 == 1,):
                print(f"  {dtype} {shape}, maximize={maximize}", flush=True)
                cost = whole(seed, shape, dtype)
                hold(cost, run(cost, maximize=maximize), maximize)
        print(f"  {dtype}, masks and nothing at all", flush=True)
        cost = whole(9, (5, 20, 33), dtype)
        rows = np.random.default_rng(1).integers(0, 2, (5, 20)).astype(bool)
        masked = run(cost, row_mask=rows)
        for index in range(5):
            kept = np.flatnonzero(rows[index])
            assert (np.asarray(masked.row_to_col)[index][~rows[index]] == -1).all()
            part = Assignment(*(np.asarray(output)[index : index + 1] for output in masked))
            shown = np.full(33, -1)
            for place, row in enumerate(kept):
                shown[part.row_to_col[0][row]] = place
            part = part._replace(
                row_to_col=part.row_to_col[:, kept], row_duals=part.row_duals[:, kept], col_to_row=shown[None]
            )
            hold(np.asarray(cost)[index : index + 1, kept], part)
        assert run(whole(0, (0, 3, 4), dtype)).row_to_col.shape == (0, 3)


def program(seed_costs, rounds):
    """Costs that take a while to come, a call, and what uses its answer: all on one stream, and nothing waits in between."""
    import jax.numpy as jnp

    mixed = seed_costs
    for _ in range(rounds):
        mixed = jnp.abs(jnp.sin(mixed @ jnp.swapaxes(mixed, 1, 2)))
    cost = jnp.floor(200 * mixed)
    answer = solve(cost)
    picked = jnp.take_along_axis(cost, answer.row_to_col[:, :, None], axis=2)
    return cost, answer, jnp.sum(picked, axis=(1, 2))


def stream(scale):
    """Behind other work and before other work, many times without waiting."""
    import jax
    import numpy as np

    run = jax.jit(program, static_argnames="rounds")
    size = 70 * scale
    inputs = [np.random.default_rng(seed).random((3, size, size), np.float32) for seed in range(5)]
    ended = [run(values, rounds=10 * scale) for values in inputs]
    for turn, (cost, answer, picked) in enumerate(ended):
        print(f"  turn {turn}", flush=True)
        hold(cost, answer)
        assert (np.asarray(picked) == np.asarray(answer.total_cost)).all(), "what came behind did not see the answer"


def scratch(scale):
    """Calls that need workspace, of several sizes in turn, while their memory goes from one to the other."""
    import jax
    import jax.numpy as jnp

    run = jax.jit(solve)
    batches = [
        whole(1, (4, 90, 80), "float16"),
        whole(2, (2 * scale, 140, 131), "bfloat16"),
        whole(3, (3, 131, 140), "float64"),
        whole(4, (60, 20, 16), "float32"),
    ]
    first = [run(batch) for batch in batches]
    for batch, answer in zip(batches, first, strict=True):
        hold(batch, answer)
    later = []
    for turn in range(5 * scale):
        for batch in batches:
            # What gets the workspace's memory next is written to at once.
            other = jnp.full((1 + turn, 1 << 16), turn, jnp.float32) + 1
            later.append((batch, run(batch), other.sum()))
    for place, (_, answer, total) in enumerate(later):
        turn = place // len(batches)
        assert same(answer, first[place % len(batches)]), f"turn {turn}: another answer than at first"
        assert float(total) == (1 + turn) ** 2 * (1 << 16), f"turn {turn}: other work was disturbed"
    print(f"  {len(later)} calls, each the same as at first", flush=True)


def looped(cost, rounds):
    """A program with a loop and a branch, that XLA can record: each round changes the costs."""
    import jax
    import jax.numpy as jnp

    def body(index, state):
        cost, total = state
        answer = solve(cost)
        cost = jnp.where(answer.total_cost[:, None, None] > 0, jnp.flip(cost, axis=1) + 1, cost)
        return cost, total + jnp.sum(answer.total_cost) * (index + 1)

    return jax.lax.fori_loop(0, rounds, body, (cost, jnp.zeros((), cost.dtype)))


def recordable(scale):
    """The first call of a process is in a program that XLA may record. Then again and again, with other memory each time."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    def straight(cost):
        cost = jnp.flip(cost, axis=1) + 1
        answer = solve(cost)
        return cost, answer, jnp.sum(answer.row_duals, axis=1) + jnp.sum(answer.col_duals, axis=1)

    shape = (3, 70 * scale, 66 * scale)
    compiled = jax.jit(straight).lower(jax.ShapeDtypeStruct(shape, jnp.float16)).compile()
    print(f"  XLA's program names {compiled.as_text().count('command_buffer')} command buffers", flush=True)
    kept = []
    for turn in range(4 * scale):
        batch = whole(turn, shape, "float16", largest=150)
        cost, answer, dual = compiled(batch)
        hold(cost, answer)
        assert np.allclose(np.asarray(dual), np.asarray(answer.total_cost), rtol=1e-3), f"turn {turn}: the sum of duals"
        # Some memory stays taken, some is given back and written to: the next call gets other addresses.
        kept.append((batch if turn % 2 else None, jnp.full((3 + turn, 1 << 16), turn, jnp.float32)))
        (jnp.ones((1 << 20,)) * turn).block_until_ready()
    print(f"  straight on: {4 * scale} calls with other memory", flush=True)
    run = jax.jit(looped, static_argnames="rounds")
    for turn in range(3):
        batch = whole(turn, (2, 40, 33))
        _, total = run(batch, rounds=3)
        expected, cost = 0.0, batch
        for index in range(3):
            answer = jax.jit(solve)(cost)
            hold(cost, answer)
            expected += float(jnp.sum(answer.total_cost)) * (index + 1)
            cost = jnp.where(answer.total_cost[:, None, None] > 0, jnp.flip(cost, axis=1) + 1, cost)
        assert float(total) == expected, f"in a loop: {float(total)}, expected {expected}"
    print("  in a loop: as one by one", flush=True)
    for _ in range(2):
        assert jax.jit(lambda cost: solve(cost + 1))(whole(0, (0, 3, 4))).status.shape == (0,)
    print("  a batch of nothing", flush=True)


def recordable_later(scale):
    """The same where the kernels were loaded before, by a call that is not recorded."""
    import jax

    for dtype, shape in (("float16", (3, 70 * scale, 66 * scale)), ("float32", (2, 40, 33))):
        hold(cost := whole(0, shape, dtype), jax.jit(lambda cost: solve(cost, target=LOADER))(cost))
    recordable(scale)


# What a part runs, whether XLA is told to record, and the handler.
PARTS = {
    "answers": (answers, False, ON_GPU),
    "stream": (stream, False, ON_GPU),
    "scratch": (scratch, False, ON_GPU),
    "command buffers": (recordable, True, ON_GPU),
    # These show why the op has no traits: they may end with wrong answers, errors or a crash.
    "recorded": (recordable, True, RECORDED),
    "recorded, loaded before": (recordable_later, True, RECORDED),
}


def run_part(name: str, library: str, stand_in: bool) -> None:
    """Runs a part, in a process of its own."""
    import jax

    jax.config.update("jax_enable_x64", True)
    work, _, symbol = PARTS[name]
    device = jax.devices()[0]
    print(f"  on {device.device_kind}, JAX {jax.__version__}", flush=True)
    if device.platform != ("cpu" if stand_in else "gpu"):
        skip(f"JAX has no GPU here, but {device.platform}")
    register(library, TARGET, ON_STAND_IN if stand_in else symbol)
    if not stand_in:
        register(library, LOADER, ON_GPU)
    # A GPU is given more than host code can do in the time.
    work(scale=1 if stand_in else 3)


def main() -> int:
    """Runs all parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--stand-in", action="store_true", help="on the stand-in for the driver, in host memory")
    parser.add_argument(
        "--patience", type=float, default=100, metavar="SECONDS", help="for a part, on a GPU (%(default)s)"
    )
    parser.add_argument("--only", choices=PARTS, help="one of the parts")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--library", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        run_part(arguments.part, arguments.library, arguments.stand_in)
        return 0
    if arguments.stand_in:
        print("**** THIS IS NO GPU but the stand-in of our tests, in host memory: nothing is recorded ****", flush=True)
    right, wrong, skipped = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        library = pathlib.Path(folder) / "libhungarian_jax.so"
        try:
            build(library)
        except subprocess.CalledProcessError as error:
            print(f"FAILED: the shim cannot be built: {error}", flush=True)
            return 1
        for name, (_, records, symbol) in PARTS.items():
            if arguments.only not in (None, name):
                continue
            as_built = symbol == ON_GPU
            if arguments.stand_in and not as_built:
                print(f"SKIPPED: {name}: without a GPU nothing is recorded", flush=True)
                skipped.append(name)
                continue
            print(f"{name} ...", flush=True)
            flags = flags_to_record() if records else None
            if flags == "":
                skipped.append(f"{name}, recorded")
            status = run_in_process(name, library, flags, arguments)
            if status == SKIPPED:
                return SKIPPED
            if as_built:
                print(f"{name}: {'right' if status == 0 else f'WRONG, {status}'}", flush=True)
                (wrong if status else right).append(name)
            else:
                print(
                    f"{name}: INFORMATION, no verdict: with the trait that the op has not it ended with {status}",
                    flush=True,
                )
    if wrong:
        print(f"FAILED: {', '.join(wrong)}", flush=True)
        return 1
    if not right:
        skip("no part has a verdict here")
    print(f"with JAX all is right: {', '.join(right)}; {len(skipped)} skipped", flush=True)
    return 0


@functools.cache
def flags_to_record() -> str:
    """The first of RECORD that this JAX understands. It ends a process whose flags it does not understand."""
    for flags in RECORD:
        environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        probe = [sys.executable, "-c", "import jax; jax.numpy.zeros(1)"]
        if subprocess.run(probe, env=environment, capture_output=True, check=False).returncode == 0:
            return flags
    print("SKIPPED: this JAX understands no flags that make XLA record: it does what it does by itself", flush=True)
    return ""


def run_in_process(name, library, flags, arguments):
    """Runs a part in a process of its own. Returns its exit status, or says that it did not end. `flags`: for XLA."""
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if flags is not None:
        environment |= {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip(), **TELL}
    if arguments.stand_in:
        environment["JAX_PLATFORMS"] = "cpu"
    command = [sys.executable, str(pathlib.Path(__file__).resolve()), "--part", name, "--library", str(library)]
    command += ["--stand-in"] if arguments.stand_in else []
    # No limit for the stand-in: it runs on the processor, which others may keep busy.
    patience = None if arguments.stand_in else arguments.patience
    try:
        return subprocess.run(command, env=environment, timeout=patience, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"no end in {arguments.patience:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
