"""The instance as a linear program in sparse form, for solvers that take one.

Variables are the allowed pairs of (joined) row and region, row by row, and last in each row the
units left unplaced.  By default costs and limits are scaled to about 1, which solvers with
absolute tolerances need.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from jaxplace import evaluate
from jaxplace.compare.answer import Fraction
from jaxplace.compare.merged import Merged, merge
from jaxplace.instance import NOWHERE, Instance
from jaxplace.placement import Assignment, Duals


LEAST = 1e-9  # units below which a fraction is the solver's own dust


@dataclass(frozen=True)
class Model:
    """min cost x, sum of each row's x = count, entries x <= limit, x >= 0.

    Attributes:
        merged: whose rows are joined.
        row, region: [v] of each variable; region -1: unplaced.
        cost: [v] in `usd` each.
        start: [k + 1] first variable of each row.
        count: [k] units of each row.
        entries: [limits, v] what a unit takes of each limit, column by column.
        limit: [limits] the capacities [m, R], then the budgets that are set.
        usd: USD of a cost of 1.
        unit: [limits] what a limit of 1 is in the instance's unit.
    """

    merged: Merged
    row: np.ndarray
    region: np.ndarray
    cost: np.ndarray
    start: np.ndarray
    count: np.ndarray
    entries: sparse.csc_array
    limit: np.ndarray
    usd: float
    unit: np.ndarray

    @classmethod
    def of(cls, instance: Instance, *, scaled: bool = True) -> "Model":
        """The program of an instance."""
        merged = merge(instance)
        small = merged.instance
        row, region, cost = _variables(small)
        start = np.searchsorted(row, np.arange(small.rows + 1))
        entries, limit = _limits(small, row, region)
        usd, unit = 1.0, np.ones(len(limit))
        if scaled:
            usd = _typical(cost[region >= 0])
            largest = abs(entries).max(axis=1).toarray().ravel() if entries.nnz else unit
            unit = np.where(largest > 0, largest, 1.0)
            entries = sparse.csc_array(sparse.diags_array(1 / unit) @ entries)
        return cls(merged, row, region, cost / usd, start, small.count.astype(float),
                   entries, limit / unit, usd, unit)  # fmt: skip

    def matrix(self) -> sparse.csc_array:
        """[k + limits, v] the rows' sums, then the limits."""
        ones = sparse.csc_array(
            (np.ones(len(self.row)), self.row, np.arange(len(self.row) + 1)),
            (len(self.count), len(self.row)),
        )
        return sparse.csc_array(sparse.vstack([ones, self.entries]))

    def part(self, rows: np.ndarray, share: float) -> "Model":
        """Some rows (ascending) with that share of every limit; `merged` stays the whole's."""
        kept = np.isin(self.row, rows)
        row = np.searchsorted(rows, self.row[kept])
        return dataclasses.replace(
            self,
            row=row,
            region=self.region[kept],
            cost=self.cost[kept],
            start=np.searchsorted(row, np.arange(len(rows) + 1)),
            count=self.count[rows],
            entries=self.entries[:, np.nonzero(kept)[0]],
            limit=self.limit * share,
        )

    def duals(self, values: np.ndarray) -> Duals:
        """Multipliers of the limits as duals; what is below 0 by rounding is cut."""
        instance = self.merged.instance
        usd = np.maximum(values, 0.0) * self.usd / self.unit
        m, resources = instance.capacity.shape
        budgets = list(usd[m * resources :])
        policy = instance.policy
        return Duals(
            capacity=usd[: m * resources].reshape(m, resources),
            moves=float(budgets.pop(0)) if policy.max_moves is not None else 0.0,
            carbon=float(budgets.pop(0)) if policy.carbon_cap_kg is not None else 0.0,
        )

    def fraction(self, values: np.ndarray) -> Fraction:
        """A solution [v] as flows of the instance's own rows."""
        on = np.nonzero(values > LEAST)[0]
        return Fraction(self.merged.first[self.row[on]], self.region[on], values[on])

    def plan(self, values: np.ndarray) -> Assignment:
        """A whole solution [v] as a plan of the instance's own rows."""
        units = np.rint(values).astype(np.int64)
        on = np.nonzero(units > 0)[0]
        joined = Assignment(self.row[on], self.region[on].astype(np.int32), units[on])
        placed = np.bincount(joined.row, joined.count, len(self.count))
        if not np.array_equal(placed, self.count):  # certified as what it is: not all units
            return Assignment(self.merged.first[joined.row], joined.region, joined.count)
        return self.merged.split(joined)


def _typical(cost: np.ndarray) -> float:
    """The median size of costs that are not 0 [USD]; 1 if there are none."""
    size = np.abs(cost[cost != 0])
    return float(np.median(size)) if len(size) else 1.0


def _variables(instance: Instance) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, region and cost of every variable, row by row, the unplaced units last."""
    rows, regions, costs = [], [], []
    for block in evaluate.blocks(instance, 1 << 22):
        here = np.arange(block.start, block.stop)
        row, region = np.nonzero(evaluate.allowed(instance, here))
        row = np.concatenate([here[row], here])
        region = np.concatenate([region, np.full(len(here), instance.regions)])
        order = np.lexsort((region, row))
        row, region = row[order], region[order]
        placed = region < instance.regions
        cost = instance.unplaced[row]
        cost[placed] = evaluate.cost(instance, row[placed], region[placed])
        rows.append(row)
        regions.append(np.where(placed, region, NOWHERE).astype(np.int32))
        costs.append(cost)
    return np.concatenate(rows), np.concatenate(regions), np.concatenate(costs)


def _limits(
    instance: Instance, row: np.ndarray, region: np.ndarray
) -> tuple[sparse.csc_array, np.ndarray]:
    """What a unit takes of every limit, and the limits: capacities, then the budgets set."""
    placed = np.nonzero(region >= 0)[0]
    i, j = row[placed], region[placed]
    policy, resources = instance.policy, len(instance.resources)
    limits = list(instance.capacity.ravel())
    values, index = [], []
    for r in range(resources):
        values.append(evaluate.use(instance, r, i, j))
        index.append(j.astype(np.int64) * resources + r)
    if policy.max_moves is not None or policy.carbon_cap_kg is not None:
        part = evaluate.parts(instance, i, j)
        for takes, limit in ((part.move, policy.max_moves), (part.kg, policy.carbon_cap_kg)):
            if limit is not None:
                values.append(takes.astype(float))
                index.append(np.full(len(j), len(limits)))
                limits.append(limit)
    column = np.tile(placed, len(values))
    found = (np.concatenate(values), (np.concatenate(index), column))
    entries = sparse.csc_array(found, shape=(len(limits), len(row)))
    entries.eliminate_zeros()
    return entries, np.array(limits)
