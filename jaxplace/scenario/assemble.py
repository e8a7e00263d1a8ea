"""From checked tables to the `Instance` of one hour: CONTRACT section 1's symbols."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from jaxplace.errors import InputError
from jaxplace.instance import Instance, Places, Policy, Terms
from jaxplace.scenario.columns import isna, iso
from jaxplace.scenario.faults import listed, row_fault
from jaxplace.scenario.parts import Parts, parts_of
from jaxplace.scenario.references import DEFAULT_WORKLOAD, ids_of, positions


Frames = Mapping[str, pd.DataFrame]
Rows = np.ndarray | None  # rows of `requests`; None: all of them, in order, without a copy


def assemble(frames: Frames, time: pd.Timestamp, policy: Policy) -> Instance:
    """The instance at `time`, an hour that `signals` has.

    Raises:
        InputError: a zone in use has no signals at the hour; the policy's carbon column is not
            there or has faults.
    """
    price, carbon = _signals(frames, time, policy)
    requests, regions = frames["requests"], frames["regions"]
    region_ids = _index(frames, "regions", "region")
    count, kept = _at_hour(frames, time)
    parts, notes = _parts(frames, count, kept, region_ids)
    rows = kept
    if parts.request is not None and len(parts.request) != len(count):
        rows = parts.request if kept is None else kept[parts.request]
    names = tuple(label[4:] for label in requests if label.startswith("use_"))
    energy = _number(requests, "energy_kwh", rows, 0.0)
    ids = requests["request_id"].array if kept is None else requests["request_id"].array[kept]
    capacity = np.stack([_all(regions, f"capacity_{name}") for name in names], axis=1)
    if isinstance(ids, pd.arrays.NumpyExtensionArray):
        ids = ids.to_numpy()
    return Instance(
        request_id=ids,  # Arrow texts index as NumPy does, in a fifth of the memory
        region_id=region_ids.to_numpy(),
        resources=names,
        request=parts.request,
        count=parts.count,
        current=parts.region,
        use=np.stack([_number(requests, f"use_{name}", rows, 0.0) for name in names], axis=1),
        capacity=capacity * (1.0 - policy.headroom),
        unplaced=_unplaced(requests, rows, energy, policy),
        terms=_terms(frames, rows, energy, price, carbon, policy),
        policy=policy,
        hour=iso(time),
        places=_places(frames),
        notes=notes,
    )


def _signals(frames: Frames, time: pd.Timestamp, policy: Policy) -> tuple[np.ndarray, np.ndarray]:
    """[m] price and [m] carbon of each region's grid zone."""
    signals, column = frames["signals"], policy.carbon_column
    there = [name for name in signals if name not in ("time_utc", "grid_zone", "price_usd_per_mwh")]
    faults = []
    if column not in there:
        faults.append(
            f"`signals.{column}`: the column is missing, and `policy.carbon_column` names it. "
            f"Name one of those that exist: {listed(there)}"
        )
    at = np.flatnonzero(signals["time_utc"] == time)
    zones = pd.Index(signals["grid_zone"].array[at].astype(object))
    used = frames["regions"]["grid_zone"]
    found = np.append(zones.get_indexer(used.cat.categories), -1)[used.cat.codes.to_numpy()]
    if (found < 0).any():
        rule = f"name a grid zone that `signals` lacks at {iso(time)}"
        remedy = "Add its row for this hour to `signals`, or choose another hour"
        faults.append(row_fault("regions.grid_zone", found < 0, used.array, rule, remedy))
    if column in there:
        at_regions = at[found[found >= 0]]
        values = signals[column].to_numpy()
        at_regions = np.unique(at_regions)
        bad = at_regions[~(np.isfinite(values[at_regions]) & (values[at_regions] >= 0))]
        if len(bad):
            rule = f"of the hour {iso(time)} must be finite and >= 0"
            faults.append(row_fault(f"signals.{column}", bad, values, rule, "Correct them"))
    if faults:
        raise InputError(*faults)
    rows = at[found]
    return _all(signals, "price_usd_per_mwh")[rows], _all(signals, column)[rows]


