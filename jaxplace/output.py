"""A placement as tables and files (CONTRACT section 5).

Columns stay Arrow arrays from the instance to the Parquet file: ids are gathered by index, never
as Python objects, and the large tables are written a slice at a time, so that ten million
requests need little more than the index arrays themselves.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxplace import atomic, report, runtime
from jaxplace.errors import InputError, OutputError
from jaxplace.instance import NOWHERE
from jaxplace.placement import Placement


FILES = ("placement.parquet", "changes.parquet", "regions.parquet", "summary.json", "report.html")
MARKER = "summary.json"
STAGES = ("load", "validate", "prepare", "compile", "relax", "round", "certify", "write", "total")
SLICE_ROWS = 1 << 20  # a Parquet row group; bounds the memory of writing


@dataclasses.dataclass(frozen=True)
class Flows:
    """Units by request and regions, as indices.  `came_from` is None in a plan of whole requests.

    Attributes:
        request: [f] index of the request.
        came_from: [f] region where the units run now, -1: nowhere; or None.
        region: [f] region where the units run under the plan, -1: unplaced.
        count: [f] int64 > 0.
        safe: [f] bool, whether the flows, taken in this order, find room (see `replan.order`); or
            None where their order means nothing.
    """

    request: np.ndarray
    came_from: np.ndarray | None
    region: np.ndarray
    count: np.ndarray
    safe: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.count)


def plan_flows(placement: Placement) -> Flows:
    """Units per request and region, the parts of a request added up, sorted by request, region."""
    instance, plan = placement.instance, placement.assignment
    request = instance.request[plan.row]
    key = request * (instance.regions + 1) + (plan.region.astype(np.int64) + 1)
    if len(key) < 2 or bool((key[1:] > key[:-1]).all()):  # a row a request: the usual case
        return Flows(request, None, plan.region, plan.count)
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    kept = order[first]
    return Flows(request[kept], None, plan.region[kept], np.add.reduceat(plan.count[order], first))


def change_flows(placement: Placement) -> Flows:
    """Units whose region under the plan is not the one where they run now."""
    instance, plan = placement.instance, placement.assignment
    came_from = instance.current[plan.row]
    where = np.flatnonzero(came_from != plan.region)
    return Flows(
        instance.request[plan.row[where]], came_from[where], plan.region[where], plan.count[where]
    )


class _Ids:
    """Ids as one Arrow array, gathered by index; -1 gives null."""

    def __init__(self, ids: Any) -> None:
        values = pa.array(ids.tolist() if getattr(ids.dtype, "kind", "") == "T" else ids)
        if pa.types.is_string(values.type):  # 32-bit offsets end at 2 GB of text
            values = values.cast(pa.large_string())
        if isinstance(values, pa.ChunkedArray):  # from a column that was read in shards
            values = values.combine_chunks()
        self.values = values

    @property
    def type(self) -> pa.DataType:
        return self.values.type

    def take(self, index: np.ndarray) -> pa.Array:
        """The ids at `index`; null where it is negative."""
        missing = index < 0
        return self.values.take(pa.array(index, mask=missing if missing.any() else None))


def _pandas_type(kind: pa.DataType, *, nullable: bool) -> Any:
    """The pandas dtype of a column of ids or counts; integers with nulls stay integers."""
    if pa.types.is_large_string(kind):
        return pd.StringDtype("pyarrow")
    if not nullable:
        return kind.to_pandas_dtype()
    return pd.UInt64Dtype() if pa.types.is_unsigned_integer(kind) else pd.Int64Dtype()


def _schema(
    request: pa.DataType, columns: Iterable[str], region: pa.DataType, *, safe: bool = False
) -> pa.Schema:
    """The table's schema; its pandas metadata makes a reader choose the dtypes above."""
    kinds = {"request_id": request, **dict.fromkeys(columns, region), "count": pa.int64()}
    kinds |= {"safe": pa.bool_()} if safe else {}
    empty = pd.DataFrame(
        {
            name: pd.Series([], dtype=_pandas_type(kind, nullable=name.endswith("region")))
            for name, kind in kinds.items()
        }
    )
    return pa.schema(list(kinds.items()), metadata=pa.Schema.from_pandas(empty).metadata)


