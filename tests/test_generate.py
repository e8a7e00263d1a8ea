"""Made scenarios: their tables, their knobs, and that a seed gives the same bytes."""

import hashlib
import json

import numpy as np
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet
import pytest

from jaxplace.errors import InputError
from jaxplace.generate import Counts, GenerateSettings, Size, Tail, generate
from jaxplace.instance import Policy
from jaxplace.scenario import load_scenario
from jaxplace.world import requests as drawn


SMALL = {"requests": 2_000, "regions": 60, "origins": 40}
KNOBS = [
    {},
    {"minimal": True},
    {"minimal": True, "counts": Counts.thousands, "integer_ids": True},
    {"classes": 50, "requests": 100_000},
    {"counts": Counts.thousands},
    {"resources": 2, "tail": Tail.light},
    {"integer_ids": True},
    {"local_grid": True, "hours": 3},
    {"moves": False},
    {"egress": False},
    {"moves": False, "egress": False},
    {"residency": False, "hosting": False, "demand": False},
    {"latency": False},
    {"anti_correlation": 1.0, "tightness": 0.8},
    {"unservable": 0.1, "negative_prices": 0.5},
    {"zero_capacity": 0.5},
    {"rtt_noise": 0.0, "price_spikes": 0.0, "start": "2022-12-30T23:00"},
    {"regions": 1},
    {"requests": 1, "origins": 1, "regions": 2},
    {"requests": 3_000, "regions": 400, "origins": 300},
]


def make(tmp_path, **knobs):
    """A made scenario's folder."""
    return generate(GenerateSettings(**{**SMALL, **knobs}), tmp_path / "scenario")


def table(folder, name):
    """A table of the scenario, in whichever of its two forms."""
    path = folder / f"{name}.parquet"
    return pd.read_parquet(path if path.exists() else folder / name)


