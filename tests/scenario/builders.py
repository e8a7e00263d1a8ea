"""Small scenarios and ways to write them, for every test that needs tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


HOURS = ("2022-07-01T12:00", "2022-07-01T13:00")
Tables = dict[str, pd.DataFrame]


def small_tables(
    *,
    demand: bool = False,
    transfer: bool = False,
    residency: bool = False,
    current: bool = False,
    current_region: bool = False,
    hosting: bool = False,
    optional: bool = True,
) -> Tables:
    """Six requests, three regions (one in Namibia), two origins, two hours.

    Args:
        demand, transfer, residency, current, hosting: whether the table is there.
        current_region: whether requests have the column.
        optional: whether requests have the other optional columns.
    """
    requests = pd.DataFrame(
        {
            "request_id": [f"q{k}" for k in range(6)],
            "origin": ["fra", "win", "fra", "fra", "win", "fra"],
            "energy_kwh": [1.0, 2.0, 0.5, 0.0, 3.0, 1.5],
            "use_gpu": [1.0, 2.0, 1.0, 1.0, 4.0, 0.0],
            "use_ram": [8.0, 16.0, 8.0, 4.0, 32.0, 2.0],
        }
    )
    if optional:
        requests["count"] = [3, 1, 10, 2, 5, 1]
        requests["workload"] = ["chat", "chat", "image", "chat", "image", "chat"]
        requests["latency_budget_ms"] = [100.0, np.nan, 50.0, np.inf, 200.0, 80.0]
        requests["client_rtt_ms"] = [5.0, 0.0, np.nan, 2.0, 1.0, 0.0]
        requests["egress_gb"] = [0.1, 0.2, 0.0, 0.3, 0.1, 0.0]
        requests["state_gb"] = [1.0, 0.0, 2.0, 1.0, 1.0, 0.0]
        requests["unplaced_usd"] = [np.nan, 4.0, np.nan, np.nan, 9.0, np.nan]
    if current_region:
        requests["current_region"] = ["de", None, "na", "us", None, "de"]
    if residency:
        requests["residency"] = ["eu", None, "eu", None, "africa", None]
    tables = {
        "requests": requests,
        "regions": pd.DataFrame(
            {
                "region": ["de", "na", "us"],
                "latitude": [50.1, -22.6, 39.0],
                "longitude": [8.7, 17.1, -77.5],
                "country": ["DE", "NA", "US"],
                "grid_zone": ["DE-LU", "NA", "PJM"],
                "pue": [1.2, 1.5, 1.1],
                "capacity_gpu": [10.0, 20.0, 40.0],
                "capacity_ram": [100.0, 200.0, 300.0],
                "network_zone": ["europe", "africa", "america"],
            }
        ),
        "origins": pd.DataFrame(
            {
                "origin": ["fra", "win"],
                "latitude": [50.0, -22.5],
                "longitude": [8.6, 17.0],
                "country": ["DE", "NA"],
                "network_zone": ["europe", "africa"],
            }
        ),
        "latency": pd.DataFrame(
            {
                "origin": ["fra", "fra", "fra", "win", "win"],
                "region": ["de", "na", "us", "na", "us"],
                "rtt_ms": [2.0, 160.0, 90.0, 3.0, 180.0],
            }
        ),
        "signals": pd.DataFrame(
            {
                "time_utc": np.repeat(pd.to_datetime(HOURS, utc=True), 3),
                "grid_zone": ["DE-LU", "NA", "PJM"] * 2,
                "price_usd_per_mwh": [120.0, 60.0, -5.0, 110.0, 61.0, 30.0],
                "carbon_g_per_kwh": [300.0, 50.0, 400.0, 310.0, 50.0, 410.0],
                "carbon_average": [330.0, 60.0, 380.0, 340.0, 60.0, np.nan],
            }
        ),
    }
    tables |= _optional_tables(demand, transfer, residency, current, hosting)
    return tables


def _optional_tables(
    demand: bool, transfer: bool, residency: bool, current: bool, hosting: bool
) -> Tables:
    tables: Tables = {}
    if demand:
        tables["demand"] = pd.DataFrame(
            {
                "time_utc": pd.to_datetime([HOURS[0], HOURS[1], HOURS[1]], utc=True),
                "origin": ["fra", "fra", "win"],
                "workload": ["image", "chat", "image"],
                "factor": [0.0, 0.5, 2.1],
            }
        )
    if transfer:
        tables["transfer"] = pd.DataFrame(
            {
                "from_zone": ["europe", "america", "europe", "mars"],
                "to_zone": ["africa", "america", "america", "europe"],
                "usd_per_gb": [0.11, 0.01, 0.05, 9.0],
            }
        )
    if residency:
        tables["residency"] = pd.DataFrame(
            {"residency": ["eu", "eu", "africa"], "country": ["DE", "FR", "NA"]}
        )
    if current:
        tables["current"] = pd.DataFrame(
            {
                "request_id": ["q0", "q0", "q2", "q2", "q2", "gone", "q4", "q5"],
                "region": ["us", "de", "na", "de", "us", "de", "closed", None],
                "count": [2, 2, 4, 4, 1, 7, 5, 1],
            }
        )
    if hosting:
        tables["hosting"] = pd.DataFrame(
            {
                "workload": ["chat", "chat", "image", "video"],
                "region": ["de", "na", "us", "us"],
                "energy_factor": [1.0, 1.3, 0.8, 2.0],
                "use_factor": [1.0, 2.0, 0.5, 1.0],
                "service_ms": [10.0, 20.0, 30.0, 40.0],
            }
        )
    return tables


EVERYTHING = dict.fromkeys(("demand", "transfer", "residency", "current", "hosting"), True)


def write_folder(
    path: Path, tables: Tables, kind: str = "parquet", assumptions: tuple[str, ...] = ()
) -> Path:
    """Write tables as a scenario folder.

    Args:
        path: the folder; made if need be.
        tables: DataFrames by table name.
        kind: `parquet`, `csv`, or `shards` (folders of two files each).
        assumptions: texts for the Parquet metadata of every table.
    """
    path.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        if kind == "csv":
            frame.to_csv(path / f"{name}.csv", index=False)
        elif kind == "shards":
            (path / name).mkdir()
            half = (len(frame) + 1) // 2
            _write(frame.iloc[:half], path / name / "part-000.parquet", assumptions)
            _write(frame.iloc[half:], path / name / "part-001.parquet", assumptions)
        else:
            _write(frame, path / f"{name}.parquet", assumptions)
    return path


def _write(frame: pd.DataFrame, path: Path, assumptions: tuple[str, ...]) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if assumptions:
        metadata = {
            **(table.schema.metadata or {}),
            b"jaxplace_assumptions": json.dumps(assumptions),
        }
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path)
