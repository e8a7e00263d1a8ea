"""Whole units where rows see the same costs: drawn from the relaxed plan, all regions at hand.

Rows that have hardly a preference are spread over more regions than a core could list, and their
nearest ones are the same for all: auctions over such lists push units out of full regions although
others have room.  But then it hardly matters which row goes where, as long as every region gets
what the relaxed plan has there: a row goes where it is drawn to while there is room, the largest
first, else to the cheapest region that has.
"""

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
from jaxplace.rounding.options import prices_of
from jaxplace.rounding.plan import STAGES, by_size


WIDE = 16.0  # regions that many rows are spread over: more than a core of all rows could list
LOOKED_AT = 10_000  # rows, to see over how many they are
SMALLEST = 0.1  # of a unit's use: regions with less room than the smallest such are full for all
PAIRS = 4_000_000  # of rows without room where they were drawn to, and regions, at a time


def alike(compiled: Compiled, relaxation: Relaxation) -> bool:
    """Whether many rows are spread over many regions, and no fleet budget counts."""
    problem = compiled.problem
    if np.isfinite(problem.budgets).any() or not problem.size:
        return False
    some = problem.take(np.unique(np.linspace(0, problem.size - 1, LOOKED_AT).astype(int)))
    response = respond(some, Constraints.of(some), relaxation.point, relaxation.temperature)
    return spread_of(some, response, MOST) > WIDE


def drawn_plan(compiled: Compiled, relaxation: Relaxation, seed: int) -> tuple[Assignment, float]:
    """A plan that keeps all capacities, and what it costs [USD].

    Args:
        compiled: the problem, without fleet budgets.
        relaxation: its duals and temperature.
        seed: of the one random offset.
    """
    problem, pairs = compiled.problem, compiled.pairs
    instance, duals = pairs.instance, Constraints.of(problem).duals(relaxation.point)
    prices, offset = prices_of(compiled, relaxation)[:-1], np.random.default_rng(seed).random()
    free, left = instance.capacity.astype(float), instance.count.astype(np.int64)
    flows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for group in by_size(problem, np.nonzero(problem.weight > 0)[0], STAGES):
        part = problem.take(group)  # in order of class: their draws are even, class by class
        chance = (offset + GOLDEN * np.arange(len(group))) % 1.0
        there = kernels.draw(part, duals, relaxation.temperature, chance)
        order = np.argsort(-problem.scale[group], kind="stable")
        row, there = compiled.order[group[order]], there[order]
        units = np.where(there >= 0, left[row], 0)
        use = pairs.use(row, np.maximum(there, 0))
        _fit(np.maximum(there, 0), use, units, free)
        left[row] -= units
        flows.append((row, there, units))
        flows += _elsewhere(pairs, row[(there >= 0) & (left[row] > 0)], prices, left, free)
    out = compiled.order[problem.weight > 0]
    flows += _elsewhere(pairs, out[left[out] > 0], prices, left, free)  # where room is left
    out = np.nonzero(left)[0]
    flows.append((out, np.full(len(out), NOWHERE, np.int32), left[out]))
    row, region, units = (np.concatenate(parts) for parts in zip(*flows, strict=True))
    stride = instance.regions - NOWHERE
    pair, place = np.unique(row * stride + region - NOWHERE, return_inverse=True)
    units = np.bincount(place, units, len(pair)).astype(np.int64)
    row, region = pair[units > 0] // stride, pair[units > 0] % stride + NOWHERE
    units, placed = units[units > 0], region != NOWHERE
    cost = pairs.cost(row[placed], region[placed]) @ units[placed] + instance.unplaced @ left
    return Assignment(row, region.astype(np.int32), units), float(cost)


def _elsewhere(
    pairs: Pairs, row: np.ndarray, prices: np.ndarray, left: np.ndarray, free: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Flows of units that are left to the regions that ask least and have room, row by row."""
    instance, flows, step = pairs.instance, [], max(PAIRS // pairs.instance.regions, 1)
    for some in (row[a : a + step] for a in range(0, len(row), step)):
        least = SMALLEST * instance.use[some].min(0)
        regions, column = np.nonzero((free >= least).all(1))[0], some[:, None]
        use, cost = pairs.use(column, regions), pairs.cost(column, regions)
        worth = pairs.allowed(column, regions) & (cost < instance.unplaced[column])
        asks = np.where(worth, cost + (use * prices[regions]).sum(-1), np.inf)
        found, units, room = np.zeros(asks.shape, np.int64), left[some], free[regions]
        _cheapest(asks, use, units, room, found)
        left[some], free[regions] = units, room
        i, j = np.nonzero(found)
        flows.append((some[i], regions[j].astype(np.int32), found[i, j]))
    return flows


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
