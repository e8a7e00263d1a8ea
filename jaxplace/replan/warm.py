"""A plan's start for the next hour, as a file beside the plan."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxplace.placement import Duals, Placement
from jaxplace.start import Start


FILE = "start.parquet"


def save(placement: Placement, folder: Path) -> None:
    """Write `Start.of(placement)` into a plan's folder."""
    start = Start.of(placement)
    columns = {
        "region": pa.array(start.region_id.tolist()),
        "usd_per_kwh": pa.array(start.usd_per_kwh),
        "kwh": pa.array(start.kwh),
    }
    for r, name in enumerate(start.resources):
        columns[f"dual_{name}"] = pa.array(start.duals.capacity[:, r])
        columns[f"load_{name}"] = pa.array(start.load[:, r])
        columns[f"capacity_{name}"] = pa.array(start.capacity[:, r])
    extra = {"dual_of_moves": start.duals.moves, "dual_of_carbon": start.duals.carbon}
    table = pa.table(columns).replace_schema_metadata({k: repr(v) for k, v in extra.items()})
    pq.write_table(table, folder / FILE)


def load(folder: Path) -> Start:
    """The start that a plan's folder holds."""
    table = pq.read_table(folder / FILE)
    names = [n.removeprefix("dual_") for n in table.column_names if n.startswith("dual_")]
    extra = table.schema.metadata

    def grid(kind: str) -> np.ndarray:
        return np.stack([table[f"{kind}_{name}"].to_numpy() for name in names], 1)

    return Start(
        region_id=np.array(table["region"].to_pylist()),
        resources=tuple(names),
        duals=Duals(grid("dual"), float(extra[b"dual_of_moves"]), float(extra[b"dual_of_carbon"])),
        usd_per_kwh=table["usd_per_kwh"].to_numpy(),
        kwh=table["kwh"].to_numpy(),
        load=grid("load"),
        capacity=grid("capacity"),
    )
