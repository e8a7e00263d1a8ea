"""The tables and files of a placement, and how they replace an earlier run's."""

import errno
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import placements
import pytest

from jaxplace import atomic, output
from jaxplace.errors import InputError, OutputError
from jaxplace.placement import Assignment


@pytest.fixture(params=[False, True], ids=["text", "integers"])
def placement(request):
    """A placement of requests in parts, with ids of either type."""
    return placements.placement(placements.instance(parts=True, integer_ids=request.param))


def test_assignments_sum_to_counts(placement):
    """A request's rows sum to its count, one row a region, parts added up."""
    frame, case = placement.assignments, placement.instance
    assert list(frame.columns) == ["request_id", "region", "count"]
    assert not frame.duplicated(["request_id", "region"]).any()
    wanted = np.bincount(case.request, case.count)
    found = frame.groupby("request_id")["count"].sum().reindex(case.request_id)
    assert (found.to_numpy() == wanted).all()
    assert frame["count"].min() > 0


def test_changes_are_the_flows_that_leave(placement):
    """Changes hold just the units whose region differs from where they run now."""
    case, plan = placement.instance, placement.assignment
    shifted = plan.count[plan.region != case.current[plan.row]].sum()
    frame = placement.changes
    assert frame["count"].sum() == shifted
    assert (frame["from_region"].isna() & frame["to_region"].isna()).sum() == 0


def test_new_and_dropped_units_have_null_regions():
    """From is null for newly placed units, to is null for dropped ones; idle ones are no change."""
    case = placements.instance(3, 2)
    case = replace(case, current=np.array([-1, 0, -1], np.int32), count=np.array([2, 3, 4]))
    plan = Assignment(np.arange(3), np.array([1, -1, -1], np.int32), np.array([2, 3, 4]))
    found = replace(placements.placement(case), assignment=plan).changes
    assert found["request_id"].tolist() == ["request-0", "request-1"]
    assert found["from_region"].isna().tolist() == [True, False]
    assert found["to_region"].isna().tolist() == [False, True]


def test_dtypes_survive_the_file(placement, tmp_path):
    """Integer ids with nulls stay integers, text stays text, in memory and read back."""
    placement.save(tmp_path / "run")
    for name in ("assignments", "changes", "regions"):
        file = "placement" if name == "assignments" else name
        read = pd.read_parquet(tmp_path / "run" / f"{file}.parquet")
        pd.testing.assert_frame_equal(read, getattr(placement, name))
        for column in read.columns.intersection(["region", "from_region", "to_region"]):
            kind = pd.api.types.is_integer_dtype(read[column].dtype)
            assert kind == (placement.instance.region_id.dtype.kind == "i")


def test_no_flows_give_empty_tables():
    """A plan without changes has a table with the right columns and types."""
    case = placements.instance(4, 3)
    case = replace(case, current=np.zeros(4, np.int32))
    plan = Assignment(np.arange(4), np.zeros(4, np.int32), case.count)
    frame = replace(placements.placement(case), assignment=plan).changes
    assert len(frame) == 0
    assert list(frame.columns) == ["request_id", "from_region", "to_region", "count"]


def test_arrow_request_ids():
    """Ids that came as an Arrow column are taken as they are."""
    found = placements.placement()
    ids = pd.array(list(found.instance.request_id), dtype=pd.StringDtype("pyarrow"))
    same = replace(found, instance=replace(found.instance, request_id=ids))
    pd.testing.assert_frame_equal(same.assignments, found.assignments)


def test_slices_join(monkeypatch, tmp_path):
    """A table written in slices reads like one written at once."""
    found = placements.placement()
    whole = found.assignments
    monkeypatch.setattr(output, "SLICE_ROWS", 7)
    found.save(tmp_path / "run")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "run/placement.parquet"), whole)


def test_regions_columns(placement):
    """Per region: load, capacity, dual of each resource, then the four figures."""
    frame, proof = placement.regions, placement.certificate
    assert list(frame.columns) == [
        "region",
        *[f"{what}_{r}" for r in ("gpu", "mem") for what in ("load", "capacity", "dual")],
        *["units", "kwh", "carbon_kg", "cost_usd"],
    ]
    np.testing.assert_array_equal(frame["load_mem"], proof.load[:, 1])
    np.testing.assert_array_equal(frame["dual_gpu"], placement.duals.capacity[:, 0])


def test_region_of_single_units():
    """`region` is an index per request where every request is one unit, else an error."""
    case = placements.instance(unit_counts=True)
    found = placements.placement(case)
    assert found.region.shape == (60,)
    assert (found.region == -1).sum() == found.certificate.unplaced
    with pytest.raises(InputError, match="assignments"):
        _ = placements.placement().region


def test_summary_is_complete_and_plain(placement):
    """Every field of the contract is there and survives strict JSON."""
    figures = placement.summary
    names = """status feasible objective_usd lower_bound_usd gap units placed unplaced unservable
        moves cost kwh carbon_kg budget_duals baselines policy hour seed size timings_s
        peak_rss_bytes device versions"""
    assert set(names.split()) <= set(figures)
    assert set(output.STAGES) <= set(figures["timings_s"])
    assert json.loads(output.to_json(figures)) == figures
    assert figures["status"] == "converged"
    assert figures["size"]["requests"] == 60


