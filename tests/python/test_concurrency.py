"""Many threads at once, and few or many threads inside: always the answers of one thread, to the last bit."""

import concurrent.futures
import threading

import numpy as np
import tensorflow as tf

import oracle
from hungarian_loss import Assignment
from hungarian_loss._library import ops

SEED = 20240610
THREADS = 8
CALLS = 10_000


def problems(seed):
    """One call of each sort: (cost, row_mask, col_mask, cost_limit, maximize), good problems and bad ones mixed."""
    rng = np.random.default_rng(seed)
    calls = []
    shapes = [(3, 4), (2, 5, 5), (4, 6, 3), (2, 2, 3, 7), (1, 1), (0, 4), (3, 2, 0), (20, 25), (40, 8, 8)]
    for shape in shapes:
        for kind, dtype in [("uniform", "float32"), ("integer ties", "float64"), ("forbidden", "bfloat16")]:
            for maximize, limit, masked, bad in [
                (False, np.inf, False, False),
                (True, np.inf, True, False),
                (False, 0.7, True, False),
                (True, 0.7, False, True),
                (False, np.inf, True, True),
                (False, np.nan, False, False),
            ]:
                cost = oracle.generate(kind, rng, shape, oracle.DTYPES[dtype], maximize)
                if bad and cost.size:
                    # NaN somewhere, and a row without a partner.
                    cost.reshape(-1)[rng.integers(cost.size)] = np.nan
                    cost.reshape(-1, *shape[-2:])[-1, 0] = -np.inf if maximize else np.inf
                row_mask, col_mask = np.True_, np.True_
                if masked:
                    row_mask = rng.uniform(size=shape[:-1]) < 0.8
                    col_mask = rng.uniform(size=(*shape[:-2], shape[-1])) < 0.8
                limit = oracle.real_type(cost.dtype)(limit)
                calls.append((*map(tf.constant, (cost, row_mask, col_mask, limit)), maximize))
    return calls


def eager(*call):
    return ops.hungarian_assignment(*call[:4], maximize=call[4])


def content(outputs):
    """All six outputs, as types, shapes and bytes."""
    arrays = [output.numpy() for output in outputs]
    return [(array.dtype, array.shape, array.tobytes()) for array in arrays]


def test_calls_from_many_threads_equal_those_from_one():
    calls = problems(SEED)
    alone = [content(eager(*call)) for call in calls]
    statuses = np.concatenate([np.frombuffer(answer[5][2], np.int32) for answer in alone])
    assert set(statuses) == {0, 1, 2}
    graph = tf.function(eager)
    start = threading.Barrier(THREADS)

    def work(thread):
        """Each thread starts at another of the calls, and makes them eagerly and traced in turns."""
        order = np.random.default_rng([SEED, thread]).integers(len(calls), size=CALLS // THREADS)
        start.wait()
        wrong = []
        for place, index in enumerate(order):
            if content((graph if place % 2 else eager)(*calls[index])) != alone[index]:
                wrong.append((thread, place, int(index)))
        return wrong, len(order)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(work, range(THREADS)))
    wrong = [each for some, _ in results for each in some]
    assert wrong == [], f"(thread, place, call), traced where place is odd, seed {SEED}"
    assert sum(count for _, count in results) == CALLS


def test_one_traced_function_in_many_threads_of_one_batch_each():
    """One function, one shape, large enough for TensorFlow's own threads, other values in each thread."""
    rng = np.random.default_rng(SEED)
    run = tf.function(ops.hungarian_assignment)
    everything, no_limit = tf.constant(True), tf.constant(np.inf)
    costs = [tf.constant(oracle.generate("forbidden", rng, (256, 24, 24), np.float32)) for _ in range(THREADS)]
    alone = [content(ops.hungarian_assignment(cost, everything, everything, no_limit)) for cost in costs]
    assert len({repr(answer) for answer in alone}) == THREADS

    def work(thread):
        return [content(run(costs[thread], everything, everything, no_limit)) for _ in range(10)]

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for thread, answers in enumerate(pool.map(work, range(THREADS))):
            assert answers == [alone[thread]] * 10, f"thread {thread}, seed {SEED}"


def test_the_number_of_threads_inside_does_not_matter(tmp_path):
    """Batches that the pool cuts up, of good, infeasible and invalid problems, in fresh processes of 1 and 4 threads."""
    rng = np.random.default_rng(SEED)
    batches = {}
    for shape in [(1200, 20, 20), (2000, 9, 14), (160, 60, 50)]:
        for kind in ["integer ties", "forbidden", "offset"]:
            cost = oracle.generate(kind, rng, shape, np.float32)
            cost[1::7, 0, 0] = np.nan
            cost[2::7, :, 1 if shape[1] < shape[2] else slice(None)] = np.inf
            batches[f"{kind} {shape}"] = cost
    np.savez(tmp_path / "costs.npz", **batches)
    code = """
        import json, sys
        import numpy as np, tensorflow as tf
        folder, threads = sys.argv[1], int(sys.argv[2])
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        from hungarian_loss import linear_assignment
        answers = {}
        with np.load(folder + "/costs.npz") as costs:
            for name, cost in costs.items():
                for option, value in [("maximize", False), ("cost_limit", 0.6)]:
                    answer = linear_assignment(tf.constant(cost), **{option: value})
                    answers.update({f"{name}, {option}, {field}": each.numpy() for field, each in answer._asdict().items()})
        np.savez(f"{folder}/{threads}.npz", **answers)
        print(json.dumps(tf.config.threading.get_intra_op_parallelism_threads()))
    """
    answers = {}
    for threads in [1, 4]:
        assert oracle.run_json(code, tmp_path, threads) == threads
        with np.load(tmp_path / f"{threads}.npz") as answer:
            answers[threads] = dict(answer)
    assert len(answers[1]) == len(batches) * 2 * len(Assignment._fields) == len(answers[4])
    statuses = np.concatenate([values for name, values in answers[1].items() if name.endswith("maximize, status")])
    assert set(statuses) == {0, 1, 2}
    for name, one in answers[1].items():
        four = answers[4][name]
        assert (one.dtype, one.shape, one.tobytes()) == (four.dtype, four.shape, four.tobytes()), f"{name}, seed {SEED}"