def digest(folder):
    """Every file's name and bytes."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("knobs", KNOBS, ids=lambda k: ",".join(map(str, k)) or "default")
def test_every_knob_gives_a_scenario_that_loads(tmp_path, knobs):
    """The loader takes the folder without a fault or a warning, at the first and last hour."""
    scenario = load_scenario(make(tmp_path, **knobs))
    hours = pd.to_datetime(table(tmp_path / "scenario", "signals")["time_utc"]).unique()
    for hour in (hours[0], hours[-1]):
        scenario.at(str(hour)[:16], policy=Policy(carbon_column="carbon_marginal_g_per_kwh"))


@pytest.mark.parametrize("knobs", KNOBS, ids=lambda k: ",".join(map(str, k)) or "default")
def test_ids_and_ranges(tmp_path, knobs):
    """Every id is defined, every number is finite and in its range."""
    folder = make(tmp_path, **knobs)
    requests, regions, origins, latency, signals = (
        table(folder, n) for n in ("requests", "regions", "origins", "latency", "signals")
    )
    assert requests["request_id"].is_unique
    assert regions["region"].is_unique
    assert origins["origin"].is_unique
    assert requests["origin"].isin(origins["origin"]).all()
    assert not latency.duplicated(["origin", "region"]).any()
    assert len(latency) == len(regions) * len(origins)
    assert (latency["rtt_ms"] > 0).all()
    assert set(regions["grid_zone"]) == set(signals["grid_zone"])
    hours = knobs.get("hours", 24)
    assert len(signals) == hours * signals["grid_zone"].nunique()
    for frame in (requests, regions, signals):
        numbers = frame.select_dtypes("number").drop(
            columns=["latency_budget_ms", "current_region"], errors="ignore"
        )
        assert np.isfinite(numbers.to_numpy(float)).all()
    assert (requests["energy_kwh"] > 0).all()
    assert (regions["pue"] >= 1).all()
    assert (regions["country"].str.len() == 2).all()
    if "current_region" in requests:
        assert requests["current_region"].dropna().isin(regions["region"]).all()
    if "residency" in requests:
        known = set(table(folder, "residency")["residency"])
        assert set(requests["residency"].dropna()) <= known


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    """Every file is equal byte for byte; another seed changes the requests and the prices."""
    settings = GenerateSettings(**SMALL)
    one = digest(generate(settings, tmp_path / "one"))
    two = digest(generate(settings, tmp_path / "two"))
    other = digest(generate(GenerateSettings(**SMALL, seed=1), tmp_path / "other"))
    assert one == two
    for name in ("requests/part-00000.parquet", "signals.parquet", "latency/part-00000.parquet"):
        assert one[name] != other[name]


def test_shards_are_written_as_they_are_drawn(tmp_path, monkeypatch):
    """Rows come in shards of at most SHARD_ROWS, ids run on, and progress is told."""
    monkeypatch.setattr(drawn, "SHARD_ROWS", 300)
    monkeypatch.setattr("jaxplace.world.tables.SHARD_ROWS", 300)
    monkeypatch.setattr("jaxplace.world.tables.LATENCY_ROWS", 1_000)
    told = []
    folder = generate(
        GenerateSettings(**SMALL), tmp_path / "s", progress=lambda *step: told.append(step)
    )
    parts = sorted((folder / "requests").iterdir())
    assert [pyarrow.parquet.read_metadata(p).num_rows for p in parts] == [300] * 6 + [200]
    ids = table(folder, "requests")["request_id"]
    assert list(ids) == [f"r{i:06}" for i in range(1, 2_001)]
    assert ("requests", 7, 7) in told
    assert pyarrow.dataset.dataset(folder / "latency").count_rows() == 60 * 40


def test_minimal_has_the_required_columns_alone(tmp_path):
    """No optional column and no optional table."""
    folder = make(tmp_path, minimal=True)
    assert list(table(folder, "requests")) == ["request_id", "origin", "energy_kwh", "use_gpu_s"]
    assert "network_zone" not in table(folder, "regions")
    tables = {p.stem for p in folder.iterdir() if p.suffix == ".parquet" or p.is_dir()}
    assert tables == {"requests", "regions", "origins", "latency", "signals"}


def test_classes_share_the_units_between_few_rows(tmp_path):
    """That many rows, which hold exactly the asked units."""
    requests = table(make(tmp_path, classes=50, requests=100_000), "requests")
    assert len(requests) == 50
    assert requests["count"].sum() == 100_000
    assert requests["count"].min() >= 1


def test_capacity_follows_tightness(tmp_path):
    """Twice the tightness, twice the capacity of every region; nothing else changes."""
    one = generate(GenerateSettings(**SMALL, tightness=1.0), tmp_path / "one")
    two = generate(GenerateSettings(**SMALL, tightness=2.0), tmp_path / "two")
    a, b = table(one, "regions")["capacity_gpu_s"], table(two, "regions")["capacity_gpu_s"]
    np.testing.assert_allclose(b, 2 * a, atol=0.002)
    use = table(one, "requests")["use_gpu_s"].sum()
    assert a.sum() >= 0.999 * use
    left, right = digest(one), digest(two)
    assert {n for n in left if left[n] != right[n]} == {"regions.parquet", "generated.json"}


def test_shares_are_as_asked(tmp_path):
    """Closed regions, negative prices and unservable requests come in the asked shares."""
    knobs = {"zero_capacity": 0.25, "negative_prices": 0.3, "unservable": 0.2, "requests": 20_000}
    folder = make(tmp_path, **knobs)
    assert (table(folder, "regions")["capacity_gpu_s"] == 0).mean() == pytest.approx(0.25)
    negative = (table(folder, "signals")["price_usd_per_mwh"] < 0).mean()
    assert negative == pytest.approx(0.3, abs=0.04)
    requests = table(folder, "requests")
    hopeless = (requests["latency_budget_ms"] < requests["client_rtt_ms"]).mean()
    assert hopeless == pytest.approx(0.2, abs=0.02)


def test_anti_correlation_puts_capacity_where_electricity_is_dear(tmp_path):
    """The rank correlation of capacity and price rises with the knob."""

    def correlation(folder):
        regions = table(folder, "regions")
        price = table(folder, "signals").groupby("grid_zone")["price_usd_per_mwh"].median()
        level = regions["grid_zone"].map(price).rank()
        return float(np.corrcoef(level, regions["capacity_gpu_s"].rank())[0, 1])

    big = {"regions": 200, "origins": 100, "requests": 5_000}
    plain = generate(GenerateSettings(**big), tmp_path / "plain")
    hard = generate(GenerateSettings(**big, anti_correlation=1.0), tmp_path / "hard")
    assert correlation(hard) > correlation(plain) + 0.2


def test_a_planner_would_believe_the_numbers(tmp_path):
    """Sessions of 1e-7 to 1 kWh, most at home, mixed prices, placing far cheaper than not."""
    folder = make(tmp_path, requests=20_000, regions=100, origins=200)
    requests = table(folder, "requests")
    assert 1e-5 < requests["energy_kwh"].median() < 1e-2
    assert requests["energy_kwh"].max() < 1.0
    known = requests["current_region"].notna().mean()
    assert known == pytest.approx(0.95, abs=0.01)
    assert requests["latency_budget_ms"].isna().mean() > 0.05
    top = requests["use_gpu_s"].nlargest(len(requests) // 100).sum()
    assert top / requests["use_gpu_s"].sum() > 0.15
    # 1 kWh costs far less than the default penalty of 5 USD, even at PUE 1.5 and the worst price
    signals = table(folder, "signals")
    first = signals[signals["time_utc"] == signals["time_utc"].min()]
    assert first["price_usd_per_mwh"].max() * 1.5 * 2 / 1000 < 5
    assert 20 < first["price_usd_per_mwh"].median() < 200
    assert 100 < first["carbon_g_per_kwh"].median() < 700


def test_a_budget_is_one_that_three_regions_keep(tmp_path):
    """Unless asked for, no request is out of reach of hosting, legal regions."""
    folder = make(tmp_path)
    requests, regions = table(folder, "requests"), table(folder, "regions")
    rtt = table(folder, "latency").pivot(index="origin", columns="region", values="rtt_ms")
    host = table(folder, "hosting").pivot(index="workload", columns="region", values="service_ms")
    names = regions["region"]
    legal = table(folder, "residency").groupby("residency")["country"].agg(set)
    way = rtt.loc[requests["origin"], names].to_numpy() + requests[["client_rtt_ms"]].to_numpy()
    total = way + host.loc[requests["workload"], names].to_numpy()
    within = total <= requests[["latency_budget_ms"]].fillna(np.inf).to_numpy()
    for row, group in enumerate(requests["residency"]):
        if isinstance(group, str):
            within[row] &= regions["country"].isin(legal[group])
    assert within.sum(1).min() >= 1
    assert np.median(within.sum(1)) > 10


def test_assumptions_travel_with_the_tables(tmp_path):
    """Each table's schema, and the README, say what is assumed."""
    folder = make(tmp_path)
    paths = list(folder.rglob("*.parquet"))
    assert paths
    for path in paths:
        said = json.loads(pyarrow.parquet.read_schema(path).metadata[b"jaxplace_assumptions"])
        assert said
        assert said[0] in (folder / "README.md").read_text()


