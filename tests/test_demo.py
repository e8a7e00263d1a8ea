"""The bundled demo scenario: complete, small, honest about itself."""

import json
import os
import pathlib
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest


ROOT = pathlib.Path(__file__).resolve().parent.parent
DEMO = ROOT / "jaxplace" / "demo"
RAW = os.environ.get("JAXPLACE_DATA")
COLUMNS = {
    "requests": "request_id origin workload count energy_kwh use_gpu_h latency_budget_ms "
    "client_rtt_ms egress_gb state_gb current_region residency",
    "regions": "region latitude longitude country grid_zone network_zone pue capacity_gpu_h",
    "origins": "origin latitude longitude country network_zone",
    "latency": "origin region rtt_ms",
    "signals": "time_utc grid_zone price_usd_per_mwh carbon_g_per_kwh carbon_marginal_g_per_kwh",
    "demand": "time_utc origin factor",
    "transfer": "from_zone to_zone usd_per_gb",
    "residency": "residency country",
    "hosting": "workload region service_ms",
}
# what no table may claim to have measured
ASSUMED = {
    "requests": "shares are assumed",
    "regions": "PUE is assumed",
    "latency": "modelled",
    "signals": "proxy market",
    "hosting": "Hosting is assumed",
}


def read(name: str) -> pd.DataFrame:
    return pd.read_parquet(DEMO / f"{name}.parquet")


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return {name: read(name) for name in COLUMNS}


def test_bundle_is_small():
    assert sum(f.stat().st_size for f in DEMO.iterdir()) <= 6_000_000


def test_tables_have_exactly_the_known_columns(tables):
    for name, columns in COLUMNS.items():
        assert list(tables[name].columns) == columns.split(), name


def test_sizes(tables):
    assert len(tables["regions"]) == 69
    assert 280 <= len(tables["origins"]) <= 320
    assert 20_000 <= len(tables["requests"]) <= 60_000
    assert tables["signals"]["time_utc"].nunique() == 168
    assert tables["requests"]["workload"].nunique() >= 4
    assert tables["requests"]["count"].min() >= 1
    calls = tables["requests"]["count"].sum() * 100
    assert calls > 50e6, "many millions of calls"


def test_numbers_are_in_range(tables):
    for name, column in (
        ("latency", "rtt_ms"),
        ("transfer", "usd_per_gb"),
        ("signals", "carbon_g_per_kwh"),
        ("signals", "carbon_marginal_g_per_kwh"),
        ("demand", "factor"),
        ("hosting", "service_ms"),
        ("regions", "capacity_gpu_h"),
        ("requests", "energy_kwh"),
        ("requests", "use_gpu_h"),
    ):
        values = tables[name][column]
        assert np.isfinite(values).all(), (name, column)
        assert (values >= 0).all(), (name, column)
    assert tables["regions"]["pue"].between(1.0, 1.5).all()
    assert np.isfinite(tables["signals"]["price_usd_per_mwh"]).all()
    assert tables["signals"]["price_usd_per_mwh"].between(-100, 2000).all()


def test_keys_are_unique_and_complete(tables):
    regions, origins = tables["regions"], tables["origins"]
    pairs = tables["latency"][["origin", "region"]]
    assert len(pairs.drop_duplicates()) == len(pairs) == len(origins) * len(regions)
    signals = tables["signals"]
    zones = set(regions["grid_zone"])
    assert set(signals["grid_zone"]) == zones
    assert not signals.duplicated(["time_utc", "grid_zone"]).any()
    assert len(signals) == 168 * len(zones)
    assert len(tables["demand"].drop_duplicates(["time_utc", "origin"])) == 168 * len(origins)
    assert tables["requests"]["request_id"].is_unique
    assert not tables["transfer"].duplicated(["from_zone", "to_zone"]).any()


def test_every_id_exists(tables):
    requests, regions = tables["requests"], tables["regions"]
    assert set(requests["origin"]) <= set(tables["origins"]["origin"])
    assert set(requests["current_region"].dropna()) <= set(regions["region"])
    assert set(requests["residency"].dropna()) <= set(tables["residency"]["residency"])
    assert set(requests["workload"]) == set(tables["hosting"]["workload"])
    zones = set(regions["network_zone"]) | set(tables["origins"]["network_zone"])
    assert set(tables["transfer"]["from_zone"]) >= zones


def test_demand_keeps_the_mean(tables):
    by_origin = tables["demand"].groupby("origin")["factor"].mean()
    np.testing.assert_allclose(by_origin, 1.0, atol=2e-3)


