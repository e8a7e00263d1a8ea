"""Every rule of CONTRACT section 2: the fault names table, column, rows, and what to do."""

import numpy as np
import pandas as pd
import pytest

from jaxplace.errors import InputError
from jaxplace.scenario import Scenario, schema
from jaxplace.scenario.checks import read_table
from jaxplace.scenario.tables import FrameSource
from tests.scenario.builders import EVERYTHING, Tables, small_tables


def faults_of(tables: Tables) -> tuple[str, ...]:
    """The faults of tables that must not pass."""
    with pytest.raises(InputError) as caught:
        Scenario(**tables)
    return caught.value.faults


def changed(table: str, column: str, row: int, value: object) -> Tables:
    """A full scenario with one cell changed."""
    tables = small_tables(**EVERYTHING, current_region=True)
    frame = tables[table].copy()
    values = frame[column].astype(object)
    values[row] = value
    frame[column] = values.infer_objects()
    return {**tables, table: frame}


REQUIRED = [
    (name, column)
    for name in schema.TABLES
    for column, declared in schema.columns(name).items()
    if declared.required and not declared.regex
]
NOT_NULL = [
    (name, column)
    for name, frame in small_tables(**EVERYTHING, current_region=True).items()
    for column in frame
    if (declared := schema.column_of(name, column)) is not None and not declared.nullable
]
RANGES = [
    ("requests", "energy_kwh", -1.0),
    ("requests", "energy_kwh", np.inf),
    ("requests", "use_gpu", -1.0),
    ("requests", "use_ram", np.inf),
    ("requests", "count", 0),
    ("requests", "count", 1.5),
    ("requests", "count", -2),
    ("requests", "latency_budget_ms", -np.inf),
    ("requests", "client_rtt_ms", -1.0),
    ("requests", "client_rtt_ms", np.inf),
    ("requests", "egress_gb", -1.0),
    ("requests", "state_gb", -1.0),
    ("requests", "unplaced_usd", -1.0),
    ("regions", "latitude", 91.0),
    ("regions", "longitude", -181.0),
    ("regions", "country", "Germany"),
    ("regions", "country", "de"),
    ("regions", "pue", 0.99),
    ("regions", "pue", np.inf),
    ("regions", "capacity_gpu", -1.0),
    ("origins", "latitude", -91.0),
    ("origins", "longitude", 500.0),
    ("origins", "country", "N"),
    ("latency", "rtt_ms", -1.0),
    ("latency", "rtt_ms", np.inf),
    ("signals", "price_usd_per_mwh", np.inf),
    ("signals", "carbon_g_per_kwh", -1.0),
    ("demand", "factor", -0.1),
    ("transfer", "usd_per_gb", -0.1),
    ("residency", "country", "EU27"),
    ("current", "count", -1),
    ("current", "count", 0.5),
    ("hosting", "energy_factor", 0.0),
    ("hosting", "use_factor", -1.0),
    ("hosting", "service_ms", -1.0),
]
NUMBERS = [
    (name, column)
    for name, frame in small_tables(**EVERYTHING).items()
    for column in frame
    if (declared := schema.column_of(name, column)) is not None
    and declared.metadata["kind"] in ("number", "count")
]
UNKNOWN = [
    ("requests", "origin", "origins"),
    ("requests", "current_region", "regions"),
    ("requests", "residency", "residency"),
    ("regions", "grid_zone", "signals"),
    ("latency", "origin", "origins"),
    ("latency", "region", "regions"),
    ("demand", "origin", "origins"),
    ("hosting", "region", "regions"),
]


@pytest.mark.parametrize("name", schema.REQUIRED)
def test_a_missing_table_is_named(name):
    """A required table that is not there is a fault that says so."""
    tables = small_tables()
    del tables[name]
    (fault,) = faults_of(tables)
    assert fault == f"`{name}`: the table is missing. Add it"


@pytest.mark.parametrize(("name", "column"), REQUIRED)
def test_a_missing_column_is_named(name, column):
    """A required column that is not there is the only fault reported for it."""
    tables = small_tables(**EVERYTHING)
    tables[name] = tables[name].drop(columns=column)
    assert faults_of(tables) == (f"`{name}.{column}`: the column is missing. Add it",)


@pytest.mark.parametrize(("name", "column"), NOT_NULL)
def test_an_empty_cell_is_a_fault(name, column):
    """A null where none may be is counted and located."""
    faults = faults_of(changed(name, column, 1, None))
    assert any(
        fault.startswith(f"`{name}.{column}`: 1 row is empty or NaN (row 1). Fill them in")
        for fault in faults
    )


