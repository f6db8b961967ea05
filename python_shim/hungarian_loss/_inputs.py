"""Converts what users give to what the op takes: costs of its four types; masks, counts and limits that fit them."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from hungarian_loss._checks import require
from hungarian_loss._shapes import all_zero, range_int64
from hungarian_loss._types import Tensor, TensorLike

COST_TYPES = (tf.float16, tf.bfloat16, tf.float32, tf.float64)
# Not those of 4 bits: TensorFlow has no kernels for them, and XLA unpacks them wrongly.
WHOLE_TYPES = (tf.int8, tf.uint8, tf.int16, tf.uint16, tf.int32, tf.uint32, tf.int64, tf.uint64)

# Whole numbers up to these in magnitude are all exact.
_EXACT_IN_FLOAT32 = 2**24
_EXACT_IN_FLOAT64 = 2**53
_TOO_LARGE = "cost holds integers beyond 2^53 in magnitude, which float64 cannot hold exactly: got"


def constant(value: Any, dtype: Any) -> Tensor:
    """A constant that may be infinite or NaN on purpose.

    Made by NumPy first: where ``experimental_enable_numpy_behavior`` promotes types, TensorFlow takes Python's integers
    for int32, whatever the type that it is told.
    """
    value = np.asarray(value, dtype.as_numpy_dtype)
    if tf.executing_eagerly() or np.all(np.isfinite(value)):
        return tf.constant(value, dtype)
    return _unchecked("Const", [], dtype, value=tf.compat.v1.AttrValue(tensor=tf.make_tensor_proto(value, dtype)))


def _unchecked(op: str, inputs: list[Tensor], dtype: Any, **attributes: Any) -> Tensor:
    """The output of an op that is added to the graph directly, where ``tf.debugging.enable_check_numerics`` does not
    check it."""
    attributes["dtype" if op == "Const" else "T"] = tf.compat.v1.AttrValue(type=dtype.as_datatype_enum)
    return tf.compat.v1.get_default_graph().create_op(op, inputs, [dtype], attrs=attributes).outputs[0]


def _check_is_dense(name: str, values: Any) -> None:
    if isinstance(values, tf.RaggedTensor):
        raise TypeError(f"{name} must be a tensor, got a RaggedTensor; {_PAD}, as its to_tensor() does, {_COUNT}")
    if isinstance(values, tf.SparseTensor):
        raise TypeError(f"{name} must be a tensor, got a SparseTensor; tf.sparse.to_dense makes one of it")


def _array(name: str, lists: Any) -> Any:
    """Python's lists of numbers as a NumPy array."""
    try:
        array = np.asarray(lists)
    except ValueError as error:
        raise ValueError(f"{name} must hold lists of one length; {_PAD} {_COUNT}; {error}") from error
    if array.dtype == object and any(number is None for number in array.flat):
        raise TypeError(f"{name} must be numbers, got None" + ("" if array.ndim == 0 else " among them"))
    return array


_PAD, _COUNT = "pad it", "and say with num_rows and num_cols how many rows and columns exist"


# Costs.


def as_cost(values: TensorLike, limit: TensorLike | None = None) -> Tensor:
    """The costs as a tensor of one of the op's types, or of integers or bool, which :func:`whole_as_real` converts.

    Values with a type keep it. Python's numbers become float32, or float64 where one of them or the limit needs that.
    """
    _check_is_dense("cost", values)
    if hasattr(values, "__array__") and not hasattr(values, "dtype"):
        values = np.asarray(values)
    if not hasattr(values, "dtype") or (isinstance(values, np.ndarray) and values.dtype == object):
        values = _from_lists(values, limit)
    cost = tf.convert_to_tensor(values)
    if cost.dtype not in (*COST_TYPES, *WHOLE_TYPES, tf.bool):
        expected = ", ".join(dtype.name for dtype in COST_TYPES)
        raise TypeError(f"cost must be one of {expected}, integers of 8 to 64 bits or bool; got {cost.dtype.name}")
    return cost


