"""Float64 comparisons as comparisons of small integers, which float32 tiles decide exactly."""

import numpy as np


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
        limit_rank = np.searchsorted(few_values, limits, side="right") - 1
        value_rank = np.searchsorted(few_values, values, side="left")
    else:
        limit_rank = np.searchsorted(few_limits, limits, side="left")
        value_rank = np.searchsorted(few_limits, values, side="left")
    return limit_rank.astype(np.int32), value_rank.astype(np.int32)
