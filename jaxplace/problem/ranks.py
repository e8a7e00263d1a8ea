"""Float64 comparisons as comparisons of small integers, which float32 tiles decide exactly."""

import numpy as np

from jaxplace.native import compiled, frozen, spread


CHUNKS = 16
NEVER = np.iinfo(np.int32).max  # a rank that no budget reaches


def exact_ranks(limits: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers with `limit_rank >= value_rank` exactly where `limit >= value`.

    Whichever side has fewer distinct numbers is sorted, so ten million budgets against a small
    table, or four budgets against sixteen million round trips, both cost one binary search each.

    Args:
        limits: float64, any shape; inf allowed.
        values: float64, any shape; inf: reaches no finite limit.

    Returns:
        int32 arrays of the same shapes.
    """
    few_limits, few_values = np.unique(limits), np.array([])
    if len(few_limits) > 4096:
        few_values = np.unique(values)
    if len(few_values) and len(few_values) < len(few_limits):
        return _search(few_values, limits, right=True) - 1, _search(few_values, values)
    return _search(few_limits, limits), _search(few_limits, values)


def _search(few: np.ndarray, values: np.ndarray, *, right: bool = False) -> np.ndarray:
    """`np.searchsorted` as int32, on all threads."""
    few, flat = frozen(few, float), frozen(values.ravel(), float)
    found = np.empty(len(flat), np.int32)
    spread(lambda a, b: _bisect(few, flat, right, found, a, b), len(flat), chunks=CHUNKS)
    return found.reshape(values.shape)


@compiled
def _bisect(
    few: np.ndarray, values: np.ndarray, right: bool, found: np.ndarray, first: int, last: int
) -> None:
    """Write how many of `few` are below each value (or equal to it, if `right`); no branches."""
    for q in range(first, last):
        value, base, size = values[q], 0, len(few)
        if size and value > few[-1]:  # far, or unreachable
            found[q] = size
            continue
        while size > 0:
            half = (size + 1) // 2
            below = few[base + half - 1]
            base += half if (below < value) | (right & (below == value)) else 0
            size -= half
        found[q] = base