def test_all_faults_of_the_settings_are_told_at_once():
    """One error with one line per fault."""
    with pytest.raises(InputError) as refused:
        GenerateSettings(tightness=-1, hours=0, seed=-1, regions=99_999, start="2022-07-01T12:00")
    assert len(refused.value.faults) == 4
    for bad in (
        {"size": "huge"},
        {"start": "2023-01-01T00:00"},
        {"start": "noon"},
        {"minimal": True, "unservable": 0.1},
        {"classes": 30_000},
        {"tightness": float("nan")},
        {"resources": 3},
    ):
        with pytest.raises(InputError):
            GenerateSettings(**bad)


def test_sizes_are_those_of_the_contract():
    """Requests x regions by name, and by the overrides."""
    rows = {size.name: GenerateSettings(size=size).rows()[:2] for size in Size}
    assert rows == {
        "small": (20_000, 100),
        "medium": (200_000, 400),
        "large": (1_000_000, 1_000),
        "fleet": (10_000_000, 4_000),
    }
    assert GenerateSettings(size=Size.fleet, requests=7, regions=8, origins=9).rows() == (7, 8, 9)


def test_foreign_folders_are_left_alone(tmp_path):
    """A folder with other files is refused even with overwrite; ours only without it."""
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "a.jpg").write_text("x")
    settings = GenerateSettings(**SMALL, overwrite=True)
    with pytest.raises(InputError, match="no generated scenario"):
        generate(settings, foreign)
    assert [p.name for p in foreign.iterdir()] == ["a.jpg"]
    ours = generate(settings, tmp_path / "ours")
    with pytest.raises(InputError, match="overwrite"):
        generate(GenerateSettings(**SMALL), ours)
    before = digest(ours)
    generate(GenerateSettings(**SMALL, overwrite=True, seed=3), ours)
    assert digest(ours) != before
    with pytest.raises(InputError, match="is a file"):
        generate(settings, foreign / "a.jpg")


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    """When a step fails there is neither a scenario nor a half of one."""

    def fail(*args):
        raise RuntimeError("no")

    monkeypatch.setattr("jaxplace.generate.spread_demand", fail)
    with pytest.raises(RuntimeError):
        make(tmp_path)
    assert list(tmp_path.iterdir()) == []
