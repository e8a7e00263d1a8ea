"""What simple rules would do with the same requests: the plans that a solve is compared with.

Three rules, each first come, first served in the order of the instance's rows:

* nearest: every unit at the nearest allowed region (by RTT) that still has room;
* greedy: every unit at its cheapest allowed region that still has room, unless leaving it out
  is cheaper;
* stay: units keep running where they run now, as far as that is allowed and has room; the rest
  (new units, and those that no longer fit) go the greedy way.

All of them keep capacities and fleet budgets, so each is a feasible plan.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from jaxplace import evaluate
from jaxplace.instance import NOWHERE, DenseTerms, Instance
from jaxplace.placement import Assignment


# Room is widened by this share, so that units that fill a region exactly are not refused for the
# last bit of a sum.  It stays far below what the certificate tolerates.
SLACK = 1e-10


def baselines(
    instance: Instance, assignments: dict[str, Assignment] | None = None
) -> dict[str, dict[str, float]]:
    """Figures of each rule's plan: objective_usd, kwh, carbon_kg, unplaced, moves.

    Args:
        instance: what is asked.
        assignments: the plans of `baseline_assignments`, if they are at hand.
    """
    if assignments is None:
        assignments = baseline_assignments(instance)
    figures = {}
    for name, assignment in assignments.items():
        totals = evaluate.totals(instance, assignment)
        figures[name] = {
            "objective_usd": totals.objective_usd,
            "kwh": totals.kwh,
            "carbon_kg": totals.carbon_kg,
            "unplaced": float(totals.unplaced),
            "moves": float(totals.moves),
        }
    return figures


def baseline_assignments(instance: Instance) -> dict[str, Assignment]:
    """The plan of each rule, by name; deterministic.

    "nearest" is left out for a dense instance, which has no distances, and "stay" where nothing
    runs yet.
    """
    rules = {"greedy": _greedy}
    if not isinstance(instance.terms, DenseTerms):
        rules["nearest"] = _nearest
    if (instance.current >= 0).any():
        rules["stay"] = _stay
    # NumPy lets go of the interpreter inside its loops, so the rules run side by side
    with ThreadPoolExecutor(len(rules)) as pool:
        plans = {name: pool.submit(rule, instance) for name, rule in sorted(rules.items())}
        return {name: plan.result() for name, plan in plans.items()}


def _nearest(instance: Instance) -> Assignment:
    """Every unit at the nearest allowed region with room."""
    plan = _Plan.empty(instance)
    for rows in evaluate.blocks(instance):
        key = _distance(instance, rows)
        np.copyto(key, np.inf, where=~evaluate.allowed(instance, rows))
        plan.serve(np.arange(rows.start, rows.stop), key)
    return plan.assignment()


def _greedy(instance: Instance) -> Assignment:
    """Every unit at its cheapest allowed region with room, if that beats leaving it out."""
    plan = _Plan.empty(instance)
    plan.serve_cheapest()
    return plan.assignment()


def _stay(instance: Instance) -> Assignment:
    """Units where they run now as room permits; then the rest the greedy way."""
    plan = _Plan.empty(instance)
    rows = np.nonzero(instance.current >= 0)[0]
    here = instance.current[rows]
    ok = evaluate.allowed(instance, rows, here)
    plan.grant(rows[ok], here[ok])
    plan.serve_cheapest()
    return plan.assignment()


def _distance(instance: Instance, rows: slice) -> np.ndarray:
    """RTT from the rows' origins [ms], [b, m]."""
    terms = instance.terms
    if isinstance(terms, DenseTerms):
        raise TypeError("a dense instance has no distances")
    return terms.rtt_ms[terms.origin[rows]]


