"""From a rounded plan to a feasible one, then to a cheaper one; never worse."""

import time
from collections.abc import Callable

import numpy as np

from jaxplace.repair.auction import clear_overloads
from jaxplace.repair.budgets import keep_budgets
from jaxplace.repair.chains import search, settle
from jaxplace.repair.core import Core
from jaxplace.repair.improve import exchange, reinsert, shift
from jaxplace.repair.paths import carry_off
from jaxplace.repair.reverse import fill


__all__ = ["Core", "repair", "search", "settle"]

SHIFTS = 30  # rounds in a row
EXCHANGES = 60
HOPEFUL = 10.0  # rounds as good as the last that should bring a hasty plan to its target
RETRIES = 8  # of putting badly placed units where they belong: before exchanges
SHARE = 0.3  # as long as each brings so much of what is missing, and after them
RETRY = 4.0  # as long as each gains so many times more than a round of exchanges must


def repair(
    core: Core,
    prices: np.ndarray,
    *,
    rise: float,
    deadline: float,
    enough: float,
    worth: float,
    target: float = -np.inf,
    hasty: bool = False,
) -> None:
    """Make the core's plan feasible, then cheaper while that pays.

    Args:
        core: changed in place.
        prices: [m + 1, R] the relaxation's duals [USD per use], 0 at the unplaced option.
        rise: least rise of a price in the auction [USD per mean use].
        deadline: `time.perf_counter` after which improving stops; feasibility comes first.
        enough: gains per round below this end the search [USD].
        worth: badly placed units that lose less than this in all are left where they are [USD].
        target: cost of the core at which the search ends [USD].
        hasty: exchanges end where the target is far, and nothing is put back after them.
    """
    if not len(core.row):
        return
    feasible, units, usd = core.feasible(), core.units.copy(), core.objective()

    def packed() -> float:
        clear_overloads(core, prices, rise=rise)
        keep_budgets(core)
        fill(core, prices, worth=enough / len(prices))
        _shifted(core)
        return core.objective()

    def improved() -> float:
        return _improve(core, prices, deadline, enough, target if hasty else -np.inf)

    def settled() -> float:
        packed()
        return improved()

    def retried(cost: float, settle: Callable[[], float], least: Callable[[float], float]) -> float:
        """Badly placed units where they belong, while that gains at least so much."""
        for _ in range(RETRIES):
            before = core.units.copy()
            if cost <= target or time.perf_counter() > deadline:
                break
            if not reinsert(core, prices, worth=worth):
                break
            carry_off(core, prices, deadline=deadline)
            now = settle()
            if now > cost:
                core.units[:] = before
                break
            last, cost = cost, now
            if last - now < least(last):
                break
        return cost

    # exchanges take long over what is far from where it belongs
    cost = retried(packed(), packed, lambda cost: SHARE * (cost - target))
    if cost > target:
        cost = improved()
        if not hasty:
            cost = retried(cost, settled, lambda _: RETRY * enough)
    if feasible and cost > usd:  # what fills idle room need not pay
        core.units[:] = units


def _improve(
    core: Core, prices: np.ndarray, deadline: float, enough: float, target: float
) -> float:
    """Shifts and exchanges while they pay and, given a target, lead there; the objective."""
    cost = core.objective()
    for _ in range(EXCHANGES):
        if not exchange(core, prices):
            break
        _shifted(core)
        before, cost = cost, core.objective()
        gain = before - cost
        if gain < enough or time.perf_counter() > deadline:
            break
        if -np.inf < target < cost - HOPEFUL * gain:
            break
    return cost


def _shifted(core: Core) -> None:
    """Shifts until none pays."""
    watched = np.ones(len(core.room), bool)
    for _ in range(SHIFTS):
        watched = shift(core, watched)
        if not watched.any():
            break