def _tables(placement: Placement, flows: Flows, rows: int) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The flows with their ids, as a schema and tables of at most `rows` rows."""
    requests, regions = _Ids(placement.instance.request_id), _Ids(placement.instance.region_id)
    columns = {"region": flows.region}
    if flows.came_from is not None:
        columns = {"from_region": flows.came_from, "to_region": flows.region}
    schema = _schema(requests.type, columns, regions.type, safe=flows.safe is not None)

    def slices() -> Iterator[pa.Table]:
        for start in range(0, len(flows), rows):
            at = slice(start, start + rows)
            arrays = [requests.take(flows.request[at])]
            arrays += [regions.take(index[at]) for index in columns.values()]
            arrays.append(pa.array(flows.count[at]))
            if flows.safe is not None:
                arrays.append(pa.array(flows.safe[at]))
            yield pa.Table.from_arrays(arrays, schema=schema)

    return schema, slices()


def _frame(placement: Placement, flows: Flows) -> pd.DataFrame:
    """The flows as one DataFrame with the dtypes that reading the file gives."""
    schema, tables = _tables(placement, flows, SLICE_ROWS)
    parts = list(tables)
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    return table.to_pandas()


def assignments(placement: Placement) -> pd.DataFrame:
    """Who runs where: request_id, region (null: unplaced), count."""
    return _frame(placement, plan_flows(placement))


def changes(placement: Placement) -> pd.DataFrame:
    """What changes: request_id, from_region (null: new), to_region (null: unplaced), count."""
    return _frame(placement, change_flows(placement))


def regions(placement: Placement) -> pd.DataFrame:
    """Per region: load_R, capacity_R (after headroom), dual_R [USD/unit], units, kwh, ..."""
    instance, proof = placement.instance, placement.certificate
    columns: dict[str, Any] = {"region": _Ids(instance.region_id).values}
    for r, name in enumerate(instance.resources):
        columns[f"load_{name}"] = proof.load[:, r]
        columns[f"capacity_{name}"] = instance.capacity[:, r]
        columns[f"dual_{name}"] = placement.duals.capacity[:, r]
    columns["units"] = proof.region_units.astype(np.int64)
    columns["kwh"] = proof.region_kwh
    columns["carbon_kg"] = proof.region_carbon_kg
    columns["cost_usd"] = proof.region_cost_usd
    frame = pa.table(
        {k: np.ascontiguousarray(v) if isinstance(v, np.ndarray) else v for k, v in columns.items()}
    ).to_pandas()
    kind = columns["region"].type
    if pa.types.is_large_string(kind):
        frame["region"] = frame["region"].astype(_pandas_type(kind, nullable=False))
    return frame


def region(placement: Placement) -> np.ndarray:
    """[n] int64 region of each request, -1 where unplaced.

    Raises:
        InputError: a request has more than one unit, so it may be in several regions.
    """
    instance, plan = placement.instance, placement.assignment
    if instance.rows != len(instance.request_id) or bool((instance.count != 1).any()):
        raise InputError(
            "`Placement.region` needs every request to be one unit. "
            f"Got {instance.count.sum():,} units of {len(instance.request_id):,} requests: "
            "use `Placement.assignments`"
        )
    found = np.full(len(instance.request_id), NOWHERE, np.int64)
    found[instance.request[plan.row]] = plan.region
    return found


def summary(placement: Placement) -> dict[str, Any]:
    """The figures of `summary.json`; plain Python values, None for what is not finite."""
    instance, proof = placement.instance, placement.certificate
    spent = {stage: placement.timings_s.get(stage, 0.0) for stage in STAGES}
    extra = {k: v for k, v in placement.timings_s.items() if k not in spent}
    if "total" not in placement.timings_s:
        spent["total"] = sum(spent.values())
    places = instance.places
    return _plain(
        {
            "status": placement.status.name,
            "status_text": placement.status.value,
            "feasible": proof.feasible,
            "objective_usd": proof.objective_usd,
            "lower_bound_usd": proof.lower_bound_usd,
            "gap": proof.gap,
            "units": proof.units,
            "placed": proof.placed,
            "unplaced": proof.unplaced,
            "unservable": proof.unservable,
            "moves": proof.moves,
            "cost": proof.cost,
            "kwh": proof.kwh,
            "carbon_kg": proof.carbon_kg,
            "budget_duals": {"moves": placement.duals.moves, "carbon": placement.duals.carbon},
            "budgets": _budgets(placement),
            "baselines": {k: _counted(v) for k, v in placement.baselines.items()},
            "certificate": {
                "feasible": proof.feasible,
                "violations": list(proof.violations),
                "unservable_usd": proof.unservable_usd,
                "statement": report.statement(placement),
            },
            "policy": dataclasses.asdict(instance.policy),
            "hour": instance.hour,
            "seed": placement.seed,
            "size": {
                "requests": len(instance.request_id),
                "rows": instance.rows,
                "regions": instance.regions,
                "resources": len(instance.resources),
                "allowed_pairs": proof.allowed_pairs,
            },
            "timings_s": {**spent, **extra},
            "peak_rss_bytes": runtime.peak_rss_bytes(),
            "device": placement.device,
            "versions": placement.versions or runtime.versions(),
            "assumptions": list(places.assumptions) if places else [],
            "notes": list(instance.notes),
        }
    )


def _budgets(placement: Placement) -> dict[str, dict[str, float | None]]:
    """Per fleet budget: limit, use, and what the least would be where it cannot be kept."""
    policy, proof = placement.instance.policy, placement.certificate
    used = {"max_moves": proof.moves, "carbon_cap_kg": proof.carbon_kg}
    return {
        name: {"limit": getattr(policy, name), "used": used[name], "least": least}
        for name in used
        if getattr(policy, name) is not None
        for least in [placement.least.get(name)]
    }


def _counted(figures: Mapping[str, float]) -> dict[str, float]:
    """A baseline's figures, its counts as integers."""
    return {k: round(v) if k in ("unplaced", "moves") else v for k, v in figures.items()}