def _from_lists(values: Any, limit: TensorLike | None) -> Any:
    values = values.tolist() if isinstance(values, np.ndarray) else values
    numbers = tf.nest.flatten(values)
    # Checked before NumPy or TensorFlow converts them: beside a fraction both round a large integer silently.
    largest = max(map(_largest_integer, numbers), default=0)
    if largest > _EXACT_IN_FLOAT64:
        raise ValueError(f"{_TOO_LARGE} {largest} in magnitude")
    if _holds_tensors(values):
        stacked = tf.convert_to_tensor(values)
        # TensorFlow casts the numbers beside tensors silently, too.
        for number in numbers:
            if isinstance(number, (int, float)) and not _is_held(number, stacked.dtype):
                what = f"integer {number} exactly" if isinstance(number, int) else f"number {number}"
                raise ValueError(
                    f"cost is a list with {stacked.dtype.name} tensors, which cannot hold its {what}; "
                    "cast the tensors to a type that can"
                )
        return stacked
    array = _array("cost", values)
    if array.dtype.kind not in "biuf" or any(hasattr(number, "dtype") for number in numbers):
        return array
    with np.errstate(over="ignore", under="ignore"):
        narrow = array.astype(np.float32)
    # Below its least normal number float32 loses digits, and at last all of them.
    tiny = (array != 0) & (np.abs(array) < np.finfo(np.float32).tiny) if array.dtype.kind == "f" else np.False_
    fits = np.array_equal(np.isinf(narrow), np.isinf(array)) and not tiny.any()
    fits = fits and largest <= _EXACT_IN_FLOAT32 and not _is_wide(limit)
    return narrow if fits else array.astype(np.float64)


def _is_held(number: Any, dtype: Any) -> bool:
    """Whether a type holds an integer exactly; of another number that it becomes neither infinite nor 0."""
    with np.errstate(over="ignore", under="ignore"):
        held = np.asarray(number).astype(dtype.as_numpy_dtype)
    if isinstance(number, int):
        return int(held) == number
    return bool(np.isfinite(held) == np.isfinite(number) and (held == 0) == (number == 0))


def _holds_tensors(values: Any) -> bool:
    leaves = tf.nest.flatten(values)
    return any(hasattr(leaf, "dtype") and not isinstance(leaf, (np.ndarray, np.generic)) for leaf in leaves)


def _largest_integer(number: Any) -> int:
    """The greatest magnitude of an integer, or among those of an integer array; 0 if there are none."""
    if isinstance(number, int):
        return abs(number)
    if isinstance(number, (np.ndarray, np.generic)) and number.dtype.kind in "iu" and number.size:
        return max(abs(int(number.min())), abs(int(number.max())))
    return 0


def _is_wide(limit: TensorLike | None) -> bool:
    """Whether float32 might round an integer limit: judged by its type for a tensor, else by its value."""
    if limit is None:
        return False
    if _holds_tensors(limit):
        dtype = tf.convert_to_tensor(limit).dtype
        return bool(dtype.is_integer and dtype.size > 2)
    return max(map(_largest_integer, tf.nest.flatten(limit)), default=0) > _EXACT_IN_FLOAT32


def solved_in(costs: tf.DType, limit: TensorLike | None = None) -> tf.DType:
    """U, the type in which costs of a type are solved: float64 for float64, float32 for the other types of the op; for
    integers and bool float32, or float64 where float32 may not hold all numbers of their type or the limit."""
    if costs in COST_TYPES:
        return tf.float64 if costs == tf.float64 else tf.float32
    return tf.float32 if costs.size <= 2 and not _is_wide(limit) else tf.float64


def whole_as_real(cost: Tensor, row_mask: Tensor, col_mask: Tensor, limit: TensorLike | None = None) -> Tensor:
    """Integers and bool as the type that :func:`solved_in` says; costs of the op's types as they are.

    Of 64-bit integers float64 holds those up to 2^53 in magnitude. A larger one that no mask hides raises an
    InvalidArgumentError when run; under XLA, which drops assertions, it becomes NaN, which makes its problem invalid.
    """
    if cost.dtype in COST_TYPES:
        return cost
    real = solved_in(cost.dtype, limit)
    if cost.dtype.size <= 4:
        return tf.cast(cost, real)
    exact = cost <= constant(_EXACT_IN_FLOAT64, cost.dtype)
    if cost.dtype == tf.int64:
        exact &= cost >= constant(-_EXACT_IN_FLOAT64, cost.dtype)
    harmless = exact
    for mask, axis in ((row_mask, -1), (col_mask, -2)):
        harmless |= ~(mask if mask.shape.rank == 0 else tf.expand_dims(mask, axis))
    checked = require(
        tf.reduce_all(harmless), lambda: [_TOO_LARGE, "values from", tf.reduce_min(cost), "to", tf.reduce_max(cost)]
    )
    with tf.control_dependencies(checked):
        return tf.where(exact, tf.cast(cost, real), constant(np.nan, real))


# Masks, counts and limits.


class Checked(NamedTuple):
    """A tensor, and bool scalars that must be true when run. XLA drops assertions: there :func:`nan_unless` reports
    them."""

    tensor: Tensor
    conditions: list[Tensor]


