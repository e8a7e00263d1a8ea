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


HISTORY = 15  # steps whose slopes bound the next one, as DuaLip does
CHUNKS = 16  # of rows, for the threads
MARGIN = 0.5  # seconds kept for handing over


def ascent(task: Task) -> Answer:
    """The duals with the best exact bound, and the last ridge's shares."""
    settings: Ridge = task.settings
    model = Model.of(task.instance)
    dual = _Dual(model)
    ridge, trace = settings.first, []
    while True:
        _climb(dual, dual.best, ridge, task, settings.steps)
        trace.append((task.spent(), None, float(dual.top) * model.usd))
        if ridge <= settings.last or task.left() <= MARGIN:
            break
        ridge = max(ridge / 2, settings.last)
    dual.respond(dual.best, ridge)
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

    def respond(self, point: np.ndarray, ridge: float) -> np.ndarray:
        """Slope [limits] of the smoothed function at a point."""
        model, entries, price = self.model, self.model.entries, point * self.scale

        def chunk(first: int, last: int) -> tuple[np.ndarray, float]:
            load = np.zeros(len(model.limit))
            return load, _respond(
                model.cost, entries.indptr, entries.indices, entries.data, model.start,
                model.count, price, ridge, self.share, load, first, last)  # fmt: skip

        parts = spread(chunk, len(model.count), chunks=CHUNKS)
        load = np.sum([part[0] for part in parts], axis=0)
        least = sum(part[1] for part in parts)
        worth = float(price @ model.limit)
        if least - worth > self.top:
            self.best, self.top = point, least - worth
        return (load - model.limit) * self.scale


def _climb(dual: _Dual, start: np.ndarray, ridge: float, task: Task, steps: int) -> None:
    """Some accelerated steps at one ridge; `dual` keeps the best point.

    Where a step points back, momentum starts anew (O'Donoghue and Candes 2015).
    """
    last, ahead, turn = start, start, 1.0
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(steps):
        slope = dual.respond(ahead, ridge)
        seen = [*seen[-HISTORY:], (ahead, slope)]
        point = np.maximum(ahead + _step(seen, ridge) * slope, 0.0)
        if (point - last) @ slope < 0:
            turn = 1.0
        follow = (1 + np.sqrt(1 + 4 * turn * turn)) / 2
        ahead = np.maximum(point + (turn - 1) / follow * (point - last), 0.0)
        last, turn = point, follow
        if task.left() <= MARGIN:
            break


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
    """Shares and load of the rows first to last; returns their exact least reduced cost.

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
