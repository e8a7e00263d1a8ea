"""The state folder: a commit is whole or not there, whatever happens to the process or the disk."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jaxplace import atomic
from jaxplace.errors import InputError, OutputError
from jaxplace.replan import history, state as module
from jaxplace.replan.state import State


HOURS = [f"2022-07-01T{h:02d}:00" for h in range(6)]
ROOT = Path(__file__).parents[2]


def filled(text):
    """A plan of two files."""

    def fill(folder):
        (folder / "placement.parquet").write_text(text * 50)
        (folder / "summary.json").write_text(text)

    return fill


def committed(folder, *hours, keep_hours=100):
    """A state folder with these hours."""
    with State(folder) as state:
        for hour in hours:
            state.commit(hour, filled(hour), keep_hours=keep_hours)
    return folder


def content(state, hour):
    """What the hour's plan holds, its digests checked."""
    return (state.whole(hour) / "summary.json").read_text()


def test_plans_are_found_again(tmp_path):
    """Each hour's plan is there, in order, for the next run."""
    committed(tmp_path / "s", HOURS[1], HOURS[0])
    with State(tmp_path / "s") as state:
        assert list(state.head.plans) == HOURS[:2]
        assert state.head.hour == HOURS[1]
        assert (state.head.before(HOURS[1]), state.head.before(HOURS[0])) == (HOURS[0], None)
        assert [content(state, hour) for hour in HOURS[:2]] == HOURS[:2]
        assert state.notes == []


def test_an_hour_done_twice_replaces_its_plan(tmp_path):
    """The new plan lies in a folder of its own, and the old one goes after the commit."""
    committed(tmp_path, HOURS[0])
    with State(tmp_path) as state:
        first = state.path(HOURS[0])
        second = state.commit(HOURS[0], filled("again"), keep_hours=9)
        assert second != first
        assert content(state, HOURS[0]) == "again"
        assert os.listdir(tmp_path / "plans") == [second.name]


def test_retention(tmp_path):
    """The newest hours are kept, and an hour before them that was just planned."""
    committed(tmp_path, *HOURS, keep_hours=2)
    with State(tmp_path) as state:
        assert list(state.head.plans) == HOURS[-2:]
        state.commit(HOURS[0], filled("redone"), keep_hours=2)
        assert list(state.head.plans) == [HOURS[0], *HOURS[-2:]]
    assert len(os.listdir(tmp_path / "plans")) == 3


def test_two_runs_at_once(tmp_path):
    """The second one stops at once and says who is at work; after the first, it may."""
    with State(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()}"):
        State(tmp_path).__enter__()
    with State(tmp_path):
        pass


