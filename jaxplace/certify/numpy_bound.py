"""The reference of the bound's inner minimum: NumPy only, over blocks of rows."""

import numpy as np

from jaxplace import evaluate
from jaxplace.instance import Instance, Terms
from jaxplace.placement import Duals


def cheapest(instance: Instance, duals: Duals) -> tuple[np.ndarray, int]:
    """Least reduced cost of each row over its allowed regions, duals included.

    Returns:
        [n] USD per unit, inf where no region is allowed; and the number of allowed pairs.
    """
    best, pairs = np.empty(instance.rows), 0
    for rows in evaluate.blocks(instance):
        ok = evaluate.allowed(instance, rows)
        usd = evaluate.cost(instance, rows, usd_per_move=duals.moves, usd_per_kg=duals.carbon)
        usd = usd + paid(instance, rows, duals)
        best[rows] = np.where(ok, usd, np.inf).min(axis=1, initial=np.inf)
        pairs += int(np.count_nonzero(ok))
    return best, pairs


def paid(instance: Instance, rows: slice, duals: Duals) -> np.ndarray:
    """What a unit pays for the capacity it takes [USD], [b, m]."""
    terms, use = instance.terms, instance.use[rows]
    if isinstance(terms, Terms):
        return (use @ duals.capacity.T) * terms.use_factor[terms.workload[rows]]
    if terms.use_factor is None:
        return use @ duals.capacity.T
    return np.einsum("br,bmr,mr->bm", use, terms.use_factor[rows], duals.capacity)
