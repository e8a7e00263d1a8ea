"""Whole units where rows see the same costs: drawn from the relaxed plan, all regions at hand.

Rows that have hardly a preference are spread over more regions than a core could list, and their
nearest ones are the same for all: auctions over such lists push units out of full regions although
others have room.  But then it hardly matters which row goes where, as long as every region gets
what the relaxed plan has there: a row goes where it is drawn to while there is room, the largest
first, else to the cheapest region that has.  What chance leaves idle where capacity has a price is
then filled with units that cost more elsewhere.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from jaxplace.instance import NOWHERE
from jaxplace.kernels import api as kernels
from jaxplace.native import compiled as machine_code
from jaxplace.placement import Assignment
from jaxplace.problem import Compiled, Pairs
from jaxplace.relax.anneal import MOST, Relaxation
from jaxplace.relax.ascent import Constraints, respond, spread_of
from jaxplace.rounding.draw import GOLDEN
from jaxplace.rounding.options import best, prices_of
from jaxplace.rounding.plan import STAGES, by_size


WIDE = 16.0  # regions that many rows are spread over: more than a core of all rows could list
LOOKED_AT = 10_000  # rows, to see over how many they are
SMALLEST = 0.1  # of a unit's use: regions with less room than the smallest such are full for all
PAIRS = 4_000_000  # of rows without room where they were drawn to, and regions, at a time
LAST = 64  # rows that fit and may be left out for what others leave over
FILLS = 3  # times that units go where they cost less,
IDLE = 1e-4  # of the plan's cost: what room that stands idle must be worth
HAIR = 1e-9  # of a cost: a smaller saving is rounding

Flows = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, regions (int32) and units, one each


def alike(compiled: Compiled, relaxation: Relaxation) -> bool:
    """Whether many rows are spread over many regions, and no fleet budget counts."""
    problem = compiled.problem
    if np.isfinite(problem.budgets).any() or not problem.size:
        return False
    some = problem.take(np.unique(np.linspace(0, problem.size - 1, LOOKED_AT).astype(int)))
    response = respond(some, Constraints.of(some), relaxation.point, relaxation.temperature)
    return spread_of(some, response, MOST) > WIDE


def drawn_plans(
    compiled: Compiled, relaxation: Relaxation, seed: int
) -> Iterator[tuple[Assignment, float]]:
    """Plans that keep all capacities, and what each costs [USD]: ever others, by chance.

    Args:
        compiled: the problem, without fleet budgets.
        relaxation: its duals and temperature.
        seed: of the offsets of the draws, one a plan.
    """
    problem = compiled.problem
    groups = by_size(problem, _affordable(compiled, relaxation), STAGES)
    groups = [group[np.argsort(-problem.scale[group], kind="stable")] for group in groups]
    chance = np.random.default_rng(seed)
    while True:
        yield _drawn(compiled, relaxation, groups, chance.random())


def _drawn(
    compiled: Compiled, relaxation: Relaxation, groups: list[np.ndarray], offset: float
) -> tuple[Assignment, float]:
    """One plan, of problem rows that are drawn one group after the other, the largest first."""
    problem, pairs = compiled.problem, compiled.pairs
    instance, duals = pairs.instance, Constraints.of(problem).duals(relaxation.point)
    prices = prices_of(compiled, relaxation)[:-1]
    free, left = instance.capacity.astype(float), instance.count.astype(np.int64)
    flows: list[Flows] = []
    for group in groups:
        chance = (offset + GOLDEN * np.arange(len(group))) % 1.0  # even draws of every size
        there = kernels.draw(problem.take(group), duals, relaxation.temperature, chance)
        row, units = compiled.order[group], np.where(there >= 0, left[compiled.order[group]], 0)
        there = np.maximum(there, 0)
        _fit(there, pairs.use(row, there), units, free)
        left[row] -= units
        flows.append((row, there, units))
        flows += _elsewhere(pairs, row[left[row] > 0], prices, left, free)
    out = compiled.order[problem.weight > 0]
    flows += _elsewhere(pairs, out[left[out] > 0], prices, left, free)  # where room is left
    placed = _joined(flows, instance.regions)
    for _ in range(FILLS):
        cost = pairs.cost(*placed[:2]) @ placed[2] + instance.unplaced @ left
        if (free * prices).sum() <= IDLE * abs(cost):
            break
        placed = _filled(compiled, placed, prices, free)
    row, region, units = placed
    cost = pairs.cost(row, region) @ units + instance.unplaced @ left
    out = np.nonzero(left)[0]
    row, units = np.concatenate([row, out]), np.concatenate([units, left[out]])
    region = np.concatenate([region, np.full(len(out), NOWHERE, np.int32)])
    order = np.lexsort((region, row))
    return Assignment(row[order], region[order], units[order]), float(cost)


def _affordable(compiled: Compiled, relaxation: Relaxation) -> np.ndarray:
    """Problem rows that go in: without those worth least for their size, if all are too many.

    Otherwise small rows, which come last and are worth most for what they take, would stay out.
    So that little room is left over, one of the last that fit makes way for others.
    """
    problem, pairs = compiled.problem, compiled.pairs
    index = np.nonzero(problem.weight > 0)[0]
    part, duals = problem.take(index), Constraints.of(problem).duals(relaxation.point)
    region, reduced = best(part, duals, 1)
    worth = np.asarray(part.rows.unplaced, float)[: part.size] - reduced[:, 0]
    first = np.argsort(-worth / part.scale, kind="stable")
    row, region, count = compiled.order[index[first]], region[first, 0], pairs.instance.count
    prices, capacity = prices_of(compiled, relaxation)[:-1], pairs.instance.capacity
    level = (prices * capacity).sum(0) / np.maximum(capacity.sum(0), 1e-300)  # [R] usual prices
    use = pairs.use(row, region) * count[row, None]
    saved = worth[first] * problem.scaling.cost * count[row] + use @ level
    room, taken = capacity.sum(0), np.cumsum(use, axis=0)
    fit = int((taken <= room).all(1).sum())
    if fit == len(first):
        return index
    sure = max(fit - LAST, 0)
    last, beyond = np.arange(sure, fit), np.arange(fit, len(first))
    beyond = beyond[np.argsort(-use[beyond].sum(1), kind="stable")]

    def without(one: int) -> np.ndarray:
        order = np.concatenate([last[last != one], beyond])
        return order[_within(use[order], room - taken[sure] + use[sure])]

    chosen = max(map(without, [-1, *last]), key=lambda some: saved[some].sum())
    return np.sort(index[first[np.concatenate([np.arange(sure), chosen])]])


def _joined(flows: list[Flows], regions: int) -> Flows:
    """Flows as one, sorted by row and region, without those of no unit."""
    row, region, units = (np.concatenate(parts) for parts in zip(*flows, strict=True))
    pair, place = np.unique(row * regions + region, return_inverse=True)
    units = np.bincount(place, units, len(pair)).astype(np.int64)
    pair, units = pair[units > 0], units[units > 0]
    return pair // regions, (pair % regions).astype(np.int32), units


def _filled(compiled: Compiled, placed: Flows, prices: np.ndarray, free: np.ndarray) -> Flows:
    """The flows, after units went where they cost less and room that has a price was left."""
    pairs, scale = compiled.pairs, np.empty(compiled.pairs.instance.rows)
    scale[compiled.order] = compiled.problem.scale
    order, flows = np.argsort(-scale[placed[0]], kind="stable"), []
    for some in _chunks(order, len(free)):
        row, home, units = (values[some] for values in placed)
        now, stay = pairs.cost(row, home), units.copy()
        priced = (free * prices).any(1)
        flows.append(_moved(pairs, row, now - HAIR * np.abs(now), priced, None, stay, free))
        flows.append((row, home, stay))
        np.add.at(free, home, pairs.use(row, home) * (units - stay)[:, None])
    return _joined(flows, len(free)) if flows else placed


def _elsewhere(
    pairs: Pairs, row: np.ndarray, prices: np.ndarray, left: np.ndarray, free: np.ndarray
) -> list[Flows]:
    """Flows of units that are left to the regions that ask least and have room, row by row."""
    flows, open_to_all = [], np.ones(len(free), bool)
    for some in _chunks(row, len(free)):
        units, unplaced = left[some], pairs.instance.unplaced[some]
        flows.append(_moved(pairs, some, unplaced, open_to_all, prices, units, free))
        left[some] = units
    return flows


def _chunks(index: np.ndarray, regions: int) -> Iterator[np.ndarray]:
    """Parts of an index, each of so many rows that its pairs with all regions are few enough."""
    step = max(PAIRS // regions, 1)
    return (index[start : start + step] for start in range(0, len(index), step))


def _moved(
    pairs: Pairs,
    row: np.ndarray,
    below: np.ndarray,
    among: np.ndarray,
    prices: np.ndarray | None,
    units: np.ndarray,
    free: np.ndarray,
) -> Flows:
    """Flows of rows' `units` to regions with room, which both shrink, row by row.

    Args:
        pairs: of the instance.
        row: [c] its rows.
        below: [c] what a region must cost less than [USD].
        among: [m] bool, regions that are asked.
        prices: [m, R] what they ask above their cost [USD per use], if anything.
        units: [c] to be moved.
        free: [m, R] room.
    """
    least, column = SMALLEST * pairs.instance.use[row].min(0), row[:, None]
    there = np.nonzero(among & (free >= least).all(1))[0]
    use, cost = pairs.use(column, there), pairs.cost(column, there)
    worth = pairs.allowed(column, there) & (cost < below[:, None])
    if prices is not None:
        cost = cost + (use * prices[there]).sum(-1)
    found, room = np.zeros(cost.shape, np.int64), free[there]
    _cheapest(np.where(worth, cost, np.inf), use, units, room, found)
    free[there] = room
    i, j = np.nonzero(found)
    return row[i], there[j].astype(np.int32), found[i, j]


@partial(machine_code, inline=True)
def _take(use, most, left):  # type: ignore[no-untyped-def]
    """How many of `most` units fit into what is `left` [R], and take it."""
    for r in range(len(left)):
        if use[r] * most > left[r]:
            most = max(int(left[r] / use[r]), 0)
            if use[r] * most > left[r]:  # the quotient was rounded up
                most -= 1
    for r in range(len(left)):
        left[r] -= use[r] * most
    return most


@machine_code
def _within(use, left):  # type: ignore[no-untyped-def]
    """[c] bool: those that fit, one after the other, into what is `left` [R]."""
    inside = np.zeros(len(use), np.bool_)
    for i in range(len(use)):
        inside[i] = True
        for r in range(len(left)):
            inside[i] = inside[i] and use[i, r] <= left[r]
        for r in range(len(left)):
            left[r] -= use[i, r] * inside[i]
    return inside


@machine_code
def _fit(there, use, units, free):  # type: ignore[no-untyped-def]
    """Make `units` [c] what fits at `there` [c], one after the other, and take it from `free`."""
    for i in range(len(there)):
        units[i] = _take(use[i], units[i], free[there[i]])


@machine_code
def _cheapest(asks, use, units, free, found):  # type: ignore[no-untyped-def]
    """Move `units` [c] to `found` [c, m], each row's to what asks least while a unit fits there."""
    for i in range(asks.shape[0]):
        while units[i] > 0:
            best, place = np.inf, -1
            for j in range(asks.shape[1]):
                if asks[i, j] < best:
                    fits = True
                    for r in range(free.shape[1]):
                        fits = fits and use[i, j, r] <= free[j, r]
                    if fits:
                        best, place = asks[i, j], j
            if place < 0:
                break
            taken = _take(use[i, place], units[i], free[place])
            found[i, place] += taken
            units[i] -= taken
