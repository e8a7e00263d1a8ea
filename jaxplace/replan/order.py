"""Changes in an order that is safe to execute one after the other.

While a change is under way its units count at both ends: they still run at the old region and
already hold room at the new one.  A change is safe if its new region has that room when its turn
comes.  Units that are dropped go first (they only free room), moves follow as room appears, new
units come last.  Changes are split where only some of their units fit.  Full regions that wait
for each other in a ring have no safe first step: one is taken anyway, and named.
"""

from dataclasses import dataclass

import numpy as np

from jaxplace import evaluate
from jaxplace.instance import Instance
from jaxplace.output import Flows
from jaxplace.placement import Placement


TOLERANCE = 1e-9  # share of a capacity that rounding may exceed
MOST_RINGS = 10_000  # unsafe steps taken one by one; beyond, the rest is taken as it comes


def safe_order(placement: Placement) -> Flows:
    """A plan's changes: dropped units first, then moves as room appears, then new units.

    `safe` is False for the steps whose new region has no room for them when their turn comes.
    """
    instance, plan = placement.instance, placement.assignment
    came = instance.current[plan.row]
    at = np.flatnonzero(came != plan.region)
    row, source, target, count = plan.row[at], came[at], plan.region[at], plan.count[at]
    room = instance.capacity * (1 + TOLERANCE) - running(instance)
    dropped = np.flatnonzero(target < 0)
    _take(room, source[dropped], -_use(instance, row[dropped], source[dropped], count[dropped]))
    moves = np.flatnonzero((source >= 0) & (target >= 0))
    entered = _Queue(
        index=moves,
        source=source[moves],
        target=target[moves],
        left=_use(instance, row[moves], source[moves], np.ones(len(moves))),
        held=_use(instance, row[moves], target[moves], np.ones(len(moves))),
        count=count[moves],
    ).run(room)
    new = np.flatnonzero((source < 0) & (target >= 0))
    fresh = _Queue(
        index=new,
        source=source[new],
        target=target[new],
        left=np.zeros((len(new), room.shape[1])),
        held=_use(instance, row[new], target[new], np.ones(len(new))),
        count=count[new],
    ).run(room)
    order = np.concatenate([dropped, entered.index, fresh.index])
    units = np.concatenate([count[dropped], entered.count, fresh.count])
    unsafe = np.concatenate([np.zeros(len(dropped), bool), entered.unsafe, fresh.unsafe])
    return Flows(
        request=instance.request[row[order]],
        came_from=source[order],
        region=target[order],
        count=units,
        safe=~unsafe,
    )


def running(instance: Instance) -> np.ndarray:
    """[m, R] what the units that run now take."""
    row = np.flatnonzero(instance.current >= 0)
    use = np.zeros(instance.capacity.shape)
    _take(
        use, instance.current[row], -_use(instance, row, instance.current[row], instance.count[row])
    )
    return use


def _use(instance: Instance, row: np.ndarray, region: np.ndarray, count: np.ndarray) -> np.ndarray:
    """[f, R] what units take at their regions."""
    each = [evaluate.use(instance, r, row, region) for r in range(len(instance.resources))]
    return np.stack(each, 1) * count[:, None]


def _take(room: np.ndarray, region: np.ndarray, use: np.ndarray) -> None:
    """Take use [f, R] out of the room of regions [f], in place."""
    for r in range(room.shape[1]):
        room[:, r] -= np.bincount(region, use[:, r], len(room))


@dataclass(frozen=True)
class _Done:
    """Steps in order: which flow, how many of its units, and whether there was no room."""

    index: np.ndarray
    count: np.ndarray
    unsafe: np.ndarray


@dataclass
class _Queue:
    """Flows that wait for room.  f flows; use per unit where they run now and where they go."""

    index: np.ndarray
    source: np.ndarray
    target: np.ndarray
    left: np.ndarray  # [f, R] freed at the source
    held: np.ndarray  # [f, R] taken at the target
    count: np.ndarray

    def run(self, room: np.ndarray) -> _Done:
        """Start flows in rounds, each within the room there was at its beginning.

        Args:
            room: [m, R], changed in place.
        """
        count = self.count.copy()
        steps: list[tuple[np.ndarray, np.ndarray, bool]] = []
        rings = 0
        while len(waiting := np.flatnonzero(count)):
            units = self._fitting(waiting, count, room)
            if units.any():
                go, safe = waiting[units > 0], True
                units = units[units > 0]
            else:
                rings += 1
                safe = False
                go = waiting if rings > MOST_RINGS else waiting[[self._least(waiting, room)]]
                units = count[go] if rings > MOST_RINGS else np.ones(1, np.int64)
            _take(room, self.target[go], self.held[go] * units[:, None])
            away = self.source[go] >= 0
            freed = self.left[go[away]] * units[away, None]
            _take(room, self.source[go[away]], -freed)
            count[go] -= units
            steps.append((go, units, safe))
        if not steps:
            nothing = np.zeros(0, np.int64)
            return _Done(nothing, nothing, np.zeros(0, bool))
        return _Done(
            index=self.index[np.concatenate([go for go, _, _ in steps])],
            count=np.concatenate([units for _, units, _ in steps]),
            unsafe=np.concatenate([np.full(len(go), not safe) for go, _, safe in steps]),
        )

    def _fitting(self, waiting: np.ndarray, count: np.ndarray, room: np.ndarray) -> np.ndarray:
        """[w] units of each waiting flow that fit beside those before it at its target."""
        order = np.argsort(self.target[waiting], kind="stable")
        flow = waiting[order]
        target, use = self.target[flow], self.held[flow]
        whole = use * count[flow, None]
        total = np.cumsum(whole, 0) - whole
        first = np.flatnonzero(np.append(True, target[1:] != target[:-1]))
        sizes = np.diff(np.append(first, len(flow)))
        before = total - np.repeat(total[first], sizes, 0)
        left = np.maximum(room[target] - before, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            fit = np.where(use > 0, np.floor(left / use), np.inf).min(1)
        units = np.zeros(len(flow), np.int64)
        units[order] = np.minimum(np.maximum(fit, 0), count[flow]).astype(np.int64)
        return units

    def _least(self, waiting: np.ndarray, room: np.ndarray) -> int:
        """The waiting flow whose one unit exceeds its region's room by the least share."""
        over = self.held[waiting] - room[self.target[waiting]]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(over > 0, over / self.held[waiting], 0.0)
        return int(np.argmin(share.max(1)))
