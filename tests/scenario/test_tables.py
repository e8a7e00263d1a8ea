"""Every form of a table reads the same, and damaged files are faults, not tracebacks."""

import numpy as np
import pandas as pd
import pytest

from jaxplace.errors import InputError
from jaxplace.instance import Instance
from jaxplace.scenario import Scenario, load_scenario
from tests.scenario.builders import EVERYTHING, HOURS, small_tables, write_folder


def same(one: Instance, other: Instance) -> None:
    """Fail unless two instances hold the same numbers and ids."""
    for name in ("request", "count", "current", "use", "capacity", "unplaced", "region_id"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(np.asarray(one.request_id), np.asarray(other.request_id))
    for name, values in vars(one.terms).items():
        np.testing.assert_array_equal(values, getattr(other.terms, name), err_msg=name)
    assert (one.hour, one.resources) == (other.hour, other.resources)


@pytest.mark.parametrize("kind", ["parquet", "csv", "shards"])
@pytest.mark.parametrize("hour", HOURS)
@pytest.mark.parametrize("features", [{}, EVERYTHING, {"current_region": True, "residency": True}])
def test_files_equal_data_frames(tmp_path, kind, hour, features):
    """Parquet, CSV and shards give the instance that the DataFrames give."""
    tables = small_tables(**features)
    write_folder(tmp_path, tables, kind)
    same(load_scenario(tmp_path).at(hour), Scenario(**tables).at(hour))


@pytest.mark.parametrize("kind", ["parquet", "csv", "shards"])
def test_integer_ids(tmp_path, kind):
    """Integers are ids as good as texts, and stay integers."""
    tables = small_tables(current_region=True, hosting=True)
    numbers = {"de": 10, "na": 20, "us": 30, "fra": 1, "win": 2, "chat": 5, "image": 6, "video": 7}
    for frame in tables.values():
        for column in set(frame) & {"origin", "region", "current_region", "workload"}:
            frame[column] = frame[column].map(numbers)
    tables["requests"]["request_id"] = range(100, 106)
    write_folder(tmp_path, tables, kind)
    instance = load_scenario(tmp_path).at()
    assert isinstance(instance.request_id, np.ndarray)
    assert instance.request_id.tolist() == list(range(100, 106))
    assert instance.region_id.tolist() == [10, 20, 30]
    assert instance.region_id.dtype == np.int64
    assert instance.current.tolist() == [0, -1, 1, 2, -1, 0]


def test_namibia_is_no_null(tmp_path):
    """ "NA" in a CSV is a country, a zone and an id; only the empty cell is null."""
    tables = small_tables(residency=True)
    tables["requests"]["workload"] = ["NA", "null", "nan", "None", "n/a", ""]
    write_folder(tmp_path, tables, "csv")
    instance = load_scenario(tmp_path).at()
    assert instance.places.region_country.tolist() == ["DE", "NA", "US"]
    names = instance.places.workload_id[instance.terms.workload].tolist()
    assert names == ["NA", "null", "nan", "None", "n/a", "default"]
    assert instance.terms.legal[instance.terms.residency[4]].tolist() == [False, True, False]


def test_csv_ids_with_leading_zeros_are_integers(tmp_path):
    """All-digit ids of a CSV are integers, as pandas reads them."""
    tables = small_tables()
    tables["requests"]["request_id"] = [f"{k:03d}" for k in range(6)]
    write_folder(tmp_path, tables, "csv")
    assert load_scenario(tmp_path).at().request_id.tolist() == list(range(6))


def test_csv_ids_that_are_decimals_are_a_fault(tmp_path):
    """Ids that look like decimals mean different things to different readers."""
    tables = small_tables()
    tables["requests"]["request_id"] = [f"{k}.5" for k in range(6)]
    write_folder(tmp_path, tables, "csv")
    with pytest.raises(InputError, match=r"`requests.request_id`: all 6 ids of the CSV are dec"):
        load_scenario(tmp_path)


def test_csv_text_among_numbers_is_located(tmp_path):
    """One bad cell of a CSV is shown, and the other columns are still checked."""
    tables = small_tables()
    tables["regions"]["pue"] = ["1.2", "big", "1.1"]
    tables["regions"]["capacity_gpu"] = [1.0, -2.0, 3.0]
    write_folder(tmp_path, tables, "csv")
    with pytest.raises(InputError) as caught:
        load_scenario(tmp_path)
    assert len(caught.value.faults) == 2
    assert "1 row holds text instead of a number (row 1: 'big')" in str(caught.value)
    assert "`regions.capacity_gpu`: 1 row must be >= 0 (row 1: -2.0)" in str(caught.value)


@pytest.mark.parametrize("kind", ["parquet", "shards"])
@pytest.mark.parametrize("left", [0, 3, 100, -1, -200])
def test_truncated_parquet_is_a_fault(tmp_path, kind, left):
    """A file that is cut short is named."""
    write_folder(tmp_path, small_tables(), kind)
    broken = tmp_path / ("latency.parquet" if kind == "parquet" else "latency/part-001.parquet")
    data = broken.read_bytes()
    broken.write_bytes(data[:left])
    with pytest.raises(InputError) as caught:
        load_scenario(tmp_path)
    (fault,) = caught.value.faults
    assert fault.startswith(f"`latency`: {broken} cannot be read")
    assert "write it again" in fault


def test_damaged_pages_are_a_fault(tmp_path):
    """A file with a sound footer and broken pages is named too."""
    tables = small_tables()
    tables["requests"]["request_id"] = [f"{k:040d}" for k in range(6)]
    write_folder(tmp_path, tables)
    broken = tmp_path / "requests.parquet"
    data = bytearray(broken.read_bytes())
    data[4:400] = bytes(396)
    broken.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"`requests`: .* cannot be read"):
        load_scenario(tmp_path)


