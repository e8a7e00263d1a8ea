"""The options of undecided rows, and units near the relaxed plan's shares."""

from dataclasses import dataclass

import numpy as np

from jaxplace.kernels import api as kernels
from jaxplace.problem import Compiled, Duals, Pairs, Problem
from jaxplace.relax.anneal import Relaxation
from jaxplace.relax.ascent import Constraints, respond, spread_of
from jaxplace.repair.core import Core
from jaxplace.rounding.draw import systematic


ALL_OPTIONS = 200_000  # pairs up to which every region is an option
MOST_OPTIONS = 4_000_000  # rows times options that are kept
SPARE_OPTIONS = 4.0  # options kept for each one that the most spread rows use,
NEARLY_ALL = 0.999  # but for a few of them
ESCAPES = 2  # options kept beside them: the cheapest regions whose capacity has no price
CLOSED = 1e25  # a dual that nobody pays


@dataclass(frozen=True)
class Options:
    """Makes cores of problem rows: their options, and units near the relaxed plan's shares."""

    compiled: Compiled
    candidates: int
    seed: int

    def round(
        self, relaxation: Relaxation, index: np.ndarray
    ) -> tuple[Core, np.ndarray, np.ndarray]:
        """A core of some rows.

        Beside it what each option asks above the best, in temperatures, and the units that the
        relaxed plan has there, both [c, K].
        """
        core, asks = _core(self.compiled, relaxation, index, self.candidates)
        spread = relaxation.temperature * self.compiled.problem.scaling.cost
        scale = self.compiled.problem.scale[index]
        count = self.compiled.pairs.instance.count[core.row]
        asks = asks / (spread * scale)[:, None]
        asks -= asks.min(1, keepdims=True)
        share = np.exp(-asks)
        want = share / share.sum(1, keepdims=True) * count[:, None]
        nearest = np.tile(np.minimum([0, 1], want.shape[1] - 1), (len(want), 1))
        core.units[:] = systematic(want, core.region, nearest, self.seed)
        return core, asks, want


def _core(
    compiled: Compiled, relaxation: Relaxation, index: np.ndarray, candidates: int
) -> tuple[Core, np.ndarray]:
    """The core of some problem rows, without units yet; and what each option asks for [c, K]."""
    of = Constraints.of(compiled.problem)
    problem, instance = compiled.problem, compiled.pairs.instance
    region, reduced = _cheapest(problem, of, relaxation, index, candidates)
    outside = np.full((len(index), 1), instance.regions, np.int32)
    region = np.hstack([np.where(np.isfinite(reduced), region, instance.regions), outside])
    budgets, fees = np.isfinite(problem.budgets), fees_of(compiled, relaxation)
    core = laid_out(compiled.pairs, compiled.order[index], region, budgets, fees)
    return core, core.asks(prices_of(compiled, relaxation))


def laid_out(
    pairs: Pairs, row: np.ndarray, region: np.ndarray, budgets: np.ndarray, fees: np.ndarray
) -> Core:
    """A core with these options, without units, room or purse yet.

    Args:
        pairs: of the instance.
        row: [c] its rows.
        region: [c, K] options; m where one is only padding, and for the last one, "unplaced".
        budgets: [2] bool, which of the fleet budgets are set.
        fees: [B] their duals [USD per toll].
    """
    instance, column = pairs.instance, row[:, None]
    known = region < instance.regions
    inside = np.where(known, region, 0)
    cost = np.where(known, pairs.cost(column, inside), np.inf)
    cost[:, -1] = instance.unplaced[row]
    toll = np.zeros((*region.shape, int(budgets.sum())))
    if budgets.any():
        toll = np.where(known[..., None], pairs.budget_use(column, inside)[..., budgets], 0.0)
    return Core(
        row=row,
        region=region,
        cost=cost,
        use=np.where(known[..., None], pairs.use(column, inside), 0.0),
        toll=toll,
        guide=cost + toll @ fees,
        units=np.zeros(region.shape, np.int64),
        room=np.empty(0),
        purse=np.empty(0),
    )


def _cheapest(
    problem: Problem, of: Constraints, relaxation: Relaxation, index: np.ndarray, candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Regions [c, K] with the least reduced costs, in rising order, and those costs.

    K is `candidates`, and a few regions with idle capacity.
    """
    part, duals = problem.take(index), of.duals(relaxation.point)
    near, value = best(part, duals, candidates)
    priced = np.asarray((np.asarray(duals.capacity) > 0).any(axis=1))
    if not priced[: problem.regions].all():  # somewhere to go when all the near ones are full
        closed = np.where(priced[:, None], np.float32(CLOSED), np.asarray(duals.capacity))
        far, least = best(part, duals._replace(capacity=closed), ESCAPES)
        again = (far[:, :, None] == near[:, None]).any(2)
        near = np.hstack([near, far])
        value = np.hstack([value, np.where(again, np.inf, least)])
    order = np.lexsort((near, value), axis=1)
    return np.take_along_axis(near, order, 1), np.take_along_axis(value, order, 1)


def best(problem: Problem, duals: Duals, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`kernels.best_regions` of the rows that are not padding; inf at closed regions."""
    region, reduced = kernels.best_regions(problem, duals, k=k)
    region, reduced = np.asarray(region)[: problem.size], np.asarray(reduced)[: problem.size]
    return region, np.where(reduced < CLOSED / 1e10, reduced, np.inf)


def wanted(problem: Problem, relaxation: Relaxation, index: np.ndarray, least: int) -> int:
    """Options to keep per row: enough for the rows that the relaxed plan spreads most."""
    if not len(index):
        return least
    if len(index) * problem.regions <= ALL_OPTIONS:
        return problem.regions
    part = problem.take(index)
    of = Constraints.of(problem)
    response = respond(part, of, relaxation.point, relaxation.temperature)
    wanted = int(np.ceil(SPARE_OPTIONS * spread_of(part, response, NEARLY_ALL)))
    most = max(MOST_OPTIONS // len(index), least)
    return int(np.clip(wanted, least, most))


def fees_of(compiled: Compiled, relaxation: Relaxation) -> np.ndarray:
    """[B] duals of the fleet budgets that are set, in USD per toll."""
    problem = compiled.problem
    return relaxation.point[problem.limit.size :] * problem.scaling.cost


def prices_of(compiled: Compiled, relaxation: Relaxation) -> np.ndarray:
    """[m + 1, R] capacity duals in USD per unit of use, 0 at the unplaced option."""
    problem = compiled.problem
    scaled = relaxation.point[: problem.limit.size].reshape(problem.limit.shape)
    prices = problem.scaling.duals(scaled[: problem.regions])
    return np.vstack([prices, np.zeros((1, prices.shape[1]))])
