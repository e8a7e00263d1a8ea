"""The rules of CONTRACT section 2 between tables: every id that a table uses must be defined.

`current` is the exception: ids and regions that are gone are skipped there.  Workloads that
nobody requests (in `hosting`, `demand`) and zones without nodes (in `transfer`) are harmless.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxplace.scenario.columns import isna
from jaxplace.scenario.faults import listed, row_fault


Frames = Mapping[str, pd.DataFrame]
DEFAULT_WORKLOAD = "default"


def reference_faults(frames: Frames, unread: frozenset[str] = frozenset()) -> list[str]:
    """Every fault between the tables; a column that could not be read is passed over.

    Args:
        frames: checked tables by name.
        unread: tables and columns (`table.column`) that are there and could not be read, so
            that nothing is said of them here.
    """
    rules: list[Callable[[Frames], list[str]]] = [
        _ids,
        _grid_zones,
        _null_workloads,
        _current_types,
        _workload_types,
    ]
    faults = [fault for rule in rules for fault in rule(frames)]
    faults += _resources(frames, unread)
    if "residency" not in unread:
        faults += _residency(frames)
    return faults


def ids_of(frames: Frames, table: str, column: str) -> pd.Index | None:
    """The distinct ids of a column in their order, or None where the column is not to be had."""
    if table not in frames or column not in frames[table]:
        return None
    values = frames[table][column].array
    return values.categories if isinstance(values, pd.Categorical) else pd.Index(values)


def positions(values: pd.Series, index: pd.Index) -> np.ndarray:
    """[n] int32, where each id of a categorical column is in `index`; -1: null or not there."""
    found = index.get_indexer(values.cat.categories).astype(np.int32)
    return np.append(found, np.int32(-1))[values.cat.codes.to_numpy()]


def _ids(frames: Frames) -> list[str]:
    """Origins and regions that a table names and the table of origins or regions lacks."""
    uses = [
        ("requests", "origin", "origins", "origin"),
        ("requests", "current_region", "regions", "region"),
        ("latency", "origin", "origins", "origin"),
        ("latency", "region", "regions", "region"),
        ("demand", "origin", "origins", "origin"),
        ("hosting", "region", "regions", "region"),
    ]
    return [fault for use in uses for fault in _unknown(frames, *use)]


def _unknown(frames: Frames, table: str, column: str, home: str, key: str) -> list[str]:
    """The fault of `table.column` naming ids that `home.key` lacks."""
    defined = ids_of(frames, home, key)
    used = ids_of(frames, table, column)
    if defined is None or used is None:
        return []
    values = frames[table][column]
    bad = (positions(values, defined) < 0) & (values.cat.codes.to_numpy() >= 0)
    if not bad.any():
        return []
    hint = _type_hint(f"{table}.{column}", used, f"{home}.{key}", defined)
    remedy = hint or f"Add it to `{home}` or correct the id"
    article = "an" if key[0] in "aeiou" else "a"
    rule = f"name {article} {key} that `{home}` lacks"
    return [row_fault(f"{table}.{column}", bad, values.array, rule, remedy)]


def _type_hint(one: str, one_ids: pd.Index, other: str, other_ids: pd.Index) -> str:
    """What to do if one side's ids are integers and the other's texts; else nothing."""
    if not len(one_ids) or not len(other_ids) or _whole(one_ids) == _whole(other_ids):
        return ""
    kinds = ("texts", "integers")
    return (
        f"`{one}` holds {kinds[_whole(one_ids)]} and `{other}` {kinds[_whole(other_ids)]}: "
        "store the ids of both the same way"
    )


def _whole(ids: pd.Index) -> bool:
    return pd.api.types.is_integer_dtype(ids.dtype)


def _resources(frames: Frames, unread: frozenset[str]) -> list[str]:
    """Every resource that requests use has a capacity."""
    if "requests" not in frames or "regions" not in frames or not len(frames["regions"].columns):
        return []
    used = [label[4:] for label in frames["requests"] if label.startswith("use_")]
    return [
        f"`regions.capacity_{name}`: the column is missing, and `requests.use_{name}` needs it. "
        "Add it, or remove the use"
        for name in used
        if f"capacity_{name}" not in frames["regions"] and f"regions.capacity_{name}" not in unread
    ]


def _grid_zones(frames: Frames) -> list[str]:
    """Every region's grid zone has signals at some hour; `at` sees to the hour."""
    defined, used = ids_of(frames, "signals", "grid_zone"), ids_of(frames, "regions", "grid_zone")
    if defined is None or used is None:
        return []
    return _unknown(frames, "regions", "grid_zone", "signals", "grid_zone")


