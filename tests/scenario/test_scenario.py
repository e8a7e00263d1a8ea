"""One hour of a scenario: the numbers of CONTRACT section 1, against plain pandas."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from jaxplace.errors import InputError
from jaxplace.instance import Policy
from jaxplace.scenario import Scenario, demo_folder
from tests.scenario.builders import EVERYTHING, HOURS, small_tables


def rows_of(instance) -> pd.DataFrame:
    """The instance's rows as names: request, current region, count."""
    regions = np.append(instance.region_id.astype(object), None)
    return pd.DataFrame(
        {
            "request": np.asarray(instance.request_id)[instance.request],
            "region": regions[instance.current],
            "count": instance.count,
        }
    )


def test_without_optional_tables_the_defaults_hold():
    """One unit each, no budget, hosted everywhere, no current region."""
    tables = small_tables(optional=False)
    for name in ("regions", "origins"):
        tables[name] = tables[name].drop(columns="network_zone")
    instance = Scenario(**tables).at()
    terms = instance.terms
    assert instance.count.tolist() == [1] * 6
    assert instance.current.tolist() == [-1] * 6
    assert np.isinf(terms.latency_budget_ms).all()
    assert terms.hosted.tolist() == [[True] * 3]
    assert not terms.egress_gb.any()
    assert terms.transfer[terms.origin_zone][:, terms.region_zone].tolist() == [
        [0.0, 0.09, 0.09],
        [0.09, 0.0, 0.09],
    ]
    np.testing.assert_allclose(instance.unplaced, 0.01 + 5 * tables["requests"]["energy_kwh"])


def test_dtypes_and_adjacent_rows():
    """The types that `Instance` promises, and rows of a request side by side."""
    instance = Scenario(**small_tables(**EVERYTHING)).at(HOURS[1])
    assert (instance.request.dtype, instance.count.dtype) == (np.int64, np.int64)
    for values in (instance.current, instance.terms.origin, instance.terms.workload):
        assert values.dtype == np.int32
    assert (np.diff(instance.request) >= 0).all()
    assert set(instance.request.tolist()) == set(range(len(instance.request_id)))


@pytest.mark.parametrize(
    "hour",
    [
        "2022-07-01T13:00",
        "2022-07-01 15:00+02:00",
        datetime.datetime(2022, 7, 1, 13),
        pd.Timestamp("2022-07-01T13:00Z"),
        np.datetime64("2022-07-01T13:00"),
    ],
)
def test_hours_in_every_form(hour):
    """An hour without a time zone is UTC."""
    scenario = Scenario(**small_tables())
    assert scenario.at(hour).hour == "2022-07-01T13:00"
    assert scenario.at(hour).terms.price_usd_per_mwh.tolist() == [110.0, 61.0, 30.0]


def test_the_first_hour_is_the_default():
    """Without an hour, the earliest one counts, wherever it is in the table."""
    tables = small_tables()
    tables["signals"] = tables["signals"].iloc[::-1]
    scenario = Scenario(**tables)
    assert scenario.hours == HOURS
    assert scenario.at().hour == HOURS[0]


@pytest.mark.parametrize("hour", ["2022-07-02T00:00", "noon"])
def test_an_hour_that_is_not_there(hour):
    """The message names the hours that are, or the form of an hour."""
    with pytest.raises(InputError, match=r"2022-07-01T12:00 to 2022-07-01T13:00|is no time"):
        Scenario(**small_tables()).at(hour)


def test_a_zone_without_signals_at_the_hour():
    """A zone in use that lacks the hour is a fault of the regions that are there."""
    tables = small_tables()
    tables["signals"] = tables["signals"].iloc[:-1]
    scenario = Scenario(**tables)
    scenario.at(HOURS[0])
    with pytest.raises(InputError, match=r"`regions.grid_zone`: 1 row names .* \(row 2: 'PJM'\)"):
        scenario.at(HOURS[1])


def test_carbon_columns():
    """The policy picks the column; one that is absent or has gaps at the hour is refused."""
    scenario = Scenario(**small_tables())
    average = Policy(carbon_column="carbon_average")
    assert scenario.at(policy=average).terms.carbon_g_per_kwh.tolist() == [330.0, 60.0, 380.0]
    with pytest.raises(InputError, match=r"`signals.carbon_average`: 1 row .* \(row 5: empty\)"):
        scenario.at(HOURS[1], average)
    with pytest.raises(InputError, match=r"that exist: carbon_g_per_kwh, carbon_average"):
        scenario.at(policy=Policy(carbon_column="marginal"))