def _at_hour(frames: Frames, time: pd.Timestamp) -> tuple[np.ndarray, Rows]:
    """(count [q] > 0, the rows of `requests` that have units at this hour)."""
    requests = frames["requests"]
    has = "count" in requests
    count = requests["count"].to_numpy() if has else np.ones(len(requests), np.int64)
    demand = frames.get("demand")
    if demand is None:
        return count, None
    demand = demand[demand["time_utc"] == time]
    if demand.empty:
        return count, None
    origins = _index(frames, "origins", "origin")
    workloads, workload = _workloads(requests, None)
    factor = np.ones((len(origins), len(workloads)))
    o, value = positions(demand["origin"], origins), demand["factor"].to_numpy()
    if "workload" in demand:
        k = positions(demand["workload"], workloads)
        factor[o[k >= 0], k[k >= 0]] = value[k >= 0]
    else:
        factor[o] = value[:, None]
    units = np.floor(count * factor[positions(requests["origin"], origins), workload] + 0.5)
    count = units.astype(np.int64)
    kept = np.flatnonzero(count > 0)
    return (count, None) if len(kept) == len(count) else (count[kept], kept)


def _parts(
    frames: Frames, count: np.ndarray, kept: Rows, regions: pd.Index
) -> tuple[Parts, tuple[str, ...]]:
    """The instance's rows, and what to tell about `current`."""
    requests = frames["requests"]
    if "current" in frames:
        parts = parts_of(frames["current"], requests["request_id"], kept, count, regions)
        notes: tuple[str, ...] = ()
        if parts.skipped:
            notes = (f"`current`: {parts.skipped} units are gone or beyond their request's count",)
        return parts, notes
    region = np.full(len(count), -1, dtype=np.int32)
    if "current_region" in requests:
        region = _take(positions(requests["current_region"], regions), kept)
    return Parts(np.arange(len(count), dtype=np.int64), region, count), ()


def _workloads(requests: pd.DataFrame, rows: Rows) -> tuple[pd.Index, np.ndarray]:
    """(distinct workloads in use, [n] int32 the workload of each row); null is "default"."""
    if "workload" not in requests:
        n = len(requests) if rows is None else len(rows)
        return pd.Index([DEFAULT_WORKLOAD]), np.zeros(n, np.int32)
    values = requests["workload"].array
    names, codes = values.categories, values.codes.astype(np.int32)
    if (codes < 0).any():
        if DEFAULT_WORKLOAD not in names:
            names = pd.Index([*names, DEFAULT_WORKLOAD])
        codes = np.where(codes < 0, np.int32(names.get_loc(DEFAULT_WORKLOAD)), codes)
    return names, _take(codes, rows)


def _unplaced(requests: pd.DataFrame, rows: Rows, energy: np.ndarray, policy: Policy) -> np.ndarray:
    """[n] penalty of one unplaced unit [USD]."""
    unplaced = policy.unplaced_usd + policy.unplaced_usd_per_kwh * energy
    if "unplaced_usd" in requests:
        given = _number(requests, "unplaced_usd", rows, np.nan)
        unplaced = np.where(np.isnan(given), unplaced, given)
    return unplaced


def _terms(
    frames: Frames,
    rows: Rows,
    energy: np.ndarray,
    price: np.ndarray,
    carbon: np.ndarray,
    policy: Policy,
) -> Terms:
    """Scalars per row and tables per class."""
    requests = frames["requests"]
    origins = _index(frames, "origins", "origin")
    workloads, workload = _workloads(requests, rows)
    legal, residency = _legal(frames, rows)
    origin_zone, region_zone, transfer = _transfer(frames, policy)
    budget, client = _budget(requests, rows)
    return Terms(
        energy_kwh=energy,
        egress_gb=_number(requests, "egress_gb", rows, 0.0),
        state_gb=_number(requests, "state_gb", rows, 0.0),
        latency_budget_ms=budget,
        origin=_take(positions(requests["origin"], origins), rows),
        workload=workload,
        residency=residency,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=carbon,
        pue=_all(frames["regions"], "pue"),
        **_hosting(frames, workloads),
        rtt_ms=_rtt(frames, origins),
        legal=legal,
        origin_zone=origin_zone,
        region_zone=region_zone,
        transfer=transfer,
        client_rtt_ms=client,
    )


def _budget(requests: pd.DataFrame, rows: Rows) -> tuple[np.ndarray, np.ndarray | None]:
    """[n] what the budget leaves after the way from the client to its origin, and that way.

    A budget of inf is none; a way of None is 0 for all.
    """
    budget = _number(requests, "latency_budget_ms", rows, np.inf)
    budget = np.where(np.isnan(budget), np.inf, budget)
    if "client_rtt_ms" not in requests:
        return budget, None
    client = np.nan_to_num(_number(requests, "client_rtt_ms", rows, 0.0))
    return budget - client, client if client.any() else None


