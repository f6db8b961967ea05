"""What holds for every test that pytest runs."""

import gc


def pytest_collection_finish() -> None:
    """What is imported by now lives to the end, TensorFlow first of all: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
