"""Build the bundled demo scenario from the folder of raw data.

usage: build_demo.py DATA_DIR [OUT]

Writes the Parquet tables of the scenario to OUT (default: jaxplace/demo beside this script's
folder) and prints the figures that docs/data.md and jaxplace/demo/README.md quote.  The texts
there (README.md, NOTICE) are written by hand and stay.
"""

import json
import pathlib
import sys

import demo_demand
import demo_fleet
import demo_notes
import demo_sources
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


HOME = pathlib.Path(__file__).resolve().parent.parent / "jaxplace" / "demo"


def build(data: pathlib.Path) -> tuple[dict[str, pd.DataFrame], dict[str, list[str]]]:
    """All tables of the scenario, and what there is to say about single tables."""
    energy = demo_demand.Energy(data)
    raw = demo_sources.read_regions(data)
    metros = demo_demand.metros(data)
    signals, gaps = demo_sources.week(data, raw)
    latency = demo_sources.latency(data, metros, raw)
    continents = demo_demand.continents(data)
    transfer, borrowed = demo_sources.transfer(data, raw, continents)
    residency, mix = demo_demand.residency_classes(data)
    hours = pd.DatetimeIndex(signals["time_utc"].unique()).tz_localize("UTC")
    demand = demo_demand.demand(data, metros, hours)
    world = demo_demand.flows(demo_demand.replies(data), energy)
    requests = demo_demand.requests(metros, world, energy, mix)
    rtt = latency["rtt_ms"].to_numpy().reshape(len(metros), len(raw))
    row_rtt = rtt[pd.Index(metros["origin"]).get_indexer(requests["origin"])]
    regions = _regions(raw).assign(
        capacity_gpu_h=demo_fleet.capacity(requests, demand, rtt, metros)
    )
    hosting = demo_fleet.hosting(regions, energy)
    ok = demo_fleet.allowed(requests, regions, hosting, residency, row_rtt)
    requests["current_region"] = demo_fleet.current_region(requests, regions, ok, row_rtt)
    tables = {
        "requests": requests[demo_notes.REQUEST_COLUMNS],
        "regions": regions,
        "origins": _origins(metros),
        "latency": latency,
        "signals": signals,
        "demand": demand,
        "transfer": transfer,
        "residency": residency,
        "hosting": hosting,
    }
    _figures(requests, regions, demand, ok)
    proxies = raw[raw["price_exact"] == 0].drop_duplicates("grid_zone")
    said = {
        "signals": [*gaps, demo_notes.proxies(proxies)],
        "transfer": [demo_notes.borrowed(borrowed)],
    }
    return tables, said


def _regions(raw: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "region": raw["region"],
            "latitude": raw["lat"].round(4),
            "longitude": raw["lon"].round(4),
            "country": raw["iso2"],
            "grid_zone": raw["grid_zone"],
            "network_zone": raw["region"],
            "pue": raw["pue"],
        }
    )


def _origins(metros: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "origin": metros["origin"],
            "latitude": metros["latitude"].astype(float).round(4),
            "longitude": metros["longitude"].astype(float).round(4),
            "country": metros["countrycode"],
            "network_zone": "internet-" + metros["continent"],
        }
    )


def _figures(
    requests: pd.DataFrame, regions: pd.DataFrame, demand: pd.DataFrame, ok: np.ndarray
) -> None:
    """Print what the documentation quotes."""
    count = requests["count"]
    kwh, use = count * requests["energy_kwh"], count * requests["use_gpu_h"]
    calls = int(count.sum()) * demo_demand.CALLS_PER_UNIT
    print(f"requests {len(requests):,}, units {count.sum():,}, calls an hour {calls:,}")
    print(f"IT energy {kwh.sum():,.0f} kWh, accelerators {use.sum():,.0f} GPU h an hour on average")
    reach = pd.Series(ok.sum(axis=1))
    for name in ("slo", "workload"):
        by = requests[name]
        table = pd.DataFrame(
            {
                "requests": by.value_counts(),
                "units": count.groupby(by).sum() / count.sum(),
                "kwh": kwh.groupby(by).sum() / kwh.sum(),
                "gpu_h": use.groupby(by).sum() / use.sum(),
                "median regions": reach.groupby(by).median(),
                "unservable units": (count * (reach == 0)).groupby(by).sum() / count.sum(),
            }
        )
        print(table.round(4).to_string())
    ratio = regions["capacity_gpu_h"].sum() / demo_fleet.peak(requests, demand)
    print(f"capacity over demand by hour: {ratio.min():.2f} to {ratio.max():.2f}")
    print(f"current region known: {requests['current_region'].notna().mean():.3f}")


def write(table: pd.DataFrame, path: pathlib.Path, said: list[str]) -> None:
    """One Parquet file, with what is assumed in it and where it comes from as metadata."""
    name = path.stem
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    notes = {
        b"jaxplace_assumptions": json.dumps(demo_notes.ASSUMPTIONS[name] + said).encode(),
        b"jaxplace_sources": json.dumps(demo_notes.SOURCES[name]).encode(),
    }
    # without pandas' own metadata, which names versions, the same table gives the same bytes
    arrow = arrow.replace_schema_metadata(notes)
    pq.write_table(arrow, path, compression="zstd", compression_level=19, use_dictionary=True)


def main(arguments: list[str]) -> int:
    """Build and write; returns the exit code."""
    if not 1 <= len(arguments) <= 2:
        print(__doc__, file=sys.stderr)
        return 2
    out = pathlib.Path(arguments[1]) if len(arguments) == 2 else HOME
    out.mkdir(parents=True, exist_ok=True)
    tables, said = build(pathlib.Path(arguments[0]))
    for name, table in tables.items():
        write(table, out / f"{name}.parquet", said.get(name, []))
    total = sum(f.stat().st_size for f in out.iterdir() if f.is_file())
    print(f"{len(tables)} tables, folder {total / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