@pytest.mark.parametrize(("name", "column", "value"), RANGES)
def test_a_value_out_of_range_is_a_fault(name, column, value):
    """A number outside its range is counted, located and shown."""
    (fault,) = faults_of(changed(name, column, 1, value))
    assert fault.startswith(f"`{name}.{column}`: 1 row must ")
    assert f"(row 1: {value!r})" in fault or f"(row 1: {float(value)!r})" in fault
    assert fault.endswith("Correct them")


@pytest.mark.parametrize(("name", "column"), NUMBERS)
def test_text_in_a_number_column_is_a_fault(name, column):
    """A column with one text among numbers is refused, whatever reads it."""
    tables = small_tables(**EVERYTHING)
    frame = tables[name]
    texts = frame[column].astype(str).to_numpy(dtype=object)
    texts[1] = "many"
    tables[name] = frame.assign(**{column: texts})
    (fault,) = faults_of(tables)
    assert fault == (
        f"`{name}.{column}`: 1 row holds text instead of a number (row 1: 'many'). "
        "Store plain numbers"
    )


@pytest.mark.parametrize(("name", "column"), NUMBERS)
def test_booleans_are_no_numbers(name, column):
    """True is not 1 kWh."""
    tables = small_tables(**EVERYTHING)
    tables[name] = tables[name].assign(**{column: True})
    (fault,) = faults_of(tables)
    assert fault.startswith(f"`{name}.{column}`: holds booleans in {len(tables[name])} rows")


@pytest.mark.parametrize(("name", "column", "home"), UNKNOWN)
def test_an_unknown_id_is_a_fault(name, column, home):
    """An id that its home table lacks is counted, located, shown, and the home named."""
    (fault,) = faults_of(changed(name, column, 0, "nowhere"))
    assert fault.startswith(f"`{name}.{column}`: 1 row names a")
    assert f"that `{home}` lacks (row 0: 'nowhere'). Add it to `{home}`" in fault


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("requests", "requests.request_id"),
        ("regions", "regions.region"),
        ("origins", "origins.origin"),
        ("latency", "latency.(origin, region)"),
        ("signals", "signals.(time_utc, grid_zone)"),
        ("demand", "demand.(time_utc, origin, workload)"),
        ("transfer", "transfer.(from_zone, to_zone)"),
        ("residency", "residency.(residency, country)"),
        ("hosting", "hosting.(workload, region)"),
    ],
)
def test_a_repeated_row_is_a_fault(name, where):
    """A key that repeats is counted and located, pairs and triples too."""
    tables = small_tables(**EVERYTHING)
    tables[name] = pd.concat([tables[name], tables[name].iloc[[0]]], ignore_index=True)
    (fault,) = faults_of(tables)
    assert fault.startswith(f"`{where}`: 1 row repeat")
    assert f"(row {len(tables[name]) - 1}: " in fault


def test_repeated_rows_of_current_are_summed():
    """The table `current` is a list of parts, which may repeat."""
    tables = small_tables(current=True)
    tables["current"] = pd.concat([tables["current"].iloc[[1]]] * 2, ignore_index=True)
    instance = Scenario(**tables).at()
    assert instance.count[instance.request == 0].tolist() == [3]
    assert instance.current[instance.request == 0].tolist() == [0]


def test_demand_without_workload_is_unique_by_origin():
    """Without its workload column, an hour and origin make the key of `demand`."""
    tables = small_tables(demand=True)
    tables["demand"] = tables["demand"].drop(columns="workload").iloc[[0, 0]]
    (fault,) = faults_of(tables)
    assert fault.startswith("`demand.(time_utc, origin)`: 1 row repeats an earlier row (row 1: ")


def test_every_fault_is_reported_at_once():
    """Faults of four tables come in one error, with counts and no more than three rows each."""
    tables = small_tables(hosting=True)
    tables["requests"] = tables["requests"].assign(origin="X", energy_kwh=-1.0)
    tables["regions"] = tables["regions"].drop(columns=["pue", "capacity_ram"])
    tables["signals"] = tables["signals"].assign(price_usd_per_mwh=np.nan)
    del tables["latency"]
    faults = faults_of(tables)
    assert len(faults) == 6
    text = "\n".join(faults)
    assert "`requests.origin`: 6 rows name an origin that `origins` lacks (row 0: 'X', " in text
    assert "row 2: 'X', ...)" in text
    assert "`regions.capacity_ram`: the column is missing, and `requests.use_ram` needs it" in text
    assert "`latency`: the table is missing" in text
    assert "`signals.price_usd_per_mwh`: 6 rows are empty or NaN" in text