@dataclass
class _Plan:
    """A plan under construction: what is left of every row, region and budget.

    Attributes:
        instance: what is asked.
        left: [n] units not yet placed.
        room: [m, R] capacity not yet used.
        budget: [2] moves and kg of carbon not yet used; inf without a limit.
        flows: (rows, regions, units) placed so far.
    """

    instance: Instance
    left: np.ndarray
    room: np.ndarray
    budget: np.ndarray
    flows: list[tuple[np.ndarray, np.ndarray, np.ndarray]]

    @classmethod
    def empty(cls, instance: Instance) -> "_Plan":
        """Nothing is placed."""
        policy = instance.policy
        limits = (policy.max_moves, policy.carbon_cap_kg)
        budget = np.array([np.inf if limit is None else limit for limit in limits], float)
        budget[1] *= 1 + SLACK
        room = instance.capacity * (1 + SLACK)
        return cls(instance, instance.count.copy(), room, budget, [])

    def serve_cheapest(self) -> None:
        """Place what is left of every row at its cheapest regions, block by block."""
        for rows in evaluate.blocks(self.instance):
            waiting = rows.start + np.nonzero(self.left[rows])[0]
            if len(waiting):
                usd = evaluate.cost(self.instance, waiting)
                ok = evaluate.allowed(self.instance, waiting)
                ok &= usd < self.instance.unplaced[waiting, None]
                self.serve(waiting, np.where(ok, usd, np.inf))

    def serve(self, rows: np.ndarray, key: np.ndarray) -> None:
        """Place the rows [b] where their `key` [b, m] is least and room is left.

        Every round, each row proposes to its best region with room for a unit, and the regions
        accept in the order of rows.  The first row to propose to a region always gets a unit
        there, or takes the last of a budget, so the rounds end.  Writes `key`.
        """
        np.copyto(key, np.inf, where=self._full(rows))
        while len(rows):
            best = key.argmin(axis=1)
            some = np.isfinite(key[np.arange(len(rows)), best])
            rows, key, best = rows[some], key[some], best[some]
            self.grant(rows, best)
            still = self.left[rows] > 0
            rows, key = rows[still], key[still]
            if len(rows):
                np.copyto(key, np.inf, where=self._full(rows))

    def grant(self, rows: np.ndarray, regions: np.ndarray) -> None:
        """Place units of the rows at the regions proposed, first come, first served."""
        if not len(rows):
            return
        instance = self.instance
        order = np.argsort(regions, kind="stable")
        i, j = rows[order], regions[order]
        start = np.nonzero(np.diff(j, prepend=-1))[0]
        units = self.left[i]
        needs = [evaluate.use(instance, r, i, j) for r in range(len(instance.resources))]
        for r, need in enumerate(needs):
            units = _share(units, need, self.room[j, r], start)
        i, j, units, needs = self._within_budgets(i, j, units, needs)
        for r, need in enumerate(needs):
            self.room[:, r] -= np.bincount(j, units * need, instance.regions)
        np.maximum(self.room, 0.0, out=self.room)  # not below 0 by a rounding
        self.left[i] -= units
        some = units > 0
        self.flows.append((i[some], j[some], units[some]))

    def _within_budgets(
        self, i: np.ndarray, j: np.ndarray, units: np.ndarray, needs: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
        """The proposals in the order of rows, with the units that the fleet budgets allow."""
        if np.isinf(self.budget).all():
            return i, j, units, needs
        order = np.argsort(i, kind="stable")
        i, j, units, needs = i[order], j[order], units[order], [x[order] for x in needs]
        part = evaluate.parts(self.instance, i, j)
        takes = (part.move.astype(float), part.kg)
        start = np.zeros(1, np.int64)
        for b, take in enumerate(takes):
            units = _share(units, take, np.full(len(i), self.budget[b]), start)
        for b, take in enumerate(takes):
            self.budget[b] -= float(units @ take)
        return i, j, units, needs

    def _full(self, rows: np.ndarray) -> np.ndarray:
        """Where not one more unit of the rows fits, by room or by budget; bool [b, m]."""
        instance = self.instance
        full = np.zeros((len(rows), instance.regions), bool)
        for r in range(len(instance.resources)):
            full |= evaluate.use(instance, r, rows) > self.room[:, r]
        if np.isfinite(self.budget).any():
            part = evaluate.parts(instance, rows)
            full |= (part.move > self.budget[0]) | (part.kg > self.budget[1])
        return full

    def assignment(self) -> Assignment:
        """The flows, those of a row and region joined; what is left is unplaced."""
        waiting = np.nonzero(self.left)[0]
        flows = [*self.flows, (waiting, np.full(len(waiting), NOWHERE), self.left[waiting])]
        row, region, units = (np.concatenate(x) for x in zip(*flows, strict=True))
        order = np.lexsort((region, row))
        row, region, units = row[order], region[order], units[order]
        new = np.diff(row, prepend=-1) > 0
        new[1:] |= np.diff(region) > 0
        start = np.nonzero(new)[0]
        return Assignment(
            row=row[start].astype(np.int64),
            region=region[start].astype(np.int32),
            count=np.add.reduceat(units, start).astype(np.int64),
        )


def _share(units: np.ndarray, need: np.ndarray, room: np.ndarray, start: np.ndarray) -> np.ndarray:
    """How many of the `units` fit, first come, first served within each group.

    Args:
        units: [f] units that ask.
        need: [f] what one of them takes, >= 0.
        room: [f] what their group has to give.
        start: where each group begins; groups are contiguous.
    """
    asked = units * need
    before = np.zeros(len(units))
    for a, b in pairwise([*start.tolist(), len(units)]):
        # group by group: differences of one long sum would cancel a small region's digits
        before[a + 1 : b] = np.cumsum(asked[a : b - 1])
    fit = np.full(len(units), np.inf)
    np.divide(np.maximum(room - before, 0.0), need, out=fit, where=need > 0)
    return np.minimum(units, np.floor(fit)).astype(np.int64)
