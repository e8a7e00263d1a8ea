"""Fleet budgets kept: the moves and the kg that cost least to save are saved first."""

import numpy as np

from jaxplace.repair.core import Core, prefix


ROUNDS = 60


def keep_budgets(core: Core) -> None:
    """Make every fleet budget hold; leaving units unplaced always can.

    Args:
        core: changed in place; its capacities hold before and after.
    """
    for b in range(len(core.purse)):
        for turn in range(ROUNDS):
            excess = -core.spare()[b]
            if excess <= 1e-12 * abs(core.purse[b]):
                break
            if not _save(core, b, excess, anywhere=turn < ROUNDS - 1):
                _save(core, b, excess, anywhere=False)


def _save(core: Core, b: int, excess: float, *, anywhere: bool) -> bool:
    """One round of moves to options that take less of budget b; False if there was none."""
    free, last = core.free(), core.region.shape[1] - 1
    i, k = np.nonzero(core.units)
    saved = core.toll[i, k, b][:, None] - core.toll[i, :, b]
    fits = (core.use[i] <= free[core.region[i]]).all(2) & np.isfinite(core.cost[i])
    others = np.arange(core.toll.shape[2]) != b
    worse = (core.toll[i][..., others] > core.toll[i, k][:, None][..., others]).any(2)
    if not anywhere:
        fits[:, :last] = False
    good = fits & (saved > 0) & ~worse
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(good, (core.cost[i] - core.cost[i, k][:, None]) / saved, np.inf)
    best = rate.argmin(1)
    entry = np.arange(len(i))
    pays = np.isfinite(rate[entry, best])
    i, k, best, rate = i[pays], k[pays], best[pays], rate[entry, best][pays]
    if not len(i):
        return False
    each = core.toll[i, k, b] - core.toll[i, best, b]
    target = core.region[i, best]
    order = np.lexsort((rate, target))
    i, k, best, each, target, rate = (v[order] for v in (i, k, best, each, target, rate))
    use, units = core.use[i, best], core.units[i, k]
    left = free[target] - prefix(target, use * units[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = np.where(use > 0, np.floor(left / use), np.inf).min(1)
    t = np.clip(fit, 0, units)
    cheap = np.argsort(rate, kind="stable")
    before = np.cumsum((each * t)[cheap]) - (each * t)[cheap]
    needed = np.ceil(np.maximum(excess - before, 0) / each[cheap] - 1e-9)
    t[cheap] = np.minimum(t[cheap], needed)
    t = t.astype(np.int64)
    go = t > 0
    core.move(i[go], k[go], best[go], t[go])
    return bool(go.any())