def test_residency_in_use_needs_its_table():
    """A residency without the table that defines it is a fault of the requests that use it."""
    tables = small_tables(residency=True)
    del tables["residency"]
    (fault,) = faults_of(tables)
    assert fault.startswith("`requests.residency`: 3 rows name a residency, and there is no table")


def test_no_resource_is_a_fault():
    """Requests need at least one `use_` column."""
    tables = small_tables()
    tables["requests"] = tables["requests"].drop(columns=["use_gpu", "use_ram"])
    assert faults_of(tables)[0].startswith("`requests.use_RESOURCE`: no column of this form")


@pytest.mark.parametrize("name", schema.NEVER_EMPTY)
def test_an_empty_table_is_a_fault(name):
    """Tables that nothing can be planned without must have rows."""
    tables = small_tables()
    tables[name] = tables[name].iloc[:0]
    assert any(f"`{name}`: the table has no rows" in fault for fault in faults_of(tables))


def test_integers_and_texts_do_not_match():
    """Ids of the other type are unknown, and the message says why."""
    tables = small_tables()
    numbers = {"fra": 1, "win": 2}
    tables["requests"]["origin"] = tables["requests"]["origin"].map(numbers)
    (fault,) = faults_of(tables)
    assert "`requests.origin` holds integers and `origins.origin` texts" in fault


@pytest.mark.parametrize("column", ["request_id", "region"])
def test_current_ids_of_the_other_type_are_a_fault(column):
    """They would all count as gone, silently."""
    tables = small_tables(current=True)
    tables["current"][column] = range(8)
    (fault,) = faults_of(tables)
    assert fault.startswith(f"`current.{column}`: 8 rows hold integers")


def test_empty_workloads_need_a_name_where_hosting_speaks_of_them():
    """An empty workload is "default", unless another table goes by workload."""
    tables = small_tables()
    tables["requests"].loc[0, "workload"] = None
    places = Scenario(**tables).at().places
    assert places.workload_id.tolist() == ["chat", "image", "default"]
    tables["hosting"] = small_tables(hosting=True)["hosting"]
    (fault,) = faults_of(tables)
    assert fault.startswith("`requests.workload`: 1 row is empty while `hosting` goes by")


def test_mixed_types_are_a_fault():
    """Ids that are texts in some rows and integers in others are refused."""
    tables = small_tables()
    tables["requests"]["origin"] = ["fra", 1, "fra", "fra", "win", "fra"]
    assert faults_of(tables)[0].startswith("`requests.origin`: mixes types in one column")


def test_times_that_are_none_are_a_fault():
    """A text that is no time is shown."""
    tables = small_tables()
    tables["signals"]["time_utc"] = ["2022-07-01T12:00"] * 3 + ["noon"] * 3
    (fault,) = faults_of(tables)
    assert fault.startswith("`signals.time_utc`: 3 rows are no times (row 3: 'noon', row 4: 'noon'")


def test_unknown_columns_are_named_once():
    """One note names the unknown columns of all tables, and none of the model's."""
    tables = small_tables()
    tables["requests"]["colour"] = "red"
    tables["regions"]["capacity_disk"] = 1.0
    tables["signals"]["wind_share"] = 0.5
    (note,) = Scenario(**tables).notes
    assert note == (
        "unknown columns are kept out of the model: `requests.colour`, `signals.wind_share`, "
        "`regions.capacity_disk`"
    )


def test_an_unknown_table_is_a_fault():
    """A misspelt keyword is not passed over."""
    assert "`request`: no such table" in faults_of({**small_tables(), "request": None})[0]


@pytest.mark.parametrize("name", schema.TABLES)
def test_pandera_agrees_with_our_reading_of_its_schema(name):
    """A checked frame passes the very schema that declares the table."""
    tables = small_tables(**EVERYTHING, current_region=True)
    frame = read_table(name, FrameSource(name, tables[name])).frame
    assert len(schema.schemas()[name].validate(frame, lazy=True)) == len(tables[name])


def test_harmless_strangers_pass():
    """Workloads nobody requests, zones without nodes, countries without regions are no fault."""
    tables = small_tables(**EVERYTHING)
    assert "mars" in tables["transfer"]["from_zone"].tolist()
    assert "video" in tables["hosting"]["workload"].tolist()
    assert "FR" in tables["residency"]["country"].tolist()
    Scenario(**tables)