def test_demand_rounds_half_up_and_drops_requests():
    """Requests whose count falls to 0 are not there; half units round up."""
    tables = small_tables(demand=True)
    scenario = Scenario(**tables)
    first = rows_of(scenario.at(HOURS[0]))
    assert first["request"].tolist() == ["q0", "q1", "q3", "q4", "q5"]
    second = rows_of(scenario.at(HOURS[1])).set_index("request")["count"]
    # chat at fra: 3 * 0.5 -> 2, 2 * 0.5 -> 1, 1 * 0.5 -> 1; image at win: 5 * 2.1 -> 11
    assert second.to_dict() == {"q0": 2, "q1": 1, "q2": 10, "q3": 1, "q4": 11, "q5": 1}


def test_current_splits_requests():
    """Largest parts stay first, ties by the order of the regions; the rest is new."""
    tables = small_tables(current=True, current_region=True)
    rows = rows_of(Scenario(**tables).at())
    assert rows.astype(object).where(rows.notna(), None).to_numpy().tolist() == [
        ["q0", "de", 2], ["q0", "us", 1], ["q1", None, 1], ["q2", None, 1], ["q2", "de", 4],
        ["q2", "na", 4], ["q2", "us", 1], ["q3", None, 2], ["q4", None, 5], ["q5", None, 1],
    ]  # fmt: skip
    assert Scenario(**tables).at().notes == (
        "the table `current` replaces `requests.current_region`",
        "`current`: 13 units are gone or beyond their request's count",
    )


def test_a_plan_can_be_handed_in_as_it_is():
    """A placement of the same requests in the same order is found again, unit by unit."""
    tables = small_tables()
    requests = tables["requests"]
    tables["current"] = requests[["request_id", "count"]].assign(region="us")
    instance = Scenario(**tables).at()
    assert instance.current.tolist() == [2] * 6
    np.testing.assert_array_equal(instance.count, requests["count"])
    tables["current"] = tables["current"].assign(region=None)
    assert Scenario(**tables).at().current.tolist() == [-1] * 6


def test_hosting_is_a_white_list():
    """Without a row a workload is hosted nowhere, and a note says so."""
    tables = small_tables(hosting=True)
    tables["hosting"] = tables["hosting"].query("workload != 'image'")
    instance = Scenario(**tables).at()
    assert instance.terms.hosted.tolist() == [[True, True, False], [False] * 3]
    assert instance.terms.service_ms[0].tolist() == [10.0, 20.0, 0.0]
    assert any("no row for workload 'image'" in note for note in instance.notes)


def test_headroom_and_transfer():
    """Headroom shrinks every capacity; a missing pair costs the policy's price, its own 0."""
    instance = Scenario(**small_tables(transfer=True)).at(
        policy=Policy(headroom=0.25, transfer_usd_per_gb=0.5)
    )
    assert instance.capacity.tolist() == [[7.5, 75.0], [15.0, 150.0], [30.0, 225.0]]
    terms = instance.terms
    assert terms.transfer[terms.origin_zone][:, terms.region_zone].tolist() == [
        [0.0, 0.11, 0.05],
        [0.5, 0.0, 0.5],
    ]
    assert terms.transfer[terms.region_zone[2], terms.region_zone[2]] == 0.01


@pytest.mark.parametrize("cut", [None, 6, 2])
def test_current_names_requests_read_in_pieces(cut):
    """Arrow holds a column of a large file in several pieces, and a plan's in one."""
    tables = small_tables()
    names = pa.array(tables["requests"]["request_id"].tolist())
    current = pd.DataFrame({"request_id": names.to_pylist(), "region": "a", "count": 1})
    current["region"] = tables["regions"]["region"].iloc[0]
    if cut:
        pieces = [part for part in (names[:cut], names[cut:]) if len(part)]
        ids = pd.arrays.ArrowExtensionArray(pa.chunked_array(pieces))
        tables["requests"] = tables["requests"].assign(request_id=ids)
    instance = Scenario(**tables).replace(current=current).at()
    there = instance.request[instance.current == 0]
    assert there.tolist() == list(range(len(names)))


def test_replace_checks_anew():
    """An exchanged table is checked against the others; the scenario itself stays as it was."""
    scenario = Scenario(**small_tables())
    current = small_tables(current=True)["current"]
    assert scenario.replace(current=current).at().rows == 10
    assert scenario.at().rows == 6
    assert scenario.replace(current=current).replace(current=None).at().rows == 6
    with pytest.raises(InputError, match=r"`requests.origin`: 4 rows"):
        scenario.replace(origins=small_tables()["origins"].iloc[1:])


