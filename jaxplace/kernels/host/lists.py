"""The kernels for rows that choose from a short list of regions each.

Once the duals are near, a row's plan does not leave its few cheapest regions.  With their costs
laid out row by row, a pass costs n k instead of n m; a pass over all regions shows whether the
lists still hold.
"""

import numpy as np
from numba import float32, uint64

from jaxplace.kernels.host.covariance import Covariance
from jaxplace.kernels.host.loops import CUT, FLOOR, LOG2E, LOWEST, ONE, exp2, fast, horizon, inner
from jaxplace.kernels.host.rows import FAR, chunks
from jaxplace.kernels.response import Response
from jaxplace.native import frozen, lent, spread
from jaxplace.problem.problem import Duals, Problem


def _prices(duals: Duals, m: int) -> tuple[np.ndarray, np.ndarray]:
    """[R, m + 1] capacity duals, 0 at "unplaced", and those of the budgets that are set."""
    capacity = np.asarray(duals.capacity, np.float32)
    prices = np.zeros((capacity.shape[1], m + 1), np.float32)
    prices[:, :m] = capacity.T
    asked = [dual for dual in (duals.moves, duals.carbon) if dual is not None]
    return prices, np.array(asked, np.float32)


def _weights(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """[N] f32 units of each row, and what its temperature is multiplied by."""
    rows = problem.rows
    return frozen(np.asarray(rows.weight), np.float32), frozen(np.asarray(rows.scale), np.float32)


def respond(problem: Problem, duals: Duals, temperature: float) -> Response:
    """See `xla.respond`."""
    lists, m = problem.lists, problem.limit.shape[0]
    weight, scale = _weights(problem)
    prices, asked = _prices(duals, m)
    doubt = np.empty(len(weight), np.float32)

    def part(start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sums, load, budget = np.zeros(3), np.zeros(prices.shape), np.zeros(len(asked))
        _respond(
            lists.region, lists.cost, lists.use, lists.toll, weight, scale, prices, asked,
            temperature, start, stop, sums, load, budget, doubt)  # fmt: skip
        return sums, load, budget

    parts = spread(part, len(weight), chunks=chunks(len(weight)))
    sums, load, spent = (np.sum([p[i] for p in parts], axis=0) for i in range(3))
    budget = np.zeros(2)
    budget[[duals.moves is not None, duals.carbon is not None]] = spent
    return Response(sums[0], sums[1], sums[2], load.T[:m], budget, doubt)


def curvature(problem: Problem, duals: Duals, temperature: float) -> Covariance:
    """See `xla.curvature`; shares below CUT are left out."""
    lists, (m, resources) = problem.lists, problem.limit.shape
    weight, scale = _weights(problem)
    prices, asked = _prices(duals, m)

    def part(start: int, stop: int) -> tuple[np.ndarray, ...]:
        found: tuple[np.ndarray, ...] = _options(
            lists.region, lists.cost, lists.use, lists.toll, weight, scale, prices, asked,
            temperature, start, stop)  # fmt: skip
        return found

    parts = spread(part, len(weight), chunks=2)
    return Covariance.of(m * resources + len(asked), resources, parts)


@inner
def _soften(region, cost, use, toll, prices, asked, wide, i, share, slot):
    """Fill the first of `share` and `slot` with the shares that count, and whose they are.

    Returns how many, the best, the sums of shares, of their squares and of what they lose.
    """
    options = uint64(region.shape[1])
    for k in range(options):
        share[k] = cost[i, k]
    for r in range(prices.shape[0]):
        for k in range(options):
            share[k] += use[i, r, k] * prices[r, uint64(region[i, k])]
    for b in range(len(asked)):
        for k in range(options):
            share[k] += toll[i, b, k] * asked[b]
    best = FAR
    for k in range(options):
        best = share[k] if share[k] < best else best
    limit, active = horizon(best, wide), uint64(0)
    for k in range(options):  # without a branch
        left = share[k]
        share[active], slot[active] = left, k
        active += uint64(left < limit)
    slope = -LOG2E / wide
    total, square, regret = float32(0), float32(0), float32(0)
    for n in range(active):
        above = share[n] - best
        z = above * slope
        z = z if z > LOWEST else LOWEST
        value = exp2(z) - FLOOR
        share[n] = value
        total += value
        square += value * value
        regret += value * above
    return active, best, total, square, regret


@fast
def _respond(
    region, cost, use, toll, weight, scale, prices, asked, temperature, begin, stop, sums, load,
    budget, doubt):  # fmt: skip
    region, cost, use, toll, weight, scale, prices, asked = lent(
        (region, cost, use, toll, weight, scale, prices, asked)
    )
    share, slot = np.empty(region.shape[1], np.float32), np.empty(region.shape[1], np.int32)
    resources, budgets = uint64(prices.shape[0]), uint64(len(asked))
    value, exact, regrets = 0.0, 0.0, 0.0
    for i in range(begin, stop):
        w = weight[i]
        if w == 0:
            doubt[i] = 0
            continue
        wide = float32(temperature) * scale[i]
        active, best, total, square, regret = _soften(
            region, cost, use, toll, prices, asked, wide, i, share, slot
        )
        doubt[i] = ONE - square / (total * total)
        value += np.float64(w) * (best - (wide * np.log(total) if total > ONE else float32(0)))
        exact += np.float64(w) * best
        each = w / total
        regrets += np.float64(each) * regret
        for n in range(active):
            k, part = uint64(slot[n]), each * share[n]
            for r in range(resources):
                load[r, uint64(region[i, k])] += part * use[i, r, k]
            for b in range(budgets):
                budget[b] += part * toll[i, b, k]
    sums[0], sums[1], sums[2] = value, exact, regrets


@fast
def _options(region, cost, use, toll, weight, scale, prices, asked, temperature, begin, stop):
    region, cost, use, toll, weight, scale, prices, asked = lent(
        (region, cost, use, toll, weight, scale, prices, asked)
    )
    outside, resources, budgets = prices.shape[1] - 1, prices.shape[0], len(asked)
    share, slot = np.empty(region.shape[1], np.float32), np.empty(region.shape[1], np.int32)
    most = (stop - begin) * region.shape[1]
    count, weights = np.zeros(stop - begin, np.int64), np.zeros(stop - begin)
    where, shares = np.empty(most, np.int32), np.empty(most, np.float32)
    takes, used = np.empty((most, resources + budgets), np.float32), 0
    for i in range(begin, stop):
        if weight[i] == 0:
            continue
        wide, before = float32(temperature) * scale[i], used
        active, _, total, _, _ = _soften(
            region, cost, use, toll, prices, asked, wide, i, share, slot
        )
        for n in range(active):
            k = uint64(slot[n])
            if region[i, k] == outside or share[n] <= CUT * total:
                continue
            where[used], shares[used] = region[i, k], share[n] / total
            for r in range(resources):
                takes[used, r] = use[i, r, k]
            for b in range(budgets):
                takes[used, resources + b] = toll[i, b, k]
            used += 1
        count[i - begin], weights[i - begin] = used - before, np.float64(weight[i]) / wide
    return count, weights, where[:used], shares[:used], takes[:used]
