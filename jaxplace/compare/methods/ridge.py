"""Accelerated dual ascent on the linear program with a ridge, as in DuaLip.

Each row minimises its reduced cost plus a ridge over its shares: a projection onto the simplex.
That makes the dual function smooth; Nesterov's steps climb it, and the ridge shrinks in stages.

References:
    Basu, Ghoting, Mazumder and Pan, ECLIPSE: An extreme-scale linear program solver for
    web-applications, ICML 2020 (DuaLip).
    Nesterov, A method of solving a convex programming problem with convergence rate O(1/k^2),
    Soviet Mathematics Doklady 27 (1983).
    O'Donoghue and Candes, Adaptive restart for accelerated gradient schemes, Foundations of
    Computational Mathematics 15 (2015).
"""

from itertools import pairwise

import numpy as np

from jaxplace.compare.answer import Answer, Task
from jaxplace.compare.model import Model
from jaxplace.compare.settings import Ridge
from jaxplace.native import compiled, spread


GROWTH = 2.0  # of the reach at each step that rises
HISTORY = 15  # steps whose slopes bound the next one, as DuaLip does
CHUNKS = 16  # of rows, for the threads
MARGIN = 0.5  # seconds kept for handing over


def ascent(task: Task) -> Answer:
    """The duals with the best exact bound, and the last ridge's shares."""
    settings: Ridge = task.settings
    model = Model.of(task.instance)
    dual = _Dual(model)
    point, ridge, trace = np.zeros(len(model.limit)), settings.first, []
    while True:
        point = _climb(dual, point, ridge, task, settings.steps)
        trace.append((task.spent(), None, float(dual.top) * model.usd))
        if ridge <= settings.last or task.left() <= MARGIN:
            break
        ridge = max(ridge / 2, settings.last)
    dual.respond(point, ridge)
    values = dual.share * dual.weight
    return Answer(
        fraction=model.fraction(values),
        duals=model.duals(dual.best * dual.scale),
        claimed_usd=float(model.cost @ values) * model.usd,
        claimed_bound_usd=float(dual.top) * model.usd,
        done=ridge <= settings.last and task.left() > MARGIN,
        trace=tuple(trace),
    )


class _Dual:
    """The dual function, smoothed by a ridge, over scaled duals; it keeps the best exact value.

    Attributes:
        scale: [limits] duals per scaled dual: what all rows could load, squared, is then 1.
        weight: [v] units of each variable's row; share: [v] of them, at the last point.
        best, top: the point with the highest exact value, and that value.
    """

    def __init__(self, model: Model) -> None:
        entries = model.entries
        self.model, self.share = model, np.zeros(len(model.row))
        self.weight = np.repeat(model.count, np.diff(model.start))
        power = entries.multiply(entries) @ self.weight
        self.scale = 1 / np.sqrt(np.where(power > 0, power, 1.0))
        self.best, self.top = np.zeros(len(model.limit)), -np.inf

    def respond(self, point: np.ndarray, ridge: float) -> tuple[np.ndarray, float]:
        """Slope [limits] and value of the smoothed function at a point."""
        model, entries, price = self.model, self.model.entries, point * self.scale

        def chunk(first: int, last: int) -> tuple[np.ndarray, float, float]:
            load = np.zeros(len(model.limit))
            return load, *_respond(
                model.cost, entries.indptr, entries.indices, entries.data, model.start,
                model.count, price, ridge, self.share, load, first, last)  # fmt: skip

        parts = spread(chunk, len(model.count), chunks=CHUNKS)
        load, least, smooth = (sum(part[k] for part in parts) for k in range(3))
        worth = float(price @ model.limit)
        if least - worth > self.top:
            self.best, self.top = point, least - worth
        return (load - model.limit) * self.scale, smooth - worth


def _climb(dual: _Dual, start: np.ndarray, ridge: float, task: Task, steps: int) -> np.ndarray:
    """The best point of some accelerated steps at one ridge.

    Where the value falls, momentum starts anew from the best point (O'Donoghue and Candes 2015),
    with half the reach.
    """
    last, ahead, turn, reach = start, start, 1.0, np.inf
    best, top, uphill = start, -np.inf, np.zeros_like(start)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    step = ridge
    for _ in range(steps):
        slope, value = dual.respond(ahead, ridge)
        seen = [*seen[-HISTORY:], (ahead, slope)]
        if value < top:
            reach, turn = step / 2, 1.0
            ahead, last, slope = best, best, uphill
        else:
            best, top, uphill, reach = ahead, value, slope, GROWTH * reach
        step = min(_step(seen, ridge), reach)
        point = np.maximum(ahead + step * slope, 0.0)
        follow = (1 + np.sqrt(1 + 4 * turn * turn)) / 2
        ahead = np.maximum(point + (turn - 1) / follow * (point - last), 0.0)
        last, turn = point, follow
        if task.left() <= MARGIN:
            break
    return best


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
    """Shares and load of the rows first to last; the exact and the smoothed least reduced cost.

    The projection onto the simplex is Michelot's: what falls below the threshold is dropped until
    nothing does.
    """
    total, smooth = 0.0, 0.0
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
        square = 0.0
        for v in range(low, high):
            share[v] = max(share[v] - threshold, 0.0)
            square += share[v] * share[v]
            if share[v] > 0:
                for e in range(starts[v], starts[v + 1]):
                    load[limits[e]] += share[v] * count[i] * uses[e]
        smooth += count[i] * (least - ridge * (threshold + square / 2))
    return total, smooth
