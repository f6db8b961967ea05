"""The installed wheel beside a TensorFlow that it has no library for: one clear ImportError.

Usage: python -I refusal.py TENSORFLOW_VERSION VERSION_WITH_A_LIBRARY...
"""

import sys

import tensorflow as tf


def main() -> None:
    """Imports the package and looks at what it says."""
    if len(sys.argv) < 3:
        sys.exit("usage: refusal.py TENSORFLOW_VERSION VERSION_WITH_A_LIBRARY...")
    version, *known = sys.argv[1:]
    assert tf.__version__ == version, f"TensorFlow is {tf.__version__}, expected {version}"
    try:
        import hungarian_loss
    except ImportError as error:
        said = str(error)
        # Not an error of the loader, which would say the same of any library that does not fit.
        assert error.__cause__ is None and error.__context__ is None, repr(error.__cause__ or error.__context__)
    else:
        sys.exit(f"{hungarian_loss.__file__} was imported beside TensorFlow {version}")
    minors = [name.rpartition(".")[0] for name in known]
    assert f"built for TensorFlow {' and '.join(minors)} and this is TensorFlow {version}" in said, said
    assert "pip install --no-build-isolation" in said, said
    print("refused with one ImportError, which says how to build the op there")


if __name__ == "__main__":
    main()