def test_what_is_not_finite_is_null():
    """Infinities and NaN are null in the file, wherever they stand; the gap of 0 USD is one."""
    found = placements.placement()
    proof = replace(found.certificate, objective_usd=0.0, lower_bound_usd=-1.0, gap=float("inf"))
    rule = {"objective_usd": np.float64("nan"), "kwh": 1.0, "unplaced": 2.0, "moves": 3.0}
    figures = replace(found, certificate=proof, baselines={"nearest": rule}).summary
    assert figures["gap"] is None
    assert figures["baselines"]["nearest"]["objective_usd"] is None
    assert "Infinity" not in output.to_json(figures)
    assert "NaN" not in output.to_json(figures)


def test_baselines_count_in_integers():
    """Units are whole in summary.json."""
    rule = {"objective_usd": 1.0, "kwh": 1.0, "carbon_kg": 1.0, "unplaced": 2.0, "moves": 3.0}
    text = output.to_json(replace(placements.placement(), baselines={"stay": rule}).summary)
    assert '"unplaced": 2,' in text
    assert '"moves": 3\n' in text


def test_peak_memory_is_this_process():
    """The peak is above what runs now and below what the machine has."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        now = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0.9 * now <= placements.placement().summary["peak_rss_bytes"] < total


def test_peak_memory_is_not_the_starters():
    """A program started by a large one does not report that one's memory."""
    ballast = np.ones(400 << 17)  # 400 MiB
    code = "from jaxplace import runtime; print(runtime.peak_rss_bytes())"
    env = {**os.environ, "PYTHONPATH": str(Path(output.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
    )
    assert 1 << 20 < int(done.stdout) < ballast.nbytes


def test_refusal_counts_entries(tmp_path):
    """One foreign file is an entry, two are entries."""
    for count, wanted in ((1, "holds 1 entry and"), (2, "holds 2 entries and")):
        (tmp_path / f"{count}.jpg").write_text("")
        with pytest.raises(InputError, match=wanted):
            output.check_target(tmp_path)


def test_save_is_deterministic_and_complete(tmp_path):
    """Two saves write the same five files, the placement byte for byte."""
    found = placements.placement()
    for name in ("one", "two"):
        found.save(tmp_path / "deep" / name)
        assert sorted(os.listdir(tmp_path / "deep" / name)) == sorted(output.FILES)
    one, two = (tmp_path / "deep" / n / "placement.parquet" for n in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert sorted(os.listdir(tmp_path / "deep")) == ["one", "two"]


def test_save_keeps_what_else_is_there(tmp_path):
    """An earlier run's folder keeps the operator's files and folders."""
    run = tmp_path / "run"
    placements.placement(seed=1).save(run)
    (run / ".hydra").mkdir()
    (run / ".hydra" / "config.yaml").write_text("a: 1")
    (run / "notes.txt").write_text("mine")
    (run / "link").symlink_to("notes.txt")
    placements.placement(seed=2).save(run)
    assert json.loads((run / "summary.json").read_text())["seed"] == 2
    assert (run / ".hydra" / "config.yaml").read_text() == "a: 1"
    assert (run / "link").is_symlink()
    assert (run / "link").read_text() == "mine"


def test_save_refuses_foreign_folders(tmp_path, monkeypatch):
    """A folder of someone else's files, a file and the working folder are refused untouched."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("")
    (tmp_path / "file").write_text("")
    found = placements.placement()
    for name in ("photos", "file"):
        with pytest.raises(InputError, match="out="):
            found.save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="current folder"):
        found.save(".")
    assert sorted(os.listdir(tmp_path)) == ["file", "photos"]


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EXDEV], ids=["renames", "singly"])
def test_save_without_exchange(tmp_path, monkeypatch, code):
    """Where folders cannot be exchanged, the fallbacks end in the same state."""
    run = tmp_path / "run"
    placements.placement(seed=1).save(run)
    (run / "notes.txt").write_text("mine")

    def refuse(one, other):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic, "_exchange", refuse)
    placements.placement(seed=2).save(run)
    assert json.loads((run / "summary.json").read_text())["seed"] == 2
    assert sorted(os.listdir(run)) == sorted([*output.FILES, "notes.txt"])
    assert os.listdir(tmp_path) == ["run"]


def test_failed_save_leaves_the_old_run(tmp_path, monkeypatch):
    """A full disk ends in OutputError, the old files whole and nothing left over."""
    run = tmp_path / "run"
    placements.placement(seed=1).save(run)
    before = {name: (run / name).read_bytes() for name in os.listdir(run)}

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(output, "regions", full)
    with pytest.raises(OutputError, match="No space left"):
        placements.placement(seed=2).save(run)
    assert {name: (run / name).read_bytes() for name in os.listdir(run)} == before
    assert os.listdir(tmp_path) == ["run"]


def test_readers_never_see_a_mixed_set(tmp_path):
    """While runs replace one another, every path of a run can be opened at any moment."""
    run, stop, missing = tmp_path / "run", threading.Event(), []
    runs = [placements.placement(seed=k) for k in (1, 2)]
    runs[0].save(run)

    def read():
        while not stop.is_set():
            for name in output.FILES:
                try:
                    (run / name).read_bytes()
                except FileNotFoundError:
                    missing.append(name)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(10):
        runs[k % 2].save(run)
    stop.set()
    reader.join()
    assert not missing


def test_stale_folders_are_swept(tmp_path):
    """What a killed run has left is removed by the next one; a living run's folder stays."""
    stale = tmp_path / ".run.jaxplace-0000"
    fresh = tmp_path / ".run.jaxplace-1111"
    for folder in (stale, fresh):
        folder.mkdir()
    os.utime(stale, (1, 1))
    placements.placement().save(tmp_path / "run")
    assert sorted(os.listdir(tmp_path)) == [fresh.name, "run"]
