"""The kernels for rows that choose from a short list of regions each.

Once the duals are near, a row's plan does not leave its few cheapest regions.  With their costs
laid out row by row, a pass costs n k instead of n m; a pass over all regions shows whether the
lists still hold.  And lists are in order: no option's reduced cost is below what it was where they
were made, less what its duals fell since, so most passes read little more than what has a share.
"""

import numpy as np
from numba import float32, uint64

from jaxplace.kernels.host.covariance import Covariance
from jaxplace.kernels.host.loops import CUT, FLOOR, LOG2E, LOWEST, ONE, exp2, fast, horizon, inner
from jaxplace.kernels.host.rows import FAR, chunks
from jaxplace.kernels.response import Response
from jaxplace.native import frozen, lent, longer, spread
from jaxplace.problem.problem import Duals, Problem


WIDTH = np.uint64(16)  # options that are read together
BLOCK = 128  # rows that know together which regions they list


def prices_of(duals: Duals, m: int) -> tuple[np.ndarray, np.ndarray]:
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
    rows = lists.cost.shape[1]
    weight, scale = _weights(problem)
    prices, asked = prices_of(duals, m)
    doubt = np.zeros(len(weight), np.float32)

    def part(start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sums, load, budget = np.zeros(3), np.zeros(prices.shape), np.zeros(len(asked))
        _respond(
            lists, weight, scale, prices, asked, temperature, start, stop, sums, load, budget, doubt
        )
        return sums, load, budget

    parts = spread(part, rows, chunks=chunks(rows))
    sums, load, spent = (np.sum([p[i] for p in parts], axis=0) for i in range(3))
    budget = np.zeros(2)
    budget[[duals.moves is not None, duals.carbon is not None]] = spent
    return Response(sums[0], sums[1], sums[2], load.T[:m], budget, doubt)


def curvature(problem: Problem, duals: Duals, temperature: float) -> Covariance:
    """See `xla.curvature`; shares below CUT are left out."""
    lists, (m, resources) = problem.lists, problem.limit.shape
    weight, scale = _weights(problem)
    prices, asked = prices_of(duals, m)

    def part(start: int, stop: int) -> tuple[np.ndarray, ...]:
        found: tuple[np.ndarray, ...] = _options(
            lists, weight, scale, prices, asked, temperature, start, stop
        )
        return found

    parts = spread(part, lists.cost.shape[1], chunks=2)
    return Covariance.of(m, resources, parts)


@inner
def block_of(i, seen):
    """The block of row i: of so many rows, or one for all."""
    return min(i // BLOCK, len(seen) - 1)


@inner
def _fall(lists, prices, asked, block, fall):
    """Fill `fall` [R + B] with what the duals of a block's regions, and the budgets', fell by."""
    seen, before = lists.seen, lists.prices
    resources = prices.shape[0]
    for r in range(resources):
        lowest = float32(0)
        for j in range(uint64(prices.shape[1])):
            change = (prices[r, j] - before[r, j]) * seen[block, j]
            lowest = change if change < lowest else lowest
        fall[r] = lowest
    for b in range(len(asked)):
        fall[resources + b] = min(asked[b] - lists.asked[b], float32(0))


@inner
def _soften(lists, prices, asked, fall, wide, i, share, least):
    """Fill `share` in those of the first tiles where `least` is below the limit.

    Returns how many tiles come first, the limit, the best, the sums of shares, of their squares
    and of what they lose.
    """
    region, cost, use, toll = lists.region, lists.cost, lists.use, lists.toll
    lower, best, tiles = float32(0), FAR, uint64(0)
    for r in range(len(fall)):
        lower += lists.most[r, i] * fall[r]
    for tile in range(lists.floor.shape[0]):
        if lists.floor[tile, i] + lower >= horizon(best, wide):
            break
        first, lowest = uint64(tile) * WIDTH, FAR
        tiles += uint64(1)
        for k in range(WIDTH):
            share[first + k] = cost[tile, i, k]
        for r in range(prices.shape[0]):
            for k in range(WIDTH):
                paid = prices[r, uint64(region[tile, i, k])]
                share[first + k] += use[r, tile, i, k] * paid
        for b in range(len(asked)):
            for k in range(WIDTH):
                share[first + k] += toll[b, tile, i, k] * asked[b]
        for k in range(first, first + WIDTH):
            lowest = share[k] if share[k] < lowest else lowest
        least[tile], best = lowest, min(lowest, best)
    limit, slope = horizon(best, wide), -LOG2E / wide
    total, square, regret = float32(0), float32(0), float32(0)
    for tile in range(tiles):
        if least[tile] >= limit:
            continue
        first = uint64(tile) * WIDTH
        for k in range(first, first + WIDTH):
            above = share[k] - best
            z = above * slope
            z = z if z > LOWEST else LOWEST
            value = exp2(z) - FLOOR
            share[k] = value
            total += value
            square += value * value
            regret += value * above
    return tiles, limit, best, total, square, regret


@fast
def _respond(
    lists, weight, scale, prices, asked, temperature, begin, stop, sums, load, budget, doubt
):
    lists, weight, scale, prices, asked, load, budget, doubt = lent(
        (lists, weight, scale, prices, asked, load, budget, doubt)
    )
    region, use, toll = lists.region, lists.use, lists.toll
    least = np.empty(region.shape[0], np.float32)
    share = np.empty(region.shape[0] * WIDTH, np.float32)
    fall, block = np.empty(len(lists.most), np.float32), -1
    value, exact, regrets = 0.0, 0.0, 0.0
    for i in range(begin, stop):
        w = weight[i]
        if w == 0:
            continue
        if block != block_of(i, lists.seen):
            block = block_of(i, lists.seen)
            _fall(lists, prices, asked, block, fall)
        wide = float32(temperature) * scale[i]
        tiles, limit, best, total, square, regret = _soften(
            lists, prices, asked, fall, wide, i, share, least
        )
        doubt[i] = ONE - square / (total * total)
        value += np.float64(w) * (best - (wide * np.log(total) if total > ONE else float32(0)))
        exact += np.float64(w) * best
        each = w / total
        regrets += np.float64(each) * regret
        for tile in range(tiles):
            if least[tile] >= limit:
                continue
            first = uint64(tile) * WIDTH
            for r in range(prices.shape[0]):
                for k in range(WIDTH):
                    part = each * share[first + k] * use[r, tile, i, k]
                    load[r, uint64(region[tile, i, k])] += part
        for b in range(len(asked)):  # apart: a loop that hardly ever runs slows the one above
            spent = float32(0)
            for tile in range(tiles):
                if least[tile] < limit:
                    for k in range(WIDTH):
                        spent += share[uint64(tile) * WIDTH + k] * toll[b, tile, i, k]
            budget[b] += np.float64(each) * spent
    sums[0], sums[1], sums[2] = value, exact, regrets


@fast
def _options(lists, weight, scale, prices, asked, temperature, begin, stop):
    lists, weight, scale, prices, asked = lent((lists, weight, scale, prices, asked))
    region, use, toll = lists.region, lists.use, lists.toll
    outside, resources, budgets = prices.shape[1] - 1, prices.shape[0], len(asked)
    least = np.empty(region.shape[0], np.float32)
    share = np.empty(region.shape[0] * WIDTH, np.float32)
    fall, block = np.empty(len(lists.most), np.float32), -1
    count, weights = np.zeros(stop - begin, np.int64), np.zeros(stop - begin)
    where, shares = np.empty(0, np.int32), np.empty(0, np.float32)
    each, takes, used = resources + budgets, np.empty(0, np.float32), 0
    for i in range(begin, stop):
        if weight[i] == 0:
            continue
        if block != block_of(i, lists.seen):
            block = block_of(i, lists.seen)
            _fall(lists, prices, asked, block, fall)
        wide, before, needed = float32(temperature) * scale[i], used, used + len(share)
        where, shares = longer(where, needed), longer(shares, needed)
        takes = longer(takes, needed * each)
        tiles, limit, _, total, _, _ = _soften(lists, prices, asked, fall, wide, i, share, least)
        for tile in range(tiles):
            if least[tile] >= limit:
                continue
            for k in range(WIDTH):
                part = share[uint64(tile) * WIDTH + k]
                if region[tile, i, k] == outside or part <= CUT * total:
                    continue
                where[used], shares[used] = region[tile, i, k], part / total
                at = used * each
                for r in range(resources):
                    takes[at + r] = use[r, tile, i, k]
                for b in range(budgets):
                    takes[at + resources + b] = toll[b, tile, i, k]
                used += 1
        count[i - begin], weights[i - begin] = used - before, np.float64(weight[i]) / wide
    return count, weights, where[:used], shares[:used], takes[: used * each].reshape(used, each)