def test_the_demo_lies_in_the_package():
    """`demo_folder` is a path inside the installed package."""
    assert demo_folder().parts[-2:] == ("jaxplace", "demo")


@st.composite
def valid_tables(draw):
    """Tables of random sizes and values that obey every rule."""
    n, m, o = draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    whole = draw(st.booleans())
    regions = rng.permutation(m) if whole else np.array([f"r{k}" for k in rng.permutation(m)])
    origins = rng.permutation(o) if whole else np.array([f"o{k}" for k in rng.permutation(o)])
    nulls = np.where(rng.random(n) < 0.5, np.nan, rng.random(n) * 100)
    place = {"latitude": 0.0, "longitude": 0.0}
    pairs = pd.MultiIndex.from_product([origins, regions], names=["origin", "region"]).to_frame()
    pairs = pairs.sample(frac=rng.random(), random_state=0).reset_index(drop=True)
    tables = {
        "requests": pd.DataFrame({
            "request_id": rng.permutation(n), "origin": rng.choice(origins, n),
            "energy_kwh": rng.random(n), "use_x": rng.random(n), "count": rng.integers(1, 9, n),
            "latency_budget_ms": nulls, "workload": rng.choice(["a", "b"], n),
            "unplaced_usd": np.where(rng.random(n) < 0.5, np.nan, rng.random(n)),
        }),
        "regions": pd.DataFrame({
            "region": regions, **place, "country": "NA", "grid_zone": rng.choice(["y", "z"], m),
            "pue": 1 + rng.random(m), "capacity_x": rng.random(m),
        }),
        "origins": pd.DataFrame({"origin": origins, **place, "country": "DE"}),
        "latency": pairs.assign(rtt_ms=rng.random(len(pairs))),
        "signals": pd.DataFrame({
            "time_utc": HOURS[0], "grid_zone": ["z", "y"],
            "price_usd_per_mwh": rng.normal(size=2), "carbon_g_per_kwh": rng.random(2),
        }),
    }  # fmt: skip
    if draw(st.booleans()):
        tables["demand"] = pd.DataFrame(
            {"time_utc": HOURS[0], "origin": origins, "factor": rng.random(o) * 2}
        )
    if draw(st.booleans()):
        size = draw(st.integers(0, 20))
        tables["current"] = pd.DataFrame({
            "request_id": rng.integers(0, n + 2, size), "region": rng.choice(regions, size),
            "count": rng.integers(0, 9, size),
        })  # fmt: skip
    return tables


@settings(max_examples=60, deadline=None)
@given(valid_tables())
def test_valid_tables_load_and_agree_with_pandas(tables):
    """Counts, parts, prices, latencies and penalties equal a recomputation in plain pandas."""
    instance = Scenario(**tables).at()
    table = tables["requests"].copy()
    if "demand" in tables:
        factor = table["origin"].map(tables["demand"].set_index("origin")["factor"])
        table["count"] = np.floor(table["count"] * factor + 0.5).astype(int)
    table = table[table["count"] > 0].set_index("request_id")
    assert list(instance.request_id) == list(table.index)
    order, expected = {r: j for j, r in enumerate(tables["regions"]["region"])}, []
    current = tables.get("current", pd.DataFrame({"request_id": [], "region": [], "count": []}))
    for name, units in table["count"].items():
        parts = current[current["request_id"] == name].groupby("region")["count"].sum()
        kept = {}
        for region in sorted(parts.index, key=lambda r: (-parts[r], order[r])):
            kept[order[region]] = min(parts[region], units - sum(kept.values()))
        kept[-1] = units - sum(kept.values())
        expected += [(name, j, kept[j]) for j in sorted(kept) if kept[j]]
    ids = np.asarray(instance.request_id)[instance.request]
    assert list(zip(ids, instance.current, instance.count, strict=True)) == expected
    table, terms = table.loc[ids], instance.terms
    given_usd = table["unplaced_usd"].fillna(0.01 + 5.0 * table["energy_kwh"])
    np.testing.assert_allclose(instance.unplaced, given_usd)
    np.testing.assert_array_equal(
        terms.latency_budget_ms, table["latency_budget_ms"].fillna(np.inf)
    )
    rtt = tables["latency"].pivot(index="origin", columns="region", values="rtt_ms")
    rtt = rtt.reindex(index=table["origin"], columns=tables["regions"]["region"])
    np.testing.assert_array_equal(terms.rtt_ms[terms.origin], rtt.fillna(np.inf))
    price = tables["signals"].set_index("grid_zone")["price_usd_per_mwh"]
    np.testing.assert_array_equal(terms.price_usd_per_mwh, price[tables["regions"]["grid_zone"]])
