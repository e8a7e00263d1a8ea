"""Rows served one after another, as compiled loops.

A row looks for its best region with room along its menu.  Within a zone the figure rises along
the menu, so the row leaves a zone at the first figure above the best one found so far.  Room
only shrinks: regions with none left for any row of a menu are taken off it now and then.
"""

from typing import NamedTuple

import numpy as np

from jaxplace.baselines.sheet import Sheet
from jaxplace.instance import NOWHERE, Instance
from jaxplace.native import compiled, frozen
from jaxplace.placement import Assignment


# Room is widened by this share, so that units that fill a region exactly are not refused for the
# last bit of a sum.  It stays far below what the certificate tolerates.
SLACK = 1e-10

TURNS = 1024  # rows served between two looks at what has filled up
STALE = 0.03  # share of the pairs of workload and region that may be full and still on menus
MORE_FLOWS = 64  # beyond one a row, before their array grows


class Left(NamedTuple):
    """What is left to give; the loops write it.

    Attributes:
        units: [n] int64 not yet placed.
        room: [R, m] capacity not yet used.
        capacity: [R, m] what a unit must fit in at any rate.
        fleet: [2] moves and kg of carbon not yet used; inf without a limit.
    """

    units: np.ndarray
    room: np.ndarray
    capacity: np.ndarray
    fleet: np.ndarray


def serve(instance: Instance, sheet: Sheet, *, stay: bool) -> Assignment:
    """The plan of a rule.

    Args:
        instance: what is asked.
        sheet: the rule's figures.
        stay: whether units first keep running where they run now.
    """
    policy = instance.policy
    limits = (policy.max_moves, policy.carbon_cap_kg)
    fleet = np.array([np.inf if limit is None else limit for limit in limits], float)
    fleet[1] *= 1 + SLACK
    capacity = np.array(instance.capacity.T, float, order="C")
    units = instance.count.astype(np.int64)
    left = Left(units, capacity * (1 + SLACK), capacity, fleet)
    flows = []
    if stay:
        at_home = sheet._replace(worth=frozen(np.full(instance.rows, np.inf), float))
        flows.append(_flows(at_home, left, only_home=True))
    flows.append(_flows(sheet, left, only_home=False))
    return _joined(flows, left.units, instance.regions)


def _flows(sheet: Sheet, left: Left, *, only_home: bool) -> np.ndarray:
    """Serve the rows; the flows [f, 3] of row, region and units."""
    least_use = np.full((len(sheet.service), sheet.use.shape[1]), np.inf)
    np.minimum.at(least_use, sheet.work, sheet.use)
    order, end = sheet.order.copy(), sheet.start[:, 1:].copy()
    flows, size = _take_turns(sheet, left, least_use, order, end, only_home)
    return flows[:size]


def _joined(flows: list[np.ndarray], left: np.ndarray, regions: int) -> Assignment:
    """Flows [f, 3] as an assignment, those of a row and region joined; the rest is unplaced."""
    waiting = np.flatnonzero(left)
    rest = np.stack([waiting, np.full(len(waiting), NOWHERE), left[waiting]], axis=1)
    row, region, units = (
        np.concatenate(x) for x in zip(*(f.T for f in (*flows, rest)), strict=True)
    )
    key = row * (regions + 1) + (region + 1)
    order = np.argsort(key)
    start = np.flatnonzero(np.diff(key[order], prepend=-1))
    units = units[order]
    if len(start) < len(order):
        units = np.add.reduceat(units, start)
    first = order[start]
    return Assignment(row=row[first], region=region[first].astype(np.int32), count=units)


@compiled
def _open(
    service: np.ndarray,
    factor: np.ndarray,
    room: np.ndarray,
    least_use: np.ndarray,
    has: np.ndarray,
) -> int:
    """Write where a workload's smallest unit has room [., m], if it is hosted there; how many.

    The last row says it of any workload.
    """
    works, regions = service.shape
    for j in range(regions):
        has[works, j] = False
    pairs = 0
    for k in range(works):
        for j in range(regions):
            fits = not np.isnan(service[k, j])
            for r in range(len(room)):
                fits &= least_use[k, r] * factor[k, r, j] <= room[r, j]
            has[k, j] = fits
            has[works, j] |= fits
            pairs += fits
    return pairs


@compiled
def _shorten(
    order: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    work_of_menu: np.ndarray,
    has: np.ndarray,
) -> None:
    """Take the regions that are not open to a menu's workload off the menu."""
    for c in range(len(order)):
        for z in range(end.shape[1]):
            kept = start[c, z]
            for p in range(start[c, z], end[c, z]):
                j = order[c, p]
                if has[work_of_menu[c], j]:
                    order[c, kept] = j
                    kept += 1
            end[c, z] = kept


