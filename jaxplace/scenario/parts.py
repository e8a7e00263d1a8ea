"""Rows of an instance: one for each request and region where some of its units run now."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jaxplace.instance import NOWHERE
from jaxplace.scenario.columns import isna
from jaxplace.scenario.references import positions


@dataclass(frozen=True)
class Parts:
    """The rows: n parts of q requests, sorted by request, then region (-1 first).

    Attributes:
        request: [n] int64 in 0..q-1.
        region: [n] int32, current region or -1.
        count: [n] int64 > 0.
        skipped: units of `current` that are gone with their request or region, or in excess.
    """

    request: np.ndarray
    region: np.ndarray
    count: np.ndarray
    skipped: int = 0


def parts_of(
    current: pd.DataFrame,
    request_id: pd.Series,
    kept: np.ndarray | None,
    count: np.ndarray,
    regions: pd.Index,
) -> Parts:
    """Split requests into parts by the table `current`.

    Where a request's count fell below its current units, its largest parts are kept first; of
    equal ones, those of the region that comes first.

    Args:
        current: the checked table: request_id, region, count.
        request_id: [all] ids of the table `requests`.
        kept: [q] rows of `requests` that have units at this hour, rising; None: all.
        count: [q] their units.
        regions: [m] region ids in order.
    """
    m = len(regions)
    i = _find(current["request_id"], request_id)
    if kept is not None:
        place = np.full(len(request_id) + 1, -1, dtype=np.int64)  # the last is that of row -1
        place[kept] = np.arange(len(kept))
        i = place[i]
    j = positions(current["region"], regions).astype(np.int64)
    units = current["count"].to_numpy()
    known = (i >= 0) & (j >= 0) & (units > 0)
    key, units_there = _summed(i[known] * m + j[known], units[known])
    here, there = key // m, key % m
    kept_units = _clip(here, units_there, count)
    fresh = count - _per_request(here, kept_units, len(count))
    on, new = np.flatnonzero(kept_units), np.flatnonzero(fresh)
    request = np.concatenate([here[on], new])
    region = np.concatenate([there[on], np.full(len(new), NOWHERE)])
    order = np.argsort(request * (m + 1) + region + 1, kind="stable")
    return Parts(
        request=request[order],
        region=region[order].astype(np.int32),
        count=np.concatenate([kept_units[on], fresh[new]])[order],
        skipped=int(units[_named(current)].sum() - kept_units.sum()),
    )


def _named(current: pd.DataFrame) -> np.ndarray:
    """[c] bool, rows of units that ran somewhere (a null region: unplaced, which is no loss)."""
    return ~(isna(current["request_id"].array) | isna(current["region"].array))


def _find(wanted: pd.Series, request_id: pd.Series) -> np.ndarray:
    """[c] int64 row of `requests` of each id, or -1.  Ids of either side are unique or null."""
    ids, some = _chunked(request_id), _chunked(wanted)
    if pa.types.is_null(some.type) or some.null_count == len(some):
        return np.full(len(some), -1, dtype=np.int64)
    if len(some) == len(ids) and some.equals(ids):  # the last plan in the same order: no hash
        return np.arange(len(ids), dtype=np.int64)
    found = pc.index_in(some, value_set=ids, skip_nulls=True)
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _chunked(values: pd.Series) -> pa.ChunkedArray:
    """A column for Arrow; pandas gives one in pieces for a table in pieces, and whole else."""
    array = pa.array(values.array)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _summed(key: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys in order and the units of each."""
    if not (key[1:] > key[:-1]).all():
        order = np.argsort(key, kind="stable")
        key, units = key[order], units[order]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    if len(first) == len(key):
        return key, units
    return key[first], np.add.reduceat(units, first)


def _clip(request: np.ndarray, units: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Units that stay where they are, once each request has no more than its count.

    Args:
        request: [p] int64, rising.
        units: [p] int64 that run in the part's region; equal ones in the order of the regions.
        count: [q] int64.
    """
    over = _per_request(request, units, len(count)) > count
    rows = np.flatnonzero(over[request])
    if not len(rows):
        return units
    # only the requests that shrank need sorting
    rows = rows[np.lexsort((rows, -units[rows], request[rows]))]
    run = np.cumsum(units[rows])
    starts = np.flatnonzero(np.append(True, request[rows][1:] != request[rows][:-1]))
    sizes = np.diff(np.append(starts, len(rows)))
    before = run - units[rows] - np.repeat((run - units[rows])[starts], sizes)
    out = units.copy()
    out[rows] = np.clip(count[request[rows]] - before, 0, units[rows])
    return out


def _per_request(request: np.ndarray, units: np.ndarray, q: int) -> np.ndarray:
    """[q] int64 sums; exact, as no count exceeds 2**53."""
    return np.bincount(request, weights=units, minlength=q).astype(np.int64)