def _plain(value: Any) -> Any:
    """`value` as JSON knows it: NumPy scalars unwrapped, None for NaN and infinities."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(figures: dict[str, Any]) -> str:
    """`summary.json`'s text."""
    return json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write(path: Path, placement: Placement, flows: Flows) -> None:
    """One large table, a slice at a time."""
    schema, tables = _tables(placement, flows, SLICE_ROWS)
    named = [name for name in schema.names if name.endswith("region")]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=named) as writer:
        for table in tables:
            writer.write_table(table)


def check_target(out: Path | str) -> Path:
    """The folder a save would write to.

    Raises:
        InputError: a save would refuse it (see `jaxplace.atomic`).
    """
    return atomic.check_target(Path(out), marker=MARKER)


def save(
    placement: Placement,
    out: Path | str,
    *,
    total_s: Callable[[], float] | None = None,
    extra: Mapping[str, str] | None = None,
) -> Placement:
    """Write `FILES` into the folder `out`, all or none; other files there are kept.

    Args:
        placement: what to write.
        out: a new or empty folder, or that of an earlier run, whose files are replaced.
        total_s: tells the seconds of the whole job so far; default: the sum of the stages.
        extra: texts by file name that belong to the set, such as the command's options.

    Returns:
        The placement with the timings `write` and `total`, as they stand in `summary.json`.

    Raises:
        InputError: `out` cannot be a run's folder.
        OutputError: the disk refused; an earlier run's files are then unchanged.
    """
    target = check_target(out)
    done = placement

    def write(folder: Path) -> None:
        nonlocal done
        done = fill(placement, folder, total_s=total_s, extra=extra)

    atomic.replace_set(target, write, marker=MARKER)
    return done


def fill(
    placement: Placement,
    folder: Path,
    *,
    total_s: Callable[[], float] | None = None,
    extra: Mapping[str, str] | None = None,
    steps: Flows | None = None,
) -> Placement:
    """Write the files of `save` into an empty folder.

    Args:
        placement: what to write.
        folder: where.
        total_s: see `save`.
        extra: see `save`.
        steps: `changes.parquet`'s rows in an order of their own; default: by request.

    Raises:
        OutputError: a table could not be written.
    """
    started = time.perf_counter()
    try:
        _write(folder / "placement.parquet", placement, plan_flows(placement))
        _write(
            folder / "changes.parquet",
            placement,
            change_flows(placement) if steps is None else steps,
        )
        regions(placement).to_parquet(folder / "regions.parquet", index=False)
    except pa.ArrowException as error:
        raise OutputError(f"The tables could not be written to {folder}: {error}") from error
    page = report.render(placement)
    timings = {k: v for k, v in placement.timings_s.items() if k != "total"}
    timings["write"] = time.perf_counter() - started
    timings["total"] = total_s() if total_s else sum(timings.values())
    done = dataclasses.replace(placement, timings_s=timings)
    page = page.replace(report.TIMINGS_SLOT, report.timings(done))
    (folder / "report.html").write_text(page, encoding="utf-8")
    for name, text in (extra or {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / MARKER).write_text(to_json(summary(done)), encoding="utf-8")
    return done