@compiled
def _take_turns(
    s: Sheet,
    left: Left,
    least_use: np.ndarray,
    order: np.ndarray,
    end: np.ndarray,
    only_home: bool,
) -> tuple[np.ndarray, int]:
    """Serve the rows in order, at any region or only where their units run now.

    One long function over plain names: a call, or a field of `s`, in the inner loop would count
    references to every array.

    Args:
        s: the rule's figures.
        left: what is left to give; written.
        least_use: [., R] the least use of a unit, by workload.
        order: the menus; written.
        end: [., z] where each zone ends in the menu; written.
        only_home: whether only the region where they run now will do.

    Returns:
        Flows [., 3] of row, region and units, and how many there are.
    """
    use, energy, scale, egress, state, budget = (
        s.use, s.energy, s.scale, s.egress, s.state, s.budget,
    )  # fmt: skip
    price, toll, kg, rtt, service, factor, legal, start = (
        s.price, s.toll, s.kg, s.rtt, s.service, s.factor, s.legal, s.start,
    )  # fmt: skip
    units, room, capacity, fleet = left.units, left.room, left.capacity, left.fleet
    resources, zones = len(room), len(toll)
    has = np.zeros((service.shape[0] + 1, service.shape[1]), np.bool_)
    flows, size, listed = np.empty((len(units) + MORE_FLOWS, 3), np.int64), 0, 2 * service.size
    for i in range(len(units)):
        if i % TURNS == 0 and s.rising and not only_home:
            pairs = _open(service, factor, room, least_use, has)
            if pairs < listed - STALE * service.size:
                listed = pairs
                _shorten(order, start, end, s.work_of_menu, has)
        home, menu, work, k, f = s.home[i], s.menu[i], s.work[i], s.price_of[i], s.factor_of[i]
        origin, law, zone, home_zone = s.origin[i], s.law[i], s.zone[i], s.home_zone[i]
        while units[i] > 0:
            least, best = s.worth[i], NOWHERE
            # where the units run now comes first, then zone by zone
            for z in range(-1 if home >= 0 else 0, 0 if only_home else zones):
                p, stop, carry, leave = 0, 1, egress[i] * toll[zone, home_zone], 0.0
                if z >= 0:
                    p, stop, carry = start[menu, z], end[menu, z], egress[i] * toll[zone, z]
                    if home >= 0:
                        leave = s.move_usd + state[i] * toll[home_zone, z]
                        if fleet[0] < 1:
                            break
                while p < stop:
                    j = order[menu, p] if z >= 0 else home
                    p += 1
                    figure = scale[i] * price[k, j] + carry + leave
                    if figure > least or (figure == least and j >= best):
                        if s.rising and figure > least:
                            break
                        continue
                    if z >= 0 and j == home:
                        continue
                    fits = True
                    for r in range(resources):
                        need = use[i, r] * factor[f, r, j]
                        fits &= (need <= room[r, j]) & (need <= capacity[r, j])
                    if not fits or not legal[law, j] or energy[i] * kg[work, j] > fleet[1]:
                        continue
                    # false where the time is NaN: nothing reaches, or nothing is hosted, there
                    if rtt[origin, j] + service[work, j] <= budget[i]:
                        least, best = figure, j
            if best < 0:
                break
            # as many units as fit at the region and within the budgets
            granted = float(units[i])
            for r in range(resources):
                need = use[i, r] * factor[f, r, best]
                if need > 0:
                    granted = min(granted, np.floor(room[r, best] / need))
            moves, grams = home >= 0 and best != home, energy[i] * kg[work, best]
            if moves:
                granted = min(granted, np.floor(fleet[0]))
            if grams > 0:
                granted = min(granted, np.floor(fleet[1] / grams))
            fleet[0] -= granted if moves else 0.0
            fleet[1] = max(fleet[1] - granted * grams, 0.0)
            for r in range(resources):
                taken = granted * (use[i, r] * factor[f, r, best])
                room[r, best] = max(room[r, best] - taken, 0.0)  # not below 0 by a rounding
            units[i] -= np.int64(granted)
            if size == len(flows):
                fewer, flows = flows, np.empty((2 * size, 3), np.int64)
                for a in range(size):
                    for b in range(3):
                        flows[a, b] = fewer[a, b]
            flows[size, 0], flows[size, 1], flows[size, 2] = i, best, np.int64(granted)
            size += 1
    return flows, size
