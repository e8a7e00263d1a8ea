"""Menus: the regions that a class of rows may use, in order of reach, with the class's terms.

Rows of one (origin, workload) and residency share what hosting, law and reachability forbid, and
all their tables' entries; what is left, sorted by round trip and service time, is their menu, and
a row's latency budget cuts it to a prefix.  Compiled loops read menus from end to end, where the
tables would have to be gathered.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from jaxplace.native import compiled, spread
from jaxplace.problem.problem import Rows, Tables
from jaxplace.problem.ranks import NEVER


TILE = 32  # regions that loops take together: a menu is padded to whole tiles
CHUNKS = 8


class Menus(NamedTuple):
    """What the classes of rows may use; E entries, those of a class one after the other.

    Attributes:
        of: [places, residencies] int32 class, -1 where no row is.
        start: [classes + 1] int64 first entry of each class, whole tiles apart.
        size: [classes] int32 entries that are no padding.
        region: [E] int32.
        rank: [E] int32 rank of the round trip and service time, rising within a class.
        energy: [E] f32 cost per energy; carbon: [E] f32 kg per energy.
        egress: [E] f32 cost of data to the origin.
        factor: [E] f32 what use is multiplied by.
        fit: [R, E] int32 rank of the largest use that fits.
        least_fit: [R, classes] int32 the smallest of a class's.
    """

    of: np.ndarray
    start: np.ndarray
    size: np.ndarray
    region: np.ndarray
    rank: np.ndarray
    energy: np.ndarray
    carbon: np.ndarray
    egress: np.ndarray
    factor: np.ndarray
    fit: np.ndarray
    least_fit: np.ndarray


class MenuBook:
    """The menus of a problem, made when they are first asked for: accelerators never ask."""

    def __init__(self, rows: Rows, tables: Tables, size: int) -> None:
        self._rows, self._tables, self._size = rows, tables, size

    @cached_property
    def menus(self) -> Menus:
        """The menus of all classes that have rows."""
        rows, tables = self._rows, self._tables
        reach, place = np.asarray(tables.reach), np.asarray(rows.place)[: self._size]
        m, resources = reach.shape[1], rows.use.shape[1]
        legal, residency = np.ones((1, m), bool), np.zeros(1, np.int32)
        if rows.residency is not None:
            legal, residency = np.asarray(tables.legal), np.asarray(rows.residency)[: len(place)]
        seen = np.zeros((len(reach), len(legal)), bool)
        seen[place, residency] = True
        of = np.full(seen.shape, -1, np.int32)
        of[seen] = np.arange(seen.sum())
        classes = np.argwhere(seen)
        size = ((reach[classes[:, 0]] != NEVER) & legal[classes[:, 1]]).sum(1).astype(np.int32)
        start = np.r_[0, np.cumsum(-(-size // TILE) * TILE)]
        region, rank = np.zeros((2, start[-1]), np.int32)
        work = np.zeros(len(reach), np.int32)
        work[place] = np.asarray(rows.workload)[: len(place)]
        zone = np.zeros(len(reach), np.int32)
        if rows.origin_zone is not None:
            zone[place] = np.asarray(rows.origin_zone)[: len(place)]

        order = np.argsort(reach, axis=1, kind="stable")  # ties by region

        def fill(a: int, b: int) -> None:
            _fill(classes, reach, order, legal, start, region, rank, a, b)

        spread(fill, len(classes), chunks=CHUNKS)
        entry_class = np.repeat(np.arange(len(classes)), np.diff(start))
        entry_work = work[classes[entry_class, 0]]
        padding = np.arange(start[-1]) - start[entry_class] >= size[entry_class]

        def taken(table: object, row: np.ndarray, missing: float) -> np.ndarray:
            if table is None:
                return np.full(len(region), missing, np.float32)
            return np.where(padding, np.float32(0), np.asarray(table)[row, region])

        fit = np.zeros((resources, len(region)), np.int32)
        if tables.fit is not None:
            fit = np.ascontiguousarray(np.asarray(tables.fit)[entry_work, region].T)
        least_fit = np.zeros((resources, len(classes)), np.int32)
        some = size > 0
        if some.any():
            least_fit[:, some] = np.minimum.reduceat(
                np.where(padding, NEVER, fit), start[:-1][some], axis=1
            )
        return Menus(
            of=of,
            start=start,
            size=size,
            region=region,
            rank=rank,
            energy=taken(tables.energy, entry_work, 0.0),
            carbon=taken(tables.carbon, entry_work, 0.0),
            egress=taken(tables.transfer, zone[classes[entry_class, 0]], 0.0),
            factor=taken(tables.use_factor, entry_work, 1.0),
            fit=fit,
            least_fit=least_fit,
        )


@compiled
def _fill(classes, reach, order, legal, start, region, rank, first, last):  # type: ignore[no-untyped-def]
    for c in range(first, last):
        place, residency, n = classes[c, 0], classes[c, 1], start[c]
        for k in range(reach.shape[1]):
            j = order[place, k]
            if reach[place, j] != NEVER and legal[residency, j]:
                region[n], rank[n] = j, reach[place, j]
                n += 1