def _null_workloads(frames: Frames) -> list[str]:
    """Empty workloads where another table speaks of workloads: is "default" meant, or none?"""
    if "requests" not in frames or "workload" not in frames["requests"]:
        return []
    others = [name for name in ("hosting", "demand") if "workload" in frames.get(name, ())]
    empty = isna(frames["requests"]["workload"].array)
    if not others or not empty.any():
        return []
    rule = f"are empty while `{others[0]}` goes by workload"
    return [row_fault("requests.workload", empty, None, rule, f"Write {DEFAULT_WORKLOAD!r}")]


def _current_types(frames: Frames) -> list[str]:
    """Ids in `current` of the other type would all count as gone, which nobody means."""
    faults = []
    for column, home in (("request_id", "requests"), ("region", "regions")):
        if column not in frames.get("current", ()) or column not in frames.get(home, ()):
            continue
        some, all_ids = frames["current"][column].array, frames[home][column].array
        if isna(some).all():
            continue
        if _integers(some) != _integers(all_ids):
            kinds = ("texts", "integers")
            faults.append(
                f"`current.{column}`: {len(some)} rows hold {kinds[_integers(some)]}, and "
                f"`{home}.{column}` {kinds[_integers(all_ids)]}. Store both the same way"
            )
    return faults


def _workload_types(frames: Frames) -> list[str]:
    """Workloads of the other type in `hosting` or `demand` would silently match nothing."""
    if "workload" not in frames.get("requests", ()):
        return []
    used, faults = ids_of(frames, "requests", "workload"), []
    for name in ("hosting", "demand"):
        defined = ids_of(frames, name, "workload")
        if used is None or defined is None:
            continue
        hint = _type_hint(f"{name}.workload", defined, "requests.workload", used)
        if hint:
            rows = len(frames[name])
            faults.append(f"`{name}.workload`: {rows} rows match no request. {hint}")
    return faults


def _residency(frames: Frames) -> list[str]:
    """Every residency class in use is defined."""
    if "residency" not in frames.get("requests", ()):
        return []
    values = frames["requests"]["residency"]
    used = ~isna(values.array)
    if used.any() and "residency" not in frames:
        rule = "name a residency, and there is no table `residency`"
        remedy = "Add the table (residency, country), one row per allowed country"
        return [row_fault("requests.residency", used, values.array, rule, remedy)]
    return _unknown(frames, "requests", "residency", "residency", "residency")


def _integers(values: Any) -> bool:
    dtype = values.categories.dtype if isinstance(values, pd.Categorical) else values.dtype
    return bool(pd.api.types.is_integer_dtype(dtype))


def remarks(frames: Frames) -> list[str]:
    """What is allowed and yet worth a word, for the run's notes."""
    notes = []
    used, hosted = ids_of(frames, "requests", "workload"), ids_of(frames, "hosting", "workload")
    if hosted is not None:
        used = pd.Index([DEFAULT_WORKLOAD]) if used is None else used
        homeless = [repr(name) for name in used if name not in hosted]
        if homeless:
            notes.append(
                f"`hosting` has no row for workload {listed(homeless)}: no region may run it"
            )
    if "current" in frames and "current_region" in frames.get("requests", ()):
        notes.append("the table `current` replaces `requests.current_region`")
    return notes
