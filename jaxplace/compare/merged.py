"""Identical rows as one: exact, and what makes a linear program of them smaller."""

from dataclasses import dataclass

import numpy as np

from jaxplace.instance import ROW_TERMS, DenseTerms, Instance
from jaxplace.placement import Assignment


@dataclass(frozen=True)
class Merged:
    """An instance whose identical rows are joined, and the way back.

    Attributes:
        instance: k rows; counts are sums, and every row is a request of its own.
        first: [k] the first of the original rows that each stands for.
        of: [n] the row that each original row became.
        count: [n] units of each original row.
    """

    instance: Instance
    first: np.ndarray
    of: np.ndarray
    count: np.ndarray

    def split(self, plan: Assignment) -> Assignment:
        """A plan of the joined rows as one of the original rows, which are served in order."""
        flow_order = np.argsort(plan.row, kind="stable")
        member_order = np.argsort(self.of, kind="stable")
        flow_end = np.cumsum(plan.count[flow_order])
        member_end = np.cumsum(self.count[member_order])
        end = np.union1d(flow_end, member_end)
        flow = flow_order[np.searchsorted(flow_end, end)]
        row = member_order[np.searchsorted(member_end, end)]
        region, count = plan.region[flow], np.diff(end, prepend=0)
        order = np.lexsort((region, row))
        return Assignment(row[order], region[order], count[order])


def merge(instance: Instance) -> Merged:
    """Join the rows that differ in count alone; those of a dense instance stay as they are."""
    n, terms = instance.rows, instance.terms
    if isinstance(terms, DenseTerms):
        return Merged(instance, np.arange(n), np.arange(n), instance.count)
    columns = [instance.current, instance.unplaced, *instance.use.T]
    columns += [getattr(terms, name) for name in ROW_TERMS]
    order = np.lexsort(columns)
    change = np.zeros(n, bool)
    change[:1] = True
    for column in columns:
        change[1:] |= column[order][1:] != column[order][:-1]
    of = np.empty(n, np.int64)
    of[order] = np.cumsum(change) - 1
    first = order[change]  # `lexsort` is stable: each is the first of its kind
    count = np.bincount(of, instance.count, len(first)).astype(np.int64)
    return Merged(instance.take(first, count), first, of, instance.count)