@pytest.mark.parametrize("text", ["", "origin,region,rtt_ms\nfra,de,1\nfra\n", "\xff\xfe\x00"])
def test_damaged_csv_is_a_fault(tmp_path, text):
    """An empty file, a ragged row, a file that is no text."""
    tables = small_tables()
    del tables["latency"]
    write_folder(tmp_path, tables, "csv")
    (tmp_path / "latency.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="`latency"):
        load_scenario(tmp_path)


def test_an_empty_folder_of_shards_is_a_fault(tmp_path):
    """A folder without shards is no table."""
    write_folder(tmp_path, small_tables(), "shards")
    for shard in (tmp_path / "latency").iterdir():
        shard.unlink()
    (tmp_path / "latency" / "_SUCCESS").touch()
    with pytest.raises(InputError, match=r"`latency`: folder .* holds no Parquet shards"):
        load_scenario(tmp_path)


def test_shards_may_differ(tmp_path):
    """Shards with categories, other integer widths, or without an optional column are one table."""
    tables = small_tables()
    write_folder(tmp_path, tables, "shards")
    shard = tables["requests"].iloc[3:].astype({"origin": "category", "count": "int8"})
    shard = shard.drop(columns="client_rtt_ms")[::1]
    shard.to_parquet(tmp_path / "requests" / "part-001.parquet")
    tables["requests"].loc[3:, "client_rtt_ms"] = np.nan
    same(load_scenario(tmp_path).at(), Scenario(**tables).at())


def test_shards_that_disagree_are_a_fault(tmp_path):
    """A column cannot be text in one shard and a number in the next."""
    write_folder(tmp_path, small_tables(), "shards")
    shard = small_tables()["requests"].iloc[3:].assign(origin=7)
    shard.to_parquet(tmp_path / "requests" / "part-001.parquet")
    with pytest.raises(InputError, match=r"`requests`: the shards of .* in different ways"):
        load_scenario(tmp_path)


def test_partitioned_folders(tmp_path):
    """A column may be in the folders' names, as Spark writes it."""
    tables = small_tables()
    write_folder(tmp_path, {k: v for k, v in tables.items() if k != "requests"})
    for origin, shard in tables["requests"].groupby("origin"):
        folder = tmp_path / "requests" / f"origin={origin}"
        folder.mkdir(parents=True)
        shard.drop(columns="origin").to_parquet(folder / "part.parquet", index=False)
    tables["requests"] = tables["requests"].sort_values("origin", kind="stable")
    same(load_scenario(tmp_path).at(), Scenario(**tables).at())


def test_parquet_goes_before_csv(tmp_path):
    """Of two forms of one table the Parquet file is read, and a note says so."""
    tables = small_tables()
    write_folder(tmp_path, tables)
    (tmp_path / "regions.csv").write_text("nonsense\n")
    scenario = load_scenario(tmp_path)
    assert scenario.notes == ("`regions`: regions.parquet is read, regions.csv beside it is not",)
    same(scenario.at(), Scenario(**tables).at())


def test_a_missing_folder_or_table(tmp_path):
    """What is not there is named with the forms it could have."""
    with pytest.raises(InputError, match="is not a folder"):
        load_scenario(tmp_path / "nowhere")
    with pytest.raises(InputError) as caught:
        load_scenario(tmp_path)
    assert len(caught.value.faults) == 5
    assert "NAME.parquet, NAME.csv or a folder NAME/" in caught.value.faults[0]


@pytest.mark.parametrize("where", ["frame", "csv"])
def test_twin_columns_are_a_fault(tmp_path, where):
    """Two columns of one name cannot both be meant."""
    tables = small_tables()
    tables["latency"] = pd.concat([tables["latency"], tables["latency"][["rtt_ms"]]], axis=1)
    with pytest.raises(InputError, match=r"`latency.rtt_ms`: .* has 2 columns of this name"):
        load_scenario(write_folder(tmp_path, tables, "csv")) if where == "csv" else Scenario(
            **tables
        )


@pytest.mark.parametrize("kind", ["parquet", "shards"])
def test_assumptions_come_from_the_metadata(tmp_path, kind):
    """What the writer of a table marked as assumed reaches the report, each once."""
    said = ("PUE is assumed", "energy per token after a paper")
    write_folder(tmp_path, small_tables(), kind, assumptions=said)
    scenario = load_scenario(tmp_path)
    assert scenario.assumptions == said
    assert scenario.at().places.assumptions == said