def _hosting(frames: Frames, workloads: pd.Index) -> dict[str, np.ndarray]:
    """[k, m] tables of the workloads; without the table, everything runs everywhere alike."""
    regions = _index(frames, "regions", "region")
    shape = (len(workloads), len(regions))
    hosting = frames.get("hosting")
    tables = {
        "energy_factor": np.ones(shape),
        "use_factor": np.ones(shape),
        "service_ms": np.zeros(shape),
        "hosted": np.full(shape, hosting is None),
    }
    if hosting is None:
        return tables
    k, j = positions(hosting["workload"], workloads), positions(hosting["region"], regions)
    used = k >= 0
    tables["hosted"][k[used], j[used]] = True
    for name in ("energy_factor", "use_factor", "service_ms"):
        if name in hosting:
            tables[name][k[used], j[used]] = hosting[name].to_numpy()[used]
    return tables


def _rtt(frames: Frames, origins: pd.Index) -> np.ndarray:
    """[o, m] RTT [ms]; inf where the pair is not in the table."""
    latency, regions = frames["latency"], _index(frames, "regions", "region")
    rtt = np.full((len(origins), len(regions)), np.inf)
    o, j = positions(latency["origin"], origins), positions(latency["region"], regions)
    rtt[o, j] = latency["rtt_ms"].to_numpy()
    return rtt


def _legal(frames: Frames, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """([l, m] bool, [n] int32): row 0 allows all, the others are the classes in use."""
    requests = frames["requests"]
    n = len(requests) if rows is None else len(rows)
    m = len(frames["regions"])
    if "residency" not in requests or isna(requests["residency"].array).all():
        return np.ones((1, m), dtype=bool), np.zeros(n, np.int32)
    values, table = requests["residency"].array, frames["residency"]
    used = values.categories
    country = frames["regions"]["country"].astype(object).to_numpy()
    legal = np.ones((len(used) + 1, m), dtype=bool)
    of_class = positions(table["residency"], used)
    for k in range(len(used)):
        listed_countries = table["country"][of_class == k].astype(object).tolist()
        legal[k + 1] = np.isin(country, listed_countries)
    return legal, _take(values.codes.astype(np.int32) + np.int32(1), rows)


def _transfer(frames: Frames, policy: Policy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """([o] zone, [m] zone, [z, z] USD/GB).  Zones are compared as texts."""
    found = [_zones(frames[name]) for name in ("origins", "regions")]
    zones = pd.Index(pd.unique(np.concatenate(found)))
    transfer = np.full((len(zones), len(zones)), float(policy.transfer_usd_per_gb))
    np.fill_diagonal(transfer, 0.0)
    if "transfer" in frames:
        table = frames["transfer"]
        a, b = (zones.get_indexer(_texts(table[name])) for name in ("from_zone", "to_zone"))
        used = (a >= 0) & (b >= 0)
        transfer[a[used], b[used]] = table["usd_per_gb"].to_numpy()[used]
    origin_zone, region_zone = (zones.get_indexer(one).astype(np.int32) for one in found)
    return origin_zone, region_zone, transfer


def _zones(nodes: pd.DataFrame) -> np.ndarray:
    return _texts(nodes["network_zone" if "network_zone" in nodes else "country"])


def _texts(values: pd.Series) -> np.ndarray:
    return np.array([str(value) for value in values], dtype=object)


def _places(frames: Frames) -> Places:
    """Coordinates and names for the report."""
    regions, origins = frames["regions"], frames["origins"]
    return Places(
        region_latitude=_all(regions, "latitude"),
        region_longitude=_all(regions, "longitude"),
        region_country=regions["country"].astype(object).to_numpy(),
        origin_id=_index(frames, "origins", "origin").to_numpy(),
        origin_latitude=_all(origins, "latitude"),
        origin_longitude=_all(origins, "longitude"),
        workload_id=_workloads(frames["requests"], None)[0].to_numpy(),
        region_grid_zone=regions["grid_zone"].astype(object).to_numpy(),
    )


def _index(frames: Frames, table: str, column: str) -> pd.Index:
    index = ids_of(frames, table, column)
    assert index is not None  # the tables are checked
    return index


def _all(frame: pd.DataFrame, column: str) -> np.ndarray:
    return frame[column].to_numpy()


def _number(frame: pd.DataFrame, column: str, rows: Rows, default: float) -> np.ndarray:
    """[n] a column's rows, or the default of a column that is not there."""
    if column not in frame:
        n = len(frame) if rows is None else len(rows)
        return np.zeros(n) if default == 0 else np.full(n, default)
    return _take(frame[column].to_numpy(), rows)


def _take(values: np.ndarray, rows: Rows) -> np.ndarray:
    return values if rows is None else values[rows]
