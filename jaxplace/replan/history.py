"""`history.parquet`: one row for every hour that was ever committed."""

import dataclasses
import io
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxplace import atomic
from jaxplace.errors import InputError
from jaxplace.placement import Placement


FILE = "history.parquet"


@dataclass(frozen=True)
class Row:
    """What an hour's plan cost and did.

    Attributes:
        hour: ISO 8601, UTC.
        planned_at: when it was planned, ISO 8601, UTC.
        start: "warm" from an earlier plan's duals, or "cold".
        status: why the solve stopped (see `Status`).
        objective_usd, lower_bound_usd, gap: of the certificate; an infinite gap is null.
        energy_usd, carbon_usd, egress_usd, move_usd, unplaced_usd: parts of the objective.
        units, placed, unplaced, unservable, moves: whole units.
        kwh, carbon_kg: of the plan.
        seconds: of the solve.
        stay_usd, stay_unplaced, nearest_usd: what staying put and the nearest regions would cost.
        hours_since: hours since the plan that this one moves from; null for the first.
        carried_zones, oldest_signal_h: grid zones with older signals, and the oldest's age.
        steps, unsafe_steps: of `changes.parquet`.
        plan: the plan's folder.
        version: jaxplace's.
    """

    hour: str
    planned_at: str
    start: str
    status: str
    objective_usd: float
    lower_bound_usd: float
    gap: float | None
    energy_usd: float
    carbon_usd: float
    egress_usd: float
    move_usd: float
    unplaced_usd: float
    units: int
    placed: int
    unplaced: int
    unservable: int
    moves: int
    kwh: float
    carbon_kg: float
    seconds: float
    stay_usd: float | None
    stay_unplaced: int | None
    nearest_usd: float | None
    hours_since: float | None
    carried_zones: int
    oldest_signal_h: float
    steps: int
    unsafe_steps: int
    plan: str
    version: str


_TYPES = {str: pa.string(), float: pa.float64(), int: pa.int64()}
_KINDS = {str: str, float: float, int: int, float | None: float, int | None: int}
SCHEMA = pa.schema([(spec.name, _TYPES[_KINDS[spec.type]]) for spec in fields(Row)])  # type: ignore[index]


def row_of(placement: Placement, **told: object) -> Row:
    """The row of a plan.

    Args:
        placement: the plan.
        told: what the plan does not know: `planned_at`, `start`, `seconds`, ...
    """
    proof, rules = placement.certificate, placement.baselines
    stay, nearest = rules.get("stay"), rules.get("nearest")
    names = ("energy_usd", "carbon_usd", "egress_usd", "move_usd", "unplaced_usd")
    figures = {
        "hour": placement.instance.hour,
        "status": placement.status.name,
        "objective_usd": proof.objective_usd,
        "lower_bound_usd": proof.lower_bound_usd,
        "gap": proof.gap if proof.gap < float("inf") else None,
        **{name: float(proof.cost.get(name, 0.0)) for name in names},
        **{n: getattr(proof, n) for n in ("units", "placed", "unplaced", "unservable", "moves")},
        "kwh": float(proof.kwh),
        "carbon_kg": float(proof.carbon_kg),
        "stay_usd": stay and stay["objective_usd"],
        "stay_unplaced": stay and round(stay["unplaced"]),
        "nearest_usd": nearest and nearest["objective_usd"],
    }
    return Row(**{**figures, **told})


def read(folder: Path) -> pd.DataFrame:
    """The history of a state folder, hours in order; empty if there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return SCHEMA.empty_table().to_pandas()
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} is damaged ({str(error).splitlines()[0]}). Bring it back from a backup, or "
            "remove it: the rows of the plans that are kept are then made anew"
        ) from error
    found = set(table.column_names)
    for spec in SCHEMA:  # written by an earlier version
        if spec.name not in found:
            table = table.append_column(spec, pa.nulls(len(table), spec.type))
    return table.select(SCHEMA.names).to_pandas()


def add(folder: Path, rows: list[Row]) -> None:
    """Add rows, or replace those of the same hours, in one rename.

    Raises:
        InputError: the file is damaged.
        OutputError: the disk refused; the old history is then untouched.
    """
    if not rows:
        return
    new = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    old = read(folder)
    kept = old[~old["hour"].isin(new["hour"])]
    whole = pa.concat_tables(
        [
            pa.Table.from_pandas(part, schema=SCHEMA, preserve_index=False)
            for part in (kept, new)
            if len(part)
        ]
    ).sort_by("hour")
    buffer = io.BytesIO()
    pq.write_table(whole, buffer, compression="zstd")
    atomic.replace_file(folder / FILE, buffer.getvalue())