def test_classes_are_as_published_and_a_is_nearer_than_c(tables):
    requests, latency, hosting = tables["requests"], tables["latency"], tables["hosting"]
    assert set(requests["latency_budget_ms"]) == {300.0, 1_500.0, 60_000.0, 3_600_000.0}
    service = hosting.groupby("workload")["service_ms"].max()
    left = requests["latency_budget_ms"] - requests["client_rtt_ms"]
    left = left - requests["workload"].map(service)
    kinds = requests.assign(left=left).groupby("latency_budget_ms")["left"].agg(["min", "max"])
    assert kinds.loc[300.0, "max"] < 120, "interactive: near"
    assert kinds.loc[1_500.0, "max"] < 160, "online: regional"
    assert kinds.loc[60_000.0, "min"] > latency["rtt_ms"].max(), "weakly real-time: free"
    assert kinds.loc[3_600_000.0, "min"] > latency["rtt_ms"].max(), "batch: free"
    nearest = latency.groupby("origin")["rtt_ms"].min()
    near = requests[requests["latency_budget_ms"] == 300.0]
    served = nearest.reindex(near["origin"]).to_numpy() <= left[near.index]
    assert (near["count"] * served).sum() > 0.97 * near["count"].sum()


def test_capacity_leaves_the_busiest_hour_tight(tables):
    requests, capacity = tables["requests"], tables["regions"]["capacity_gpu_h"].sum()
    use = (requests["count"] * requests["use_gpu_h"]).groupby(requests["origin"]).sum()
    demand = tables["demand"].assign(use=lambda t: t["factor"] * t["origin"].map(use))
    busiest = demand.groupby("time_utc")["use"].sum().max()
    assert 1.2 <= capacity / busiest <= 1.6


def test_placing_pays_at_the_dearest_price(tables):
    """An unplaced unit (policy defaults) costs more than any electricity and egress of it."""
    requests = tables["requests"]
    price = tables["signals"]["price_usd_per_mwh"].max() / 1e3 * tables["regions"]["pue"].max()
    dearest = requests["energy_kwh"] * price
    dearest += requests["egress_gb"] * tables["transfer"]["usd_per_gb"].max()
    assert (0.01 + 5.0 * requests["energy_kwh"] > 2 * dearest).all()


def test_average_and_marginal_carbon_are_two_inputs(tables):
    signals = tables["signals"]
    ratio = signals["carbon_marginal_g_per_kwh"] / signals["carbon_g_per_kwh"]
    assert ratio.max() > 3
    assert ratio.min() < 1


def test_every_table_states_assumptions_and_sources():
    for name in COLUMNS:
        metadata = pq.read_schema(DEMO / f"{name}.parquet").metadata
        said = json.loads(metadata[b"jaxplace_assumptions"])
        sources = json.loads(metadata[b"jaxplace_sources"])
        assert said, name
        assert sources, name
        assert all(isinstance(text, str) and text for text in said + sources)
        assert ASSUMED.get(name, "") in " ".join(said), name


def test_proxy_markets_are_named(tables):
    metadata = pq.read_schema(DEMO / "signals.parquet").metadata
    said = " ".join(json.loads(metadata[b"jaxplace_assumptions"]))
    page = (ROOT / "docs" / "data.md").read_text()
    zones = [zone for zone in set(tables["signals"]["grid_zone"]) if "~" in zone]
    assert len(zones) == 19
    for zone in zones:
        assert " by ".join(zone.split("~")) in said
        assert zone in page


def test_licences_travel_with_the_tables():
    notice = (DEMO / "NOTICE").read_text()
    for words in (
        "Open\n    Database License (ODbL) 1.0",
        "CC BY-SA 4.0",
        "CC BY 4.0",
        "Apache License 2.0",
        "Mozilla Public License 2.0",
        "MIT License",
        "GeoNames",
        "Electricity Maps",
        "ServeGen",
        "Skyplane",
    ):
        assert words in notice
    readme = (DEMO / "README.md").read_text()
    assert "Assumed, not data:** PUE; capacity" in readme


def test_texts_quote_the_tables_size(tables):
    requests = tables["requests"]
    for text in ((DEMO / "README.md").read_text(), (ROOT / "docs" / "data.md").read_text()):
        assert f"{len(requests):,}" in text
    assert f"{requests['count'].sum():,}" in (ROOT / "docs" / "data.md").read_text()


if RAW:

    def test_rebuilds_the_same_tables(tables, monkeypatch):
        monkeypatch.syspath_prepend(str(ROOT / "scripts"))
        sys.modules.pop("build_demo", None)
        import build_demo

        rebuilt, _ = build_demo.build(pathlib.Path(RAW))
        for name, table in tables.items():
            pd.testing.assert_frame_equal(
                rebuilt[name].reset_index(drop=True), table, check_dtype=False, obj=name
            )
