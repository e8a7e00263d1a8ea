"""The scenario's tables as Arrow, and their files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jaxplace.world import assumptions, bundle, grid
from jaxplace.world.reach import Reach, Residency
from jaxplace.world.regions import Origins, Regions
from jaxplace.world.requests import SHARD_ROWS, Shard
from jaxplace.world.settings import Counts, GenerateSettings
from jaxplace.world.workloads import MODELS


RESOURCES = ("gpu_s", "memory_gb")
LATENCY_ROWS = 1_000_000  # per shard
ROW_GROUP = 1 << 18


def write(table: pa.Table, folder: Path, name: str, shard: int | None = None) -> None:
    """Write a table, or one of its shards, with its assumptions in the schema."""
    path = folder / f"{name}.parquet"
    if shard is not None:
        (folder / name).mkdir(exist_ok=True)
        path = folder / name / f"part-{shard:05}.parquet"
    pq.write_table(
        table.replace_schema_metadata(assumptions.metadata(name)),
        path,
        compression="zstd",
        compression_level=1,
        row_group_size=ROW_GROUP,
        use_dictionary=[f.name for f in table.schema if f.name != "request_id"],
    )


class Names:
    """Ids of requests, origins, regions and the small classes, as Arrow arrays.

    Ids that many rows share are dictionaries over all their values, so that a row costs one
    integer here, in the file, and in the reader.
    """

    def __init__(
        self, settings: GenerateSettings, regions: Regions, origins: Origins, residency: Residency
    ) -> None:
        self.integers = settings.integer_ids
        self.width = max(6, len(str(settings.classes or settings.rows()[0])))
        self.regions = pa.array(regions.places["place"].tolist(), pa.string())
        self.origins = pa.array(origins.places["city"].tolist(), pa.string())
        self.models = pa.array([m.name for m in MODELS], pa.string())
        self.residency = pa.array(residency.names, pa.string())

    def request(self, first: int, n: int) -> pa.Array:
        """Ids of rows `first` to `first + n - 1`, from r000001 on (integers from 0 on)."""
        rows = pa.array(np.arange(first, first + n))
        if self.integers:
            return rows
        digits = pc.cast(pc.add(rows, 1), pa.string())
        padded = pc.utf8_lpad(digits, self.width, "0")
        return pc.binary_join_element_wise(pa.scalar("r"), padded, "")

    def ids(self, values: pa.Array, index: NDArray[np.integer], hole: int = -1) -> pa.Array:
        """`values` by index, null where the index is `hole`; plain integers if ids are."""
        codes = pa.array(index.astype(np.int32), mask=index == hole)
        if self.integers and values is not self.models and values is not self.residency:
            return pc.cast(codes, pa.int64())
        return pa.DictionaryArray.from_arrays(codes, values)


def requests(
    shard: Shard, b: int, names: Names, settings: GenerateSettings, slots: Residency
) -> pa.Table:
    """One shard of `requests`; real numbers are float32, which their meaning does not exceed."""
    n = len(shard.origin)
    columns = {
        "request_id": names.request(b * SHARD_ROWS, n),
        "origin": names.ids(names.origins, shard.origin),
        "energy_kwh": _real(shard.energy_kwh),
    }
    for resource in RESOURCES[: settings.resources]:
        columns[f"use_{resource}"] = _real(getattr(shard, resource))
    if not settings.minimal or settings.classes or settings.counts is not Counts.one:
        columns["count"] = pa.array(shard.count)
    if settings.has("hosting"):
        columns["workload"] = names.ids(names.models, shard.model)
    if settings.has("latency"):
        budget = shard.budget_ms
        columns["latency_budget_ms"] = pa.array(budget.astype(np.float32), mask=np.isinf(budget))
        columns["client_rtt_ms"] = _real(shard.client_rtt_ms)
    if settings.has("egress"):
        columns["egress_gb"] = _real(shard.egress_gb)
    if settings.has("moves"):
        columns["state_gb"] = _real(shard.state_gb)
        columns["current_region"] = names.ids(names.regions, shard.current)
    if settings.has("residency"):
        group = slots.slot[shard.origin, shard.slot]
        columns["residency"] = names.ids(names.residency, group, hole=0)
    return pa.table(columns)


def latency(reach: Reach, names: Names) -> Iterator[pa.Table]:
    """Shards of `latency`, every pair, origins outermost."""
    o, m = reach.rtt.shape
    step = max(1, LATENCY_ROWS // m)
    for start in range(0, o, step):
        block = reach.rtt[start : start + step]
        origin = np.repeat(np.arange(start, start + len(block)), m)
        region = np.tile(np.arange(m), len(block))
        yield pa.table(
            {
                "origin": names.ids(names.origins, origin),
                "region": names.ids(names.regions, region),
                "rtt_ms": _real(block.ravel() / 10),
            }
        )


def regions(
    made: Regions, capacity: NDArray[np.float64], names: Names, settings: GenerateSettings
) -> pa.Table:
    """The `regions` table; capacity is [m, r]."""
    places = made.places
    columns = {
        "region": _ids(names, names.regions),
        "latitude": places["latitude"].to_numpy(),
        "longitude": places["longitude"].to_numpy(),
        "country": pa.array(places["country"].tolist(), pa.string()),
        "grid_zone": pa.array(made.grid_zone, pa.string()),
        "pue": made.pue,
    }
    for r, resource in enumerate(RESOURCES[: settings.resources]):
        columns[f"capacity_{resource}"] = np.round(capacity[:, r], 3)
    if settings.has("egress") or settings.has("moves"):
        columns["network_zone"] = pa.array(made.network_zones(), pa.string())
    return pa.table(columns)


def origins(made: Origins, names: Names, settings: GenerateSettings) -> pa.Table:
    """The `origins` table."""
    places = made.places
    columns = {
        "origin": _ids(names, names.origins),
        "latitude": places["latitude"].to_numpy(),
        "longitude": places["longitude"].to_numpy(),
        "country": pa.array(places["country"].tolist(), pa.string()),
    }
    if settings.has("egress") or settings.has("moves"):
        columns["network_zone"] = pa.array(made.network_zones(), pa.string())
    return pa.table(columns)


def hosting(made: Regions, names: Names) -> pa.Table:
    """The `hosting` table: one row per model and region that hosts it."""
    model, region = np.nonzero(made.hosted)
    return pa.table(
        {
            "workload": names.ids(names.models, model),
            "region": names.ids(names.regions, region),
            "energy_factor": made.energy_factor[region],
            "use_factor": made.use_factor[region],
            "service_ms": made.service_ms[model, region],
        }
    )


def demand(made: Origins, names: Names, settings: GenerateSettings) -> pa.Table:
    """The `demand` table: each city's rate in an hour over that in the first hour."""
    offset = made.places["utc_offset_h"].to_numpy(float)
    times = grid.hours(settings)
    first = bundle.at_local_hour(offset, times[0].hour)
    factor = np.concatenate([bundle.at_local_hour(offset, t.hour) / first for t in times])
    time = np.repeat(pd.DatetimeIndex(times).as_unit("ms"), len(offset))
    return pa.table(
        {
            "time_utc": pa.Array.from_pandas(time),
            "origin": names.ids(names.origins, np.tile(np.arange(len(offset)), len(times))),
            "factor": np.round(factor, 4),
        }
    )


def plain(frame: pd.DataFrame) -> pa.Table:
    """A data frame as Arrow without its index."""
    return pa.Table.from_pandas(frame, preserve_index=False)


def _ids(names: Names, values: pa.Array) -> pa.Array:
    """The ids that a table defines, in order."""
    return pa.array(np.arange(len(values))) if names.integers else values


def _real(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values.astype(np.float32))
