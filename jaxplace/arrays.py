"""`Instance.from_arrays`: a generalized assignment problem, given as matrices, made an instance."""

from typing import Any

import numpy as np

from jaxplace.errors import InputError
from jaxplace.instance import NOWHERE, DenseTerms, Instance


WHO = "Instance.from_arrays"


def instance_from_arrays(
    *, cost: Any, use: Any, capacity: Any, allowed: Any, count: Any, unplaced: Any
) -> Instance:
    """An instance of `DenseTerms`; the arguments are those of `Instance.from_arrays`.

    Arrays that have the right type already are not copied, except the cost where a pair is not
    allowed.

    Raises:
        InputError: every fault of every array at once.
    """
    given = _Given()
    cost = given.numbers("cost", cost)
    if cost is not None and (cost.ndim != 2 or 0 in cost.shape):
        given.refuse("cost", "must have shape [n, m], neither of them 0", cost.shape)
        cost = None
    capacity = given.numbers("capacity", capacity)
    use = given.numbers("use", use)
    if cost is None:  # every other shape is measured by it
        raise InputError(*given.faults)
    n, m = cost.shape
    given.range("capacity", capacity, 0.0)
    given.range("use", use, 0.0)
    rules = given.mask(allowed, (n, m))
    capacity = _capacity(given, capacity, m)
    parts = None if capacity is None else _use(given, use, (n, m, capacity.shape[1]))
    count = given.counts(count, n)
    penalty = given.penalties(unplaced, n)
    if rules is not None:
        _finite_cost(given, cost, rules, allowed is None)
    if given.faults or capacity is None or rules is None or parts is None or count is None:
        raise InputError(*given.faults)
    per_unit, factor = parts
    rules = _fitting(rules, per_unit if factor is None else factor, capacity)
    notes: tuple[str, ...] = ()
    if penalty is None:
        default, note = _default_penalty(cost, rules)
        penalty, notes = np.asarray(default), (note,)
    resources = capacity.shape[1]
    return Instance(
        request_id=np.arange(n),
        region_id=np.arange(m),
        resources=("use",) if resources == 1 else tuple(f"use_{r}" for r in range(resources)),
        request=np.arange(n),
        count=count,
        current=np.full(n, NOWHERE, np.int32),
        use=per_unit,
        capacity=capacity,
        unplaced=np.broadcast_to(penalty, (n,)).copy(),
        terms=DenseTerms(
            cost=cost if rules.all() else np.where(rules, cost, 0.0),
            allowed=rules,
            use_factor=factor,
        ),
        notes=notes,
    )


