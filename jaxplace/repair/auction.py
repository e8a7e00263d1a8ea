"""Overloads cleared by an auction: full regions raise their price until the least attached leave.

Bertsekas' auction for transportation problems (Bertsekas and Castanon 1989), in synchronous
rounds.  A unit's attachment is what its second choice would cost it more, per use of what the
region is short of.  Every overloaded region lets its least attached units go, to their second
choice at current prices, full or not, and asks from then on what the last of them was not
ready to pay.  Chains of moves through full regions come out of the rounds by themselves; the
unplaced option, never full, ends them.
"""

import numpy as np

from jaxplace.repair.core import TINY, Core, prefix


ROUNDS = 400
PATIENCE = 40  # rounds after which price rises grow, so that ties cannot go on for ever


def clear_overloads(core: Core, prices: np.ndarray, *, rise: float) -> None:
    """Make every capacity hold.

    Args:
        core: changed in place.
        prices: [m + 1, R] USD per use to start from, the relaxation's duals; 0 at m.
        rise: least rise of a price in a round, USD per mean use of a unit.
    """
    if not len(core.row):
        return
    prices = prices.copy()
    mean_use = np.maximum(core.use.mean((0, 1)), 1e-300)
    tolerance = TINY * np.where(np.isfinite(core.room), np.abs(core.room), 0.0) + 1e-12 * mean_use
    free = core.free()
    for turn in range(ROUNDS):
        short = free < -tolerance
        if not short.any():
            return
        least = rise / mean_use * 1.25 ** max(turn - PATIENCE, 0)
        _round(core, prices, free, short, least)
        free = core.free()
    _drop(core, free, tolerance)


def _round(
    core: Core, prices: np.ndarray, free: np.ndarray, short: np.ndarray, least: np.ndarray
) -> None:
    """One round of all overloaded regions."""
    crowded = np.asarray(short.any(axis=1))
    row, option = np.nonzero((core.units > 0) & crowded[core.region])
    region = core.region[row, option]
    entry = np.arange(len(row))
    asked = core.guide[row] + np.einsum("ekr,ekr->ek", core.use[row], prices[core.region[row]])
    own = asked[entry, option].copy()
    asked[entry, option] = np.inf
    second = asked.argmin(1)
    # use of what is short, in shares of what is missing: the resources get one scale.  A unit
    # that is larger than what is missing is worth no more than that
    missing = np.where(short, -free, np.inf)
    use = core.use[row, option]
    share = use / missing[region]
    weight = np.minimum(share, 1.0).sum(1)
    leaves = (weight > 0) & np.isfinite(asked[entry, second])
    minds = asked[entry, second] - own
    order = np.lexsort((minds / np.where(leaves, weight, 1.0), region))
    order = order[leaves[order]]
    row, option, second, region = row[order], option[order], second[order], region[order]
    use, share, minds = use[order], share[order], minds[order]
    units = core.units[row, option]
    todo = np.where(np.isfinite(missing), missing, 0.0)[region]
    todo = todo - prefix(region, use * units[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where((todo > 0) & (use > 0), np.ceil(todo / use - 1e-9), 0.0).max(1)
    t = np.minimum(units, np.maximum(needed, 0)).astype(np.int64)
    go = t > 0
    core.move(row[go], option[go], second[go], t[go])
    # from now on the region asks what would have made the last of them go
    level = np.zeros(len(prices))
    np.maximum.at(level, region[go], np.maximum(minds[go] / share[go].sum(1), 0.0))
    prices += np.where(short, level[:, None] / missing + least, 0.0)


def _drop(core: Core, free: np.ndarray, tolerance: np.ndarray) -> None:
    """Leave units unplaced where rounds did not do: always possible."""
    last = core.region.shape[1] - 1
    for j in np.nonzero((free < -tolerance).any(1))[0]:
        row, option = np.nonzero((core.units > 0) & (core.region == j))
        dear = (core.cost[row, last] - core.cost[row, option]).argsort(kind="stable")
        for i, k in zip(row[dear], option[dear], strict=True):
            while core.units[i, k] > 0 and (free[j] < -tolerance[j]).any():
                use = core.use[i, k]
                with np.errstate(divide="ignore", invalid="ignore"):
                    needed = np.where((free[j] < 0) & (use > 0), np.ceil(-free[j] / use), 0).max()
                t = int(min(core.units[i, k], max(needed, 1)))
                core.units[i, k] -= t
                core.units[i, last] += t
                free[j] += t * use