def as_mask(side: str, mask: TensorLike | None, cost: Tensor) -> Checked:
    """The mask of one side as bool, a scalar or ``[..., rows]``."""
    if mask is None:
        return Checked(tf.constant(True), [])
    _check_is_dense(f"{side}_mask", mask)
    if not hasattr(mask, "dtype") and not _holds_tensors(mask):
        mask = _array(f"{side}_mask", mask)
        mask = mask if mask.size else mask.astype(bool)
    mask = tf.convert_to_tensor(mask)
    if mask.dtype in WHOLE_TYPES:
        mask = tf.not_equal(mask, tf.zeros([], mask.dtype))
    if mask.dtype != tf.bool:
        raise TypeError(f"{side}_mask must be bool, or 0 and 1 as integers of 8 to 64 bits; got {mask.dtype.name}")
    return Checked(mask, []) if mask.shape.rank == 0 else _broadcast(f"{side}_mask", mask, cost, side)


def count_as_mask(side: str, count: TensorLike, cost: Tensor, validate: bool) -> Checked:
    """``num_rows`` or ``num_cols`` as a mask of leading ones, ``[..., rows]``; with ``validate`` counts must lie in
    [0, size]."""
    name = f"num_{side}s"
    _check_is_dense(name, count)
    # Python's integers have no bound, and TensorFlow wraps large ones while tracing.
    for number in tf.nest.flatten(count):
        if isinstance(number, int) and not tf.int64.min <= number <= tf.int64.max:
            raise ValueError(f"{name} must fit int64, got {number}")
    if not hasattr(count, "dtype") and not _holds_tensors(count):
        count = _array(name, count)
        count = count if count.size else count.astype(np.int64)
    count = tf.convert_to_tensor(count, dtype=None if hasattr(count, "dtype") else tf.int64)
    if count.dtype not in WHOLE_TYPES:
        raise TypeError(f"{name} must be integers of 8 to 64 bits, got {count.dtype.name}")
    if count.dtype == tf.uint64:
        # A count beyond int64 must not become negative in the cast.
        count = tf.minimum(count, constant(tf.int64.max, tf.uint64))
    count, conditions = _broadcast(name, tf.cast(count, tf.int64), cost, None)
    # Padded in front, so that a cost of too low a rank reaches the op, which says what is wrong.
    size = tf.concat([[1, 1], tf.shape(cost)], axis=0)[-2 if side == "row" else -1]
    exists = range_int64(size) < count[..., tf.newaxis]
    if not validate:
        return Checked(exists, conditions)
    in_range = tf.reduce_all((count >= 0) & (count <= tf.cast(size, tf.int64)))
    # Checked before the op runs, which would report a limit that is NaN.
    with tf.control_dependencies(
        require(in_range, lambda: [f"{name} must lie in [0, {side}s], here", size, "got", count])
    ):
        return Checked(tf.identity(exists), [*conditions, in_range])


class Given(NamedTuple):
    """A batch of problems as the op takes it.

    Attributes:
      cost: ``[..., rows, cols]``, of one of the op's types.
      row_mask: bool, a scalar or ``[..., rows]``.
      col_mask: bool, a scalar or ``[..., cols]``.
      conditions: Bool scalars that must be true of masks and counts when run.
    """

    cost: Tensor
    row_mask: Tensor
    col_mask: Tensor
    conditions: list[Tensor]


def as_problems(
    cost: TensorLike,
    rows: tuple[TensorLike | None, TensorLike | None],
    cols: tuple[TensorLike | None, TensorLike | None],
    limit: TensorLike | None,
    validate: bool,
) -> Given:
    """Costs, and which rows and columns exist. ``rows`` and ``cols`` hold a mask and a count each, at most one of them
    given."""
    cost = as_cost(cost, limit)
    masks: list[Tensor] = []
    conditions: list[Tensor] = []
    for side, (mask, count) in (("row", rows), ("col", cols)):
        if mask is not None and count is not None:
            raise ValueError(f"got both {side}_mask and num_{side}s, expected one of them")
        checked = as_mask(side, mask, cost) if count is None else count_as_mask(side, count, cost, validate)
        masks.append(checked.tensor)
        conditions += checked.conditions
    return Given(whole_as_real(cost, masks[0], masks[1], limit), masks[0], masks[1], conditions)


