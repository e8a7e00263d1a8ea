"""A plan by request, said again as flows from where the units run now."""

import numpy as np

from jaxplace.instance import NOWHERE, Instance
from jaxplace.placement import Assignment


def restate(
    instance: Instance, request: np.ndarray, region: np.ndarray, count: np.ndarray
) -> Assignment:
    """Flows of an instance's rows that put as many units of each request in each region.

    Units that may stay do; the others are matched in order, so moves are as few as the plan allows
    and not chosen by cost.

    Args:
        instance: its rows are the units of a request that run in one region now.
        request: [f] index of the request; with `region`, each pair once.
        region: [f] where units shall run, -1: unplaced.
        count: [f] units; they sum to the request's.
    """
    m = instance.regions
    have = instance.request * (m + 1) + instance.current + 1
    want = request.astype(np.int64) * (m + 1) + region + 1
    order = np.argsort(want, kind="stable")
    want, wanted, region = want[order], count[order].copy(), region[order]
    left = instance.count.copy()
    at = np.searchsorted(want, have)
    meets = at < len(want)
    meets[meets] = want[at[meets]] == have[meets]
    row, place = np.flatnonzero(meets), at[meets]
    stay = np.minimum(left[row], wanted[place])
    left[row] -= stay
    wanted[place] -= stay
    # the rest of both sides, laid end to end: a request's units start and end at the same places
    ends_of_rows, ends_of_plans = np.cumsum(left), np.cumsum(wanted)
    ends = np.union1d(ends_of_rows[left > 0], ends_of_plans[wanted > 0])
    units = np.diff(ends, prepend=0)
    source = np.searchsorted(ends_of_rows, ends)
    target = np.searchsorted(ends_of_plans, ends)
    rows = np.concatenate([row, source])
    regions = np.concatenate([region[place], region[target]]).astype(np.int32)
    units = np.concatenate([stay, units])
    some = units > 0
    rows, regions, units = rows[some], regions[some], units[some]
    key = rows * (m + 1) + regions - NOWHERE
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    return Assignment(
        rows[order][first], regions[order][first], np.add.reduceat(units[order], first)
    )
