"""The commands as a user types them: files, exit codes, messages."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from scenario.builders import write_folder
from studies import cases

from jaxplace import cli, runtime
from jaxplace.settings import Device


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """Each test works in an empty folder and leaves the environment as it was."""
    monkeypatch.chdir(tmp_path)
    for name in ("JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(runtime, "prepare", lambda device=Device.auto: None)


@pytest.fixture
def fleet(tmp_path):
    """A scenario's folder, its ids markup."""
    tables = {
        name: table.astype(dict.fromkeys(table.select_dtypes("category"), object))
        for name, table in cases.fleet(n=90, m=12, prefix=cases.EVIL).tables.items()
    }
    return str(write_folder(tmp_path / "fleet", tables))


def call(*words):
    """Exit code of the command line in this process."""
    return cli.main(list(words))


def test_frontier(fleet, tmp_path, capsys):
    """The files are there, stdout is frontier.json, and the folder may be used again."""
    words = ("frontier", f"scenario={fleet}", "out=run", "json=true", "gap_target=0.2")
    assert call(*words, "frontier.scale=[0.5,1]", "frontier.ladder=true") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads((tmp_path / "run" / "frontier.json").read_text())
    points = pd.read_parquet(tmp_path / "run" / "frontier.parquet")
    assert points["scale"].tolist() == [0.5, 1.0] * 5
    assert len(figures["points"]) == len(points)
    for name in ("workloads", "duals", "break_even"):
        assert len(pd.read_parquet(tmp_path / "run" / f"{name}.parquet"))
    page = (tmp_path / "run" / "frontier.html").read_text()
    assert "What friction eats" in page
    assert "alert('x')" not in page
    assert call(*words, "frontier.scale=[1]") == 0


def test_frontier_without_room_misses_the_gap(fleet):
    """A gap that was asked for and missed ends with 1."""
    words = ("frontier", f"scenario={fleet}", "out=run", "gap_target=0", "time_limit_s=0.1")
    assert call(*words, "frontier.scale=[1]") == 1


def test_audit(fleet, tmp_path, capsys):
    """The files are there and the table names the worst closing first."""
    words = ("audit", f"scenario={fleet}", "out=run", "gap_target=0.2")
    assert call(*words, "audit.by=country") == 0
    shown = capsys.readouterr().out
    rows = pd.read_parquet(tmp_path / "run" / "audit.parquet")
    assert set(rows["country"]) == {"DE", "US", "NA"}
    assert shown.index(rows["country"][0]) < shown.index(rows["country"][2])
    figures = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert len(figures["closings"]) == 3
    assert "All closings" in (tmp_path / "run" / "audit.html").read_text()


def test_explain_a_saved_plan(fleet, tmp_path, capsys):
    """With `plan=` the scenario, hour and policy are the plan's own."""
    words = ("solve", f"scenario={fleet}", "out=plan", "gap_target=0.2")
    assert call(*words, "policy.carbon_price_usd_per_t=70") == 0
    capsys.readouterr()
    ask = f"request={cases.EVIL}q7"
    assert call("explain", ask, "plan=plan", "gap_target=0.2", "json=true") == 0
    found = json.loads(capsys.readouterr().out)
    table = next(iter(found["tables"].values()))
    assert len(table) == 12
    assert sum(row["units"] for row in table) <= 4
    assert any(row["carbon_usd"] > 0 for row in table)
    assert not list(tmp_path.rglob("explain.*"))
    where = f"region={cases.EVIL}3"
    assert call("explain", where, "plan=plan", "gap_target=0.2", "out=told", "json=true") == 0
    assert capsys.readouterr().out == (tmp_path / "told" / "explain.json").read_text()
    assert call("explain", where, "plan=plan", "gap_target=0.2", "out=why") == 0
    assert "Who is there" in capsys.readouterr().out
    page = (tmp_path / "why" / "explain.html").read_text()
    assert "Who is there" in page
    assert "alert('x')" not in page
    assert json.loads((tmp_path / "why" / "explain.json").read_text())["tables"]
    assert call("explain", where, "plan=plan", "out=plan") == 2  # a solve's folder stays


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("explain",), "needs one of `request=ID` and `region=ID`"),
        (("explain", "region=a", "plan=nowhere"), "is no run's folder"),
        (("frontier", "frontier.scale=[1]", "frontier.network_ms=[1]"), "left out where"),
        (("frontier", "frontier.scal=[1]"), "Did you mean `frontier.scale`"),
        (("audit", "audit.by=planet"), "region or grid_zone or country"),
    ],
)
def test_bad_usage_is_2(words, wanted, capsys, tmp_path):
    """A message on stderr, nothing on stdout, nothing written."""
    assert call(*words) == 2
    out, err = capsys.readouterr()
    assert wanted in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_current_regions_of_numbers(tmp_path, capsys):
    """Ids that are numbers survive the way through files."""
    tables = {
        name: table.astype(dict.fromkeys(table.select_dtypes("category"), object))
        for name, table in cases.fleet(n=40, m=8, integer_ids=True).tables.items()
    }
    folder = write_folder(tmp_path / "numbers", tables)
    assert call("solve", f"scenario={folder}", "out=plan", "gap_target=0.3") == 0
    assert call("explain", "request=1003", "plan=plan", "gap_target=0.3") == 0
    assert np.all(pd.read_parquet("plan/placement.parquet")["request_id"] >= 1000)
    assert "Request 1003" in capsys.readouterr().out
