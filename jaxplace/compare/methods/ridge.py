"""Accelerated dual ascent on the linear program with a ridge, as in DuaLip.

Each row minimises its reduced cost plus a ridge over its shares: a projection onto the simplex.
That makes the dual function smooth; Nesterov's steps climb it, and the ridge shrinks in stages.

References:
    Basu, Ghoting, Mazumder and Pan, ECLIPSE: An extreme-scale linear program solver for
    web-applications, ICML 2020 (DuaLip).
    Nesterov, A method of solving a convex programming problem with convergence rate O(1/k^2),
    Soviet Mathematics Doklady 27 (1983).
"""

from itertools import pairwise

import numpy as np

from jaxplace.compare.answer import Answer, Task
from jaxplace.compare.model import Model
from jaxplace.compare.settings import Ridge
from jaxplace.native import compiled, spread


HISTORY = 15  # steps whose slopes bound the next one, as DuaLip does
CHUNKS = 16  # of rows, for the threads
MARGIN = 0.5  # seconds kept for handing over


def ascent(task: Task) -> Answer:
    """The duals with the best exact bound, and the last ridge's shares."""
    settings: Ridge = task.settings
    model = Model.of(task.instance)
    entries, share = model.entries, np.zeros(len(model.row))
    # limits of equal weight: what all rows could load, squared
    weight = np.repeat(model.count, np.diff(model.start))
    power = (entries.multiply(entries) @ weight) if entries.nnz else np.ones(len(model.limit))
    scale = 1 / np.sqrt(np.where(power > 0, power, 1.0))

    def respond(point: np.ndarray, ridge: float) -> tuple[np.ndarray, float]:
        price = point * scale

        def chunk(first: int, last: int) -> tuple[np.ndarray, float]:
            load = np.zeros(len(model.limit))
            return load, _respond(
                model.cost, entries.indptr, entries.indices, entries.data, model.start,
                model.count, price, ridge, share, load, first, last)  # fmt: skip

        parts = spread(chunk, len(model.count), chunks=CHUNKS)
        load, least = sum(p[0] for p in parts), sum(p[1] for p in parts)
        return (load - model.limit) * scale, least - float(price @ model.limit)

    point = np.zeros(len(model.limit))
    best, top, ridge = point, -np.inf, settings.first
    trace = []
    while task.left() > MARGIN:
        last, ahead, turn = point, point, 1.0
        seen: list[tuple[np.ndarray, np.ndarray]] = []
        for _ in range(settings.steps):
            slope, value = respond(ahead, ridge)
            if value > top:
                best, top = ahead, value
            seen = [*seen[-HISTORY:], (ahead, slope)]
            point = np.maximum(ahead + _step(seen, ridge) * slope, 0.0)
            if (point - last) @ slope < 0:  # overshot: momentum starts anew
                turn = 1.0
            follow = (1 + np.sqrt(1 + 4 * turn * turn)) / 2
            ahead = np.maximum(point + (turn - 1) / follow * (point - last), 0.0)
            last, turn = point, follow
            if task.left() <= MARGIN:
                break
        trace.append((task.spent(), None, float(top) * model.usd))
        if ridge <= settings.last:
            break
        ridge = max(ridge / 2, settings.last)
    respond(point, ridge)
    values = share * weight
    return Answer(
        fraction=model.fraction(values),
        duals=model.duals(best * scale),
        claimed_usd=float(model.cost @ values) * model.usd,
        claimed_bound_usd=float(top) * model.usd,
        done=ridge <= settings.last and task.left() > MARGIN,
        trace=tuple(trace),
    )


def _step(seen: list[tuple[np.ndarray, np.ndarray]], ridge: float) -> float:
    """One over the steepest change of slope among the last steps."""
    steepest = 0.0
    for (a, da), (b, db) in pairwise(seen):
        far = float(np.linalg.norm(b - a))
        if far > 0:
            steepest = max(steepest, float(np.linalg.norm(db - da)) / far)
    return 1 / steepest if steepest > 0 else ridge


@compiled
def _respond(cost, starts, limits, uses, start, count, price, ridge, share, load, first, last):  # type: ignore[no-untyped-def]
    """Shares of the rows first to last, with their load; returns the exact least reduced cost.

    The projection onto the simplex is Michelot's: what falls below the threshold is dropped until
    nothing does.
    """
    total = 0.0
    for i in range(first, last):
        low, high = start[i], start[i + 1]
        least = np.inf
        for v in range(low, high):
            asked = cost[v]
            for e in range(starts[v], starts[v + 1]):
                asked += uses[e] * price[limits[e]]
            share[v] = asked
            least = min(least, asked)
        total += count[i] * least
        for v in range(low, high):
            share[v] = (least - share[v]) / ridge
        threshold, kept = -1.0, 0
        while True:  # those above the threshold share what is left of one
            mass, number = -1.0, 0
            for v in range(low, high):
                if share[v] > threshold:
                    mass += share[v]
                    number += 1
            threshold = mass / number
            if number == kept:
                break
            kept = number
        for v in range(low, high):
            share[v] = max(share[v] - threshold, 0.0)
            if share[v] > 0:
                for e in range(starts[v], starts[v + 1]):
                    load[limits[e]] += share[v] * count[i] * uses[e]
    return total
