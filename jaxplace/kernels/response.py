"""What every backend answers."""

from typing import Any, NamedTuple


class Response(NamedTuple):
    """What the rows do at given duals and temperature; all float64 and scaled.

    `value` and `exact` are sums over rows, without the constraints' constant part.  The arrays
    are the backend's own, NumPy's or JAX's.
    """

    value: Any  # [] smoothed minimum: never above `exact`
    exact: Any  # [] hard minimum: the bound's row part, up to float32
    regret: Any  # [] reduced cost of the smoothed plan, above `exact`
    load: Any  # [m, R] use of the smoothed plan
    budget: Any  # [2] moves and kg of the smoothed plan (0 without such a budget)
    doubt: Any  # [N] f32 1 - sum of squared shares: 0 where one option has it all