class _Given:
    """The arguments as they are read, and the faults found so far."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def refuse(self, name: str, rule: str, got: Any, advice: str = "") -> None:
        """Note a fault: what was called, the rule, what came, what to do."""
        tail = f". {advice}" if advice else ""
        self.faults.append(f"`{WHO}({name}=...)` {rule}. Got {got}{tail}")

    def numbers(self, name: str, values: Any) -> np.ndarray | None:
        """The argument as float64, or None if it is not an array of numbers."""
        try:
            array = np.asarray(values)
        except ValueError:  # rows of unequal length
            self.refuse(name, "must be an array of numbers", "rows of unequal length")
            return None
        if array.dtype.kind not in "biuf":
            self.refuse(name, "must be an array of numbers", f"dtype {array.dtype}")
            return None
        return array.astype(np.float64, copy=False)

    def range(self, name: str, values: np.ndarray | None, low: float) -> None:
        """Every number must be finite and at least `low`."""
        if values is None:
            return
        # the extremes are NaN if any number is: two passes and no temporary
        extremes = (values.min(initial=low), values.max(initial=low))
        if np.isfinite(extremes).all() and extremes[0] >= low:
            return
        wrong = ~(np.isfinite(values) & (values >= low))
        self.refuse(name, f"must be finite and >= {low:g}", _first(wrong, values))

    def mask(self, allowed: Any, shape: tuple[int, int]) -> np.ndarray | None:
        """`allowed` as bool [n, m]; a read-only view where everything is allowed."""
        if allowed is None:
            return np.broadcast_to(True, shape)
        array = np.asarray(allowed)
        if array.shape != shape:
            advice = "Is it transposed?" if array.shape == shape[::-1] else ""
            self.refuse("allowed", f"must have shape [n, m] = {shape}", array.shape, advice)
        elif array.dtype != bool:
            advice = "Compare it with something, as in `allowed=matrix > 0`"
            self.refuse("allowed", "must be bool", f"dtype {array.dtype}", advice)
        else:
            return array
        return None

    def counts(self, count: Any, n: int) -> np.ndarray | None:
        """`count` as int64 [n]."""
        array = self.numbers("count", 1 if count is None else count)
        if array is None:
            return None
        if array.shape not in ((), (n,)):
            self.refuse("count", f"must be a number or have shape [n] = ({n},)", array.shape)
            return None
        wrong = ~((array >= 1) & (array == np.floor(array)) & (array < 2**53))
        if wrong.any():
            self.refuse("count", "must be whole numbers >= 1", _first(wrong, array))
            return None
        return np.broadcast_to(array, (n,)).astype(np.int64)

    def penalties(self, unplaced: Any, n: int) -> np.ndarray | None:
        """`unplaced` as float64 [n] or [], None if it is left to the default (or refused)."""
        if unplaced is None:
            return None
        array = self.numbers("unplaced", unplaced)
        if array is None:
            return None
        if array.shape not in ((), (n,)):
            self.refuse("unplaced", f"must be a number or have shape [n] = ({n},)", array.shape)
            return None
        self.range("unplaced", array, 0.0)
        return array


def _capacity(given: _Given, capacity: np.ndarray | None, m: int) -> np.ndarray | None:
    """Capacity as [m, R]."""
    if capacity is None:
        return None
    if capacity.ndim not in (1, 2) or capacity.shape[0] != m or 0 in capacity.shape:
        transposed = capacity.ndim == 2 and capacity.shape[1] == m
        advice = "Is it transposed?" if transposed else "m is the number of columns of `cost`"
        rule = f"must have shape [m] or [m, R] = ({m},) or ({m}, R)"
        given.refuse("capacity", rule, capacity.shape, advice)
        return None
    return capacity.reshape(m, -1)


def _use(
    given: _Given, use: np.ndarray | None, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Use as (per unit [n, R], factor by region [n, m, R] or None)."""
    n, m, resources = shape
    if use is None:
        return None
    if use.shape == (n,) and resources == 1:
        return use[:, None], None
    if use.shape == (n, m) and resources == 1:
        return np.ones((n, 1)), use[:, :, None]
    if use.shape == (n, resources):
        return use, None
    if use.shape == shape:
        return np.ones((n, resources)), use
    if resources == 1:
        rule = f"must have shape [n] or [n, m] = ({n},) or ({n}, {m})"
    else:
        rule = f"must have shape [n, R] or [n, m, R] = ({n}, {resources}) or {shape}"
    advice = "Is it transposed?" if use.shape == (m, n) else "R is the number of resources"
    given.refuse("use", rule, use.shape, advice)
    return None


def _finite_cost(given: _Given, cost: np.ndarray, rules: np.ndarray, everywhere: bool) -> None:
    """The cost of an allowed pair must be finite."""
    wrong = ~np.isfinite(cost)
    wrong &= rules
    if wrong.any():
        advice = "Pass `allowed=np.isfinite(C)` if such a pair is forbidden" * everywhere
        rule = "must be finite where a pair is allowed"
        given.refuse("cost", rule, _first(wrong, cost), advice or "Give a cost, or forbid the pair")


def _fitting(rules: np.ndarray, use: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """The mask without the pairs where one unit does not fit; `use` is [n, R] or [n, m, R]."""
    for r in range(capacity.shape[1]):
        if use[..., r].max() > capacity[:, r].min():
            each = use[..., r] if use.ndim == 3 else use[:, r, None]
            rules = rules & (each <= capacity[:, r])
    return np.array(rules) if rules.strides == (0, 0) else rules


def _default_penalty(cost: np.ndarray, rules: np.ndarray) -> tuple[float, str]:
    """1 + 10 times the spread of the allowed costs, and the note that says so."""
    low = float(cost.min(initial=np.inf, where=rules))
    high = float(cost.max(initial=-np.inf, where=rules))
    penalty = 1.0 + 10.0 * (high - low) if rules.any() else 1.0
    note = (
        f"`unplaced` was not given: a unit left unplaced costs {penalty:g}, "
        "1 + 10 times the spread of the allowed costs"
    )
    if rules.any() and penalty < high:
        note += (
            f". That is below the largest allowed cost, {high:g}, so leaving a unit out may pay; "
            "give `unplaced` if it must not"
        )
    return penalty, note


def _first(wrong: np.ndarray, values: np.ndarray) -> str:
    """How many numbers are wrong, and the first of them."""
    if wrong.ndim == 0:
        return f"{values}"
    where = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    index = ", ".join(str(int(k)) for k in where)
    return f"{int(wrong.sum())} that are not, first [{index}] = {values[where]}"