def as_limit(limit: TensorLike | None, cost: Tensor, name: str = "cost_limit") -> Tensor:
    """The limit in type U, a scalar or ``[...]``; infinite where there is none. ``name`` is the argument's, for
    errors."""
    real = solved_in(cost.dtype)
    if limit is None:
        return constant(np.inf, real)
    _check_is_dense(name, limit)
    if _holds_tensors(limit):
        limit = tf.convert_to_tensor(limit, dtype_hint=real)
        if limit.dtype in WHOLE_TYPES:
            limit = tf.cast(limit, real)
        if limit.dtype != real:
            raise TypeError(f"{name} must be {real.name} here, got {limit.dtype.name}")
    else:
        given = _array(name, limit)
        most = float(real.max)
        if given.dtype.kind == "O" and all(isinstance(number, int) for number in given.flat):
            given = np.asarray(np.clip(given, int(-most), int(most)), np.float64)
        if given.dtype.kind not in "biuf":
            raise TypeError(f"{name} must be a number, got {limit!r}")
        given = given.astype(np.float64)
        # A finite number beyond the range of the type must not become infinite, which would mean no limit.
        held = np.where(np.isinf(given), given, np.clip(given, -most, most)).astype(real.as_numpy_dtype)
        limit = constant(held, real)
    return limit if limit.shape.rank == 0 else nan_unless(*_broadcast(name, limit, cost, None))


def nan_unless(limit: Tensor, conditions: list[Tensor]) -> Tensor:
    """The limit, or NaN where a condition does not hold: XLA drops assertions, but not the op's report of such a
    limit."""
    if tf.executing_eagerly():
        return limit
    for condition in conditions:
        limit = _unchecked("SelectV2", [condition, limit, constant(np.nan, limit.dtype)], limit.dtype)
    return limit


# Shapes.


def _broadcast(name: str, tensor: Tensor, cost: Tensor, side: str | None) -> Checked:
    """Broadcasts to ``[..., rows]`` or ``[..., cols]``, for no side to ``[...]``. Adds no op where known shapes show
    that none is needed.

    A shape that does not fit is a ValueError while tracing, an InvalidArgumentError when run.
    """
    got, target = tensor.shape, _static_target(cost, side)
    expected = f"expected one that broadcasts to [...{'' if side is None else f', {side}s'}], here"
    if cost.shape.rank is not None and cost.shape.rank < 2:
        return Checked(tensor, [])  # The op says what is wrong with the cost.
    same_rank = got.rank is not None and got.rank == target.rank
    if got.rank is not None and target.rank is not None:
        skipped = target.rank - got.rank
        sizes = list(zip(got, target[max(skipped, 0) :], strict=skipped >= 0))
        if skipped < 0 or any(size not in (None, 1, want) and want is not None for size, want in sizes):
            text = f"{name} does not fit cost: got shape {got.as_list()}, {expected} {target.as_list()}"
            if tf.executing_eagerly():
                raise tf.errors.InvalidArgumentError(None, None, text)
            raise ValueError(text)
        # The op gets masks and limits as they are, and itself compares sizes other than 1 with the cost's.
        by_op = name in ("row_mask", "col_mask", "cost_limit")
        if same_rank and all(size is not None and (size == want or (by_op and size != 1)) for size, want in sizes):
            return Checked(tensor, [])
        if got.is_fully_defined() and target.is_fully_defined():
            return Checked(tf.broadcast_to(tensor, target), [])
    shape, wanted = tf.shape(tensor), _target(cost, side)
    fits = _fits(shape, wanted)
    checked = require(fits, lambda: [f"{name} does not fit cost: got shape", shape, expected, wanted])
    with tf.control_dependencies(checked):
        # tf.broadcast_to needs a shape that XLA knows while compiling. Adding zeros would flush the smallest numbers to
        # 0.
        return Checked(tf.where(tf.fill(wanted, True), tensor, tf.zeros([], tensor.dtype), name), [fits])


def _fits(shape: Tensor, wanted: Tensor) -> Tensor:
    """Whether a tensor of ``shape`` broadcasts to ``wanted`` without changing ``wanted``."""
    rank, most = shape.shape[0], wanted.shape[0]
    if rank is None or most is None:
        rank, most = tf.size(shape), tf.size(wanted)
    short = tf.minimum(rank, most)
    last, wanted = shape[rank - short :], wanted[most - short :]
    apart = tf.minimum(tf.abs(last - 1), tf.abs(last - wanted))
    return all_zero(tf.concat([apart, [tf.maximum(rank - most, 0)]], axis=0))


def _static_target(cost: Tensor, side: str | None) -> Any:
    """``[..., rows]``, ``[..., cols]`` or ``[...]``, as far as it is known."""
    if cost.shape.rank is None:
        return tf.TensorShape(None)
    size = {"row": cost.shape[-2:-1], "col": cost.shape[-1:], None: []}[side]
    return cost.shape[:-2].concatenate(size)


def _target(cost: Tensor, side: str | None) -> Tensor:
    """What :func:`_static_target` says, when run."""
    shape = tf.shape(cost)
    if side == "col":
        return tf.concat([shape[:-2], shape[-1:]], axis=0)
    return shape[:-1] if side == "row" else shape[:-2]
