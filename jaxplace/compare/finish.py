"""Fractional units made whole, the same way for every method.

1. Each row's amounts are scaled to its units; what is missing is unplaced.
2. Whole parts are given, the rest is drawn systematically (Madow 1949) by the amounts.
3. The auction of `jaxplace.repair` clears overloads, starting from the method's duals, or from
   nothing where it has none; budgets are kept; then shifts, exchanges and reinsertions make the
   plan cheaper.  A row may go to the regions where the method has most of it, to those that are
   cheapest at the duals, to the cheapest with room to spare, and to none.

It is jaxplace's own repair, so a good answer is not spoilt by a poor rounding; a method without
duals is rounded less well because it says less.
"""

import dataclasses

import numpy as np

from jaxplace import evaluate
from jaxplace.compare.answer import Answer, Fraction
from jaxplace.compare.merged import merge
from jaxplace.instance import NOWHERE, Instance
from jaxplace.placement import Assignment, Duals
from jaxplace.problem.pairs import Pairs
from jaxplace.repair import Core, repair
from jaxplace.rounding import laid_out, systematic


RISE = 1e-4  # least rise of a price in the auction, as a share of a mean unit's cost
ENOUGH, WORTH = 1e-6, 1e-4  # shares of the plan's cost at which repair stops improving
ESCAPES, SPARE = 2, 0.02  # regions with so much room that are options of every row


def whole_units(
    instance: Instance,
    fraction: Fraction,
    duals: Duals | None,
    *,
    candidates: int,
    seed: int,
    deadline: float,
) -> Assignment:
    """A feasible plan near a fractional one.

    Args:
        instance: what is placed.
        fraction: the method's answer.
        duals: the method's duals, or None.
        candidates: regions by amount, and as many by reduced cost, that a row may go to.
        seed: of the one random offset.
        deadline: `time.perf_counter` after which improving stops.
    """
    merged = merge(instance)
    small = merged.instance
    duals = duals or Duals(np.zeros(small.capacity.shape))
    core, want = _core(small, _by_row(merged.of, fraction), duals, candidates)
    most = np.argsort(-want, axis=1, kind="stable")[:, :2]
    core.units[:] = systematic(want, core.region, most, seed)
    usd = max(float((want * np.where(np.isfinite(core.cost), np.abs(core.cost), 0)).sum()), 1e-300)
    prices = np.vstack([duals.capacity, np.zeros((1, duals.capacity.shape[1]))])
    repair(
        core,
        prices,
        rise=RISE * usd / small.count.sum(),
        deadline=deadline,
        enough=ENOUGH * usd,
        worth=WORTH * usd,
    )
    i, k = np.nonzero(core.units)
    region = core.region[i, k]
    region = np.where(region == small.regions, NOWHERE, region).astype(np.int32)
    order = np.lexsort((region, i))
    return merged.split(Assignment(i[order], region[order], core.units[i, k][order]))


def _by_row(of: np.ndarray, fraction: Fraction) -> Fraction:
    """The placed flows by joined row, sorted by it."""
    on = (fraction.region >= 0) & (fraction.amount > 0)
    row = of[fraction.row[on]]
    order = np.argsort(row, kind="stable")
    return Fraction(row[order], fraction.region[on][order], fraction.amount[on][order])


def _core(
    instance: Instance, flows: Fraction, duals: Duals, candidates: int
) -> tuple[Core, np.ndarray]:
    """Every row with its options, and the amounts [n, K] wanted at each, which sum to count."""
    pairs, m, n = Pairs.of(instance), instance.regions, instance.rows
    kept = min(2 * candidates + ESCAPES, m)
    idle = _idle(instance, pairs, flows)
    region = np.full((n, kept + 1), m, np.int32)
    want = np.zeros((n, kept + 1))
    for block in evaluate.blocks(instance):
        rows = np.arange(block.start, block.stop)
        low, high = np.searchsorted(flows.row, [block.start, block.stop])
        amount = np.zeros((len(rows), m))
        np.add.at(amount, (flows.row[low:high] - block.start, flows.region[low:high]),
                  flows.amount[low:high])  # fmt: skip
        asked = evaluate.cost(
            instance, block, usd_per_move=duals.moves, usd_per_kg=duals.carbon
        ) + (pairs.use(rows[:, None], np.arange(m)) * duals.capacity).sum(-1)
        ok = pairs.allowed(rows[:, None], np.arange(m))
        amount[~ok], asked[~ok] = 0.0, np.inf
        best = _first(amount, asked, idle, candidates)[:, :kept]
        known = np.take_along_axis(ok, best, 1)
        region[rows, :kept] = np.where(known, best, m)
        here = np.where(known, np.take_along_axis(amount, best, 1), 0.0)
        # what is spread beyond the options goes to them in proportion
        placed = np.minimum(amount.sum(1), instance.count[rows])
        want[rows, :kept] = here * (placed / np.maximum(here.sum(1), 1e-300))[:, None]
    want[:, kept] = np.maximum(instance.count - want.sum(1), 0.0)
    return _filled(instance, pairs, region, duals), want


def _first(amount: np.ndarray, asked: np.ndarray, idle: np.ndarray, candidates: int) -> np.ndarray:
    """[b, m] regions in the order of preference as options; `asked` [b, m] is overwritten.

    First where the method has most, then the cheapest with room to spare, then the cheapest.
    """
    b, m = amount.shape
    row = np.arange(b)[:, None]
    if idle.any():
        spare = np.argsort(np.where(idle, asked, np.inf), axis=1, kind="stable")[:, :ESCAPES]
        open_to = idle[spare] & np.isfinite(asked[row, spare])
        asked[row, spare] = np.where(open_to, -np.finfo(float).max, asked[row, spare])
    most = np.argsort(-amount, axis=1, kind="stable")[:, : min(candidates, m)]
    asked[row, most] = np.where(amount[row, most] > 0, -np.inf, asked[row, most])
    return np.argsort(asked, axis=1, kind="stable")


def _idle(instance: Instance, pairs: Pairs, flows: Fraction) -> np.ndarray:
    """[m] bool, regions where the method leaves room."""
    use = np.broadcast_to(
        pairs.use(flows.row, flows.region), (len(flows.row), len(instance.resources))
    )
    load = np.stack(
        [np.bincount(flows.region, flows.amount * u, instance.regions) for u in use.T], 1
    )
    return np.asarray((load < (1 - SPARE) * instance.capacity).all(1))


def _filled(instance: Instance, pairs: Pairs, region: np.ndarray, duals: Duals) -> Core:
    """The core of all rows with these options, without units yet; the last one is "unplaced"."""
    limits = np.array([instance.policy.max_moves, instance.policy.carbon_cap_kg], float)
    on = np.isfinite(limits)
    fees = np.array([duals.moves, duals.carbon])[on]
    core = laid_out(pairs, np.arange(instance.rows), region, on, fees)
    core.room = np.vstack([instance.capacity, np.full((1, instance.capacity.shape[1]), np.inf)])
    core.purse = limits[on]
    return core


def with_plan(
    instance: Instance, answer: Answer, *, candidates: int, seed: int, deadline: float
) -> Answer:
    """The answer with a plan made from its fraction."""
    assert answer.fraction is not None
    plan = whole_units(
        instance,
        answer.fraction,
        answer.duals,
        candidates=candidates,
        seed=seed,
        deadline=deadline,
    )
    return dataclasses.replace(answer, plan=plan)
