"""Which rows are decided, and where they go; which of them may have to move after all."""

import numpy as np

from jaxplace.instance import NOWHERE
from jaxplace.kernels import api as kernels
from jaxplace.native import spread
from jaxplace.problem import Compiled, Problem
from jaxplace.relax.anneal import Relaxation
from jaxplace.relax.ascent import Constraints
from jaxplace.repair.core import Core, prefix
from jaxplace.rounding.draw import systematic
from jaxplace.rounding.options import best


WINDOW = 12.0  # temperatures within which the second-best option makes a row undecided
MOST_ROWS = 300_000  # of a core
LIKELY = 8  # options of a row that the relaxed plan may spread it over
CHUNKS = 16  # parts of the rows, over the threads
HELP = 2.0  # times the room that units which are left out lack: what may move for them


def lead(compiled: Compiled, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best option of each problem row (-1: unplaced), and its scaled lead over the next per use."""
    problem = compiled.problem
    region, reduced = kernels.best_regions(problem, Constraints.of(problem).duals(point), k=2)
    region, reduced = np.asarray(region)[: problem.size], np.asarray(reduced)[: problem.size]
    out, scale = (
        np.asarray(v)[: problem.size] for v in (problem.rows.unplaced, problem.rows.scale)
    )
    left_out = out < reduced[:, 0]
    best = np.minimum(reduced[:, 0], out)
    second = np.where(left_out, reduced[:, 0], np.minimum(reduced[:, 1], out))
    return np.where(left_out, NOWHERE, region[:, 0]), (second - best) / scale


def nearest(problem: Problem, margin: np.ndarray, fewest: int) -> np.ndarray:
    """[n] bool: rows of the core, those near a tie; if too many, the largest and the nearest."""
    near = margin <= WINDOW
    size = int(np.clip(near.sum(), fewest, MOST_ROWS))
    if size >= len(margin):
        return np.ones(len(margin), bool)
    if near.sum() > size:  # the small rows that are left out are drawn, and their errors cancel
        scale = np.where(near, problem.scale, 0.0)
        large = np.argpartition(-scale, size // 2)[: size // 2]
        near[:] = False
        near[large] = True
        margin = np.where(near, np.inf, margin)
        size -= len(large)
    else:
        near[:] = False
    near[np.argpartition(margin, size)[:size]] = True
    return near


def _shares(
    problem: Problem, relaxation: Relaxation, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A few likely options [c, K] of some rows (-1: unplaced), and the relaxed plan's shares."""
    part, duals = problem.take(index), Constraints.of(problem).duals(relaxation.point)
    region, reduced = best(part, duals, min(LIKELY, problem.regions))
    rows = part.rows
    out, scale = (np.asarray(values)[: part.size, None] for values in (rows.unplaced, rows.scale))
    region = np.hstack([region, np.full((len(index), 1), NOWHERE)])
    asked = np.hstack([reduced, out]) / (relaxation.temperature * scale)
    share = np.exp(asked.min(1, keepdims=True) - asked, dtype=np.float64)
    return region, share / share.sum(1, keepdims=True)


def drawn(problem: Problem, relaxation: Relaxation, index: np.ndarray, seed: int) -> np.ndarray:
    """An option of each of some rows (-1: unplaced), all its units there, as often as its share."""
    region, share = _shares(problem, relaxation, index)
    likely = np.tile(np.minimum([0, 1], problem.regions), (len(index), 1))
    drawn = systematic(share, region, likely, seed).argmax(1)
    return np.take_along_axis(region, drawn[:, None], 1)[:, 0]


def asked(compiled: Compiled, relaxation: Relaxation, index: np.ndarray) -> np.ndarray:
    """[m, R] what the relaxed plan takes for some rows."""
    region, share = _shares(compiled.problem, relaxation, index)
    row = np.repeat(compiled.order[index], region.shape[1])
    units = share.ravel() * compiled.pairs.instance.count[row]
    return _load(compiled, row, region.ravel(), units)


def undecided(
    compiled: Compiled,
    first: np.ndarray,
    margin: np.ndarray,
    near: np.ndarray,
    room: np.ndarray,
) -> np.ndarray:
    """Problem rows of the core: those near a tie, and others that overload a region [m, R]."""
    instance, near = compiled.pairs.instance, near.copy()
    rest = np.nonzero(~near & (first >= 0))[0]
    row, region = compiled.order[rest], first[rest]
    load = _load(compiled, row, region, instance.count[row])
    full = np.asarray((load > room).any(axis=1))
    if full.any():  # the most certain rows stay, as far as they fit
        held = rest[full[region]]
        held = held[np.lexsort((-margin[held], first[held]))]
        row, region = compiled.order[held], first[held]
        use = compiled.pairs.use(row, region) * instance.count[row, None]
        over = (prefix(region, use) + use > room[region]).any(1)
        near[held[over]] = True
    return np.nonzero(near)[0]


def helpers(
    compiled: Compiled,
    first: np.ndarray,
    margin: np.ndarray,
    core: np.ndarray,
    parts: list[Core],
) -> np.ndarray:
    """Decided rows that could make room for units that are left out, those that mind least.

    A few large units may share their only regions with rows that are all decided.
    """
    need = np.zeros((len(parts[0].room), parts[0].use.shape[2]))
    for part in parts:
        out = np.nonzero(part.units[:, -1])[0]
        for k in range(part.cost.shape[1] - 1):
            wanted = out[np.isfinite(part.cost[out, k])]
            np.add.at(need, part.region[wanted, k], part.use[wanted, k] * part.units[wanted, -1:])
    open_to = np.asarray((need > 0).any(axis=1))[:-1]
    rest = np.nonzero(~among(core, compiled.problem.size) & (first >= 0))[0]
    rest = rest[open_to[first[rest]]]
    rest = rest[np.lexsort((margin[rest], first[rest]))]
    row, there = compiled.order[rest], first[rest]
    use = compiled.pairs.use(row, there) * compiled.pairs.instance.count[row, None]
    helps = (prefix(there, use) < HELP * need[there]).any(1)
    return np.sort(rest[helps])


def fixed(
    compiled: Compiled, first: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Load [m, R], use of the budgets [2] and cost [USD] of some rows at their first options."""
    instance, pairs = compiled.pairs.instance, compiled.pairs
    row, where = compiled.order[rows], first[rows]

    def part(start: int, stop: int) -> tuple[np.ndarray, float]:
        there, at = row[start:stop], where[start:stop]
        count, on = instance.count[there], at >= 0
        cost = np.where(on, pairs.cost(there, at), instance.unplaced[there])
        toll = pairs.budget_use(there, at) * (on * count)[:, None]
        return toll.sum(0), float(cost @ count)

    load = _load(compiled, row, where, instance.count[row])
    parts = spread(part, len(row), chunks=CHUNKS)
    return load, sum((toll for toll, _ in parts), np.zeros(2)), sum(cost for _, cost in parts)


def _load(compiled: Compiled, row: np.ndarray, region: np.ndarray, count: np.ndarray) -> np.ndarray:
    """[m, R] use of rows of the instance at their regions; -1 takes nothing."""
    size = compiled.pairs.instance.regions

    def part(start: int, stop: int) -> np.ndarray:
        there, at = row[start:stop], region[start:stop]
        use = compiled.pairs.use(there, at) * (count[start:stop] * (at >= 0))[:, None]
        return np.stack([np.bincount(np.maximum(at, 0), u, size) for u in use.T], 1)

    parts = spread(part, len(row), chunks=CHUNKS)
    return sum(parts, np.zeros((size, compiled.pairs.instance.use.shape[1])))


def among(index: np.ndarray, size: int) -> np.ndarray:
    """[size] bool: the rows that are in `index`."""
    inside = np.zeros(size, bool)
    inside[index] = True
    return inside