def test_uncommitted_plans_are_removed(tmp_path):
    """What a killed run left beside the plans is no plan."""
    committed(tmp_path, HOURS[0])
    shutil.copytree(tmp_path / "plans" / "hour=2022-07-01T00", tmp_path / "plans" / "hour=later")
    (tmp_path / "plans" / ".hour=x.jaxplace-1234").mkdir()
    (tmp_path / ".HEAD.json.12345678").write_text("{")
    with State(tmp_path) as state:
        assert list(state.head.plans) == HOURS[:1]
    assert sorted(os.listdir(tmp_path)) == ["HEAD.json", "LOCK", "plans"]
    assert os.listdir(tmp_path / "plans") == ["hour=2022-07-01T00"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema": 1}', "\x00" * 9, "cut", "edited", None]
)
def test_a_damaged_head_is_made_anew(text, tmp_path):
    """Empty, truncated, edited or gone: the whole plans say what was committed."""
    committed(tmp_path, *HOURS[:3])
    path = tmp_path / "HEAD.json"
    good = path.read_text()
    if text is None:
        path.unlink()
    else:
        known = {"cut": good[: len(good) // 2], "edited": good.replace("T02", "T01")}
        path.write_text(known.get(text, text))
    with State(tmp_path) as state:
        assert list(state.head.plans) == HOURS[:3]
        assert [content(state, hour) for hour in HOURS[:3]] == HOURS[:3]
        assert "made anew" in state.notes[0]
    assert path.read_text() == good


def test_a_damaged_head_and_damaged_plans(tmp_path):
    """Only whole plans count; with none left, the message says what to do."""
    committed(tmp_path, *HOURS[:2])
    (tmp_path / "HEAD.json").write_text("")
    (tmp_path / "plans" / "hour=2022-07-01T01" / "placement.parquet").write_text("short")
    with State(tmp_path) as state:
        assert list(state.head.plans) == HOURS[:1]
    (tmp_path / "HEAD.json").write_text("")
    (tmp_path / "plans" / "hour=2022-07-01T00" / "summary.json").unlink()
    with pytest.raises(InputError, match="no plan is whole"):
        State(tmp_path).__enter__()


@pytest.mark.parametrize("damage", ["short", "other", "gone"])
def test_a_damaged_plan_is_never_half_read(damage, tmp_path):
    """A file that is truncated, changed or missing is found before it is used."""
    committed(tmp_path, *HOURS[:2])
    file = tmp_path / "plans" / "hour=2022-07-01T01" / "placement.parquet"
    text = file.read_text()
    if damage == "gone":
        file.unlink()
    else:
        file.write_text(text[:9] if damage == "short" else text.replace("0", "1"))
    with State(tmp_path) as state:
        with pytest.raises(InputError, match=r"placement\.parquet.*after 2022-07-01T00:00"):
            state.whole(HOURS[1])
        assert content(state, HOURS[0]) == HOURS[0]


def test_a_newer_schema_is_refused(tmp_path):
    """A state of a later version is left alone."""
    committed(tmp_path, HOURS[0])
    head = json.loads((tmp_path / "HEAD.json").read_text())
    (tmp_path / "HEAD.json").write_text(json.dumps(head | {"schema": module.SCHEMA + 1}))
    with pytest.raises(InputError, match="newer jaxplace"):
        State(tmp_path).__enter__()


def test_folders_that_are_none_of_ours(tmp_path):
    """A file, and a folder with other things in it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        State(tmp_path / "file").__enter__()
    with pytest.raises(InputError, match="no state"):
        State(tmp_path).__enter__()
    assert os.listdir(tmp_path) == ["file"]


def test_an_unwritable_folder(tmp_path, monkeypatch):
    """Permission is missing: exit code 2's error, before anything is solved."""

    def refuse(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        State(tmp_path / "s").__enter__()


def test_read_only_changes_nothing(tmp_path):
    """A dry run makes no folder, removes nothing, and still waits for no one."""
    with State(tmp_path / "new", read_only=True) as state:
        assert state.head.hour is None
    assert not (tmp_path / "new").exists()
    committed(tmp_path / "s", HOURS[0])
    (tmp_path / "s" / "plans" / "left").mkdir()
    with State(tmp_path / "s", read_only=True) as state:
        assert state.head.hour == HOURS[0]
    assert (tmp_path / "s" / "plans" / "left").exists()


@pytest.mark.parametrize("turn", range(1, 8))
def test_a_full_disk(turn, tmp_path, monkeypatch):
    """At whatever flush the disk is full, the plan from before stays and the next try works."""
    committed(tmp_path, HOURS[0])
    real, left = os.fsync, [turn]

    def full(handle):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle)

    with State(tmp_path) as state:
        monkeypatch.setattr(atomic.os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            state.commit(HOURS[1], filled(HOURS[1]), keep_hours=9)
        assert left[0] <= 0
    monkeypatch.setattr(atomic.os, "fsync", real)
    with State(tmp_path) as state:
        assert content(state, HOURS[0]) == HOURS[0]
        if HOURS[1] not in state.head.plans:
            state.commit(HOURS[1], filled(HOURS[1]), keep_hours=9)
        assert content(state, HOURS[1]) == HOURS[1]


def killed_at(folder, step, hours):
    """Run `killed.py`: its exit code and the hours that it said it had committed."""
    program = str(Path(__file__).with_name("killed.py"))
    done = subprocess.run(
        [sys.executable, program, str(folder), str(step), str(hours)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize("step", range(1, 46, 2))
def test_killed_at_every_write(step, tmp_path):
    """What was committed is whole after a kill at any file operation, and the next run goes on."""
    said = []
    for start in (step, step + 1, 10_000):
        code, hours = killed_at(tmp_path, start, 2)
        said += hours
        with State(tmp_path) as state:
            assert set(said) <= set(state.head.plans)
            for hour in state.head.plans:
                assert content(state, hour) == hour
            history.read(tmp_path)
    assert code == 0
    assert list(history.read(tmp_path)["hour"])[-1:] == [HOURS[1]]


def test_the_lock_goes_with_the_process(tmp_path):
    """A killed run leaves its lock file, not its lock."""
    killed_at(tmp_path, 10, 2)
    handle = os.open(tmp_path / "LOCK", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)
