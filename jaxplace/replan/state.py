"""The state folder: what is committed, and nothing half done.

    LOCK              held by the run that is at work
    HEAD.json         which hours are committed, and in which folder each plan lies
    plans/hour=.../   one plan each; a folder appears whole or not at all
    history.parquet   one row an hour (see `history`)

A plan is written beside the others, flushed, and then named by a new HEAD.json, which takes the
old one's place in one rename: that is the commit.  A folder that HEAD does not name was left by
a run that was killed before its commit; it is removed by the next run.  History, metrics and
retention follow the commit and are caught up by the next run if the first one was killed.

This module knows files only: no tables, no solver.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxplace import atomic
from jaxplace.errors import InputError
from jaxplace.replan.hours import short


SCHEMA = 1  # of HEAD.json; a newer one is refused
HEAD, LOCK, PLANS = "HEAD.json", "LOCK", "plans"
MANIFEST = "manifest.json"  # of a plan: its hour, its number and its files' digests


@dataclass(frozen=True)
class Head:
    """What is committed.

    Attributes:
        plans: hour -> name of the plan's folder below `plans/`; hours in order.
        number: how many commits there were; each plan has one, and the largest is the newest.
    """

    plans: dict[str, str]
    number: int = 0

    @property
    def hour(self) -> str | None:
        """The last hour that has a plan."""
        return max(self.plans, default=None)

    def before(self, hour: str) -> str | None:
        """The last planned hour before another."""
        return max((h for h in self.plans if h < hour), default=None)


class State:
    """An open state folder; a context manager that holds the lock.

    Args:
        folder: made if it is not there.
        read_only: look, take the lock where there is one, and change nothing.
    """

    def __init__(self, folder: Path | str, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self.head = Head({})
        self.folder = Path(os.path.realpath(Path(folder).expanduser()))
        self.notes: list[str] = []  # what was found and mended
        self._lock: int | None = None

    def __enter__(self) -> "State":
        """Make the folder, take the lock, and clear away what a killed run has left.

        Raises:
            InputError: another run is at work, or the folder cannot be one of ours.
        """
        self._check()
        if self.read_only and not (self.folder / LOCK).exists():
            return self
        try:
            (self.folder / PLANS).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(
                f"`state={self.folder}` cannot be written ({error.strerror}). "
                "Name another folder, or mend its permissions"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            who = os.pread(self._lock, 32, 0).decode(errors="replace").strip()
            os.close(self._lock)
            self._lock = None
            raise InputError(
                f"`state={self.folder}`: another run (process {who or 'unknown'}) is at work "
                "there. Wait for it to end"
            ) from error
        try:
            if not self.read_only:
                self._sign()
            self.head = self._read_head()
            if not self.read_only:
                self._clear()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def path(self, hour: str) -> Path:
        """The folder of a committed plan."""
        return self.folder / PLANS / self.head.plans[hour]

    def commit(self, hour: str, fill: Callable[[Path], None], *, keep_hours: int) -> Path:
        """Write a plan and make it the hour's; drop the oldest plans.

        Args:
            hour: the plan's.
            fill: writes the plan's files into the folder it is given.
            keep_hours: plans that are kept.

        Returns:
            The plan's folder.

        Raises:
            OutputError: the disk refused; what was committed before still is.
        """
        number = self.head.number + 1
        name = self._new_name(hour)
        target = self.folder / PLANS / name

        def write(folder: Path) -> None:
            fill(folder)
            files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
            text = json.dumps({"hour": hour, "number": number, "files": files}, indent=2)
            (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

        atomic.replace_set(target, write, marker=MANIFEST)
        plans = dict(sorted({**self.head.plans, hour: name}.items()))
        kept = dict(list(plans.items())[-keep_hours:]) | {hour: name}
        self._write_head(Head(dict(sorted(kept.items())), number))
        self._clear()
        return target

    def whole(self, hour: str) -> Path:
        """The folder of a committed plan, its files checked against their digests.

        Raises:
            InputError: a file is gone or damaged.
        """
        folder = self.path(hour)
        fault = _fault(folder)
        if fault is not None:
            before = self.head.before(hour)
            after = "from the scenario's own `current`" if before is None else f"after {before}"
            raise InputError(
                f"`state={self.folder}`: the committed plan {folder} is damaged ({fault}). Bring "
                f"it back from a backup; or, to go on without it {after}, remove that folder and "
                f"{self.folder / HEAD}, which is then made anew from the plans that are whole"
            )
        return folder

    def _check(self) -> None:
        """Refuse a file, and a folder with foreign files and no HEAD."""
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"`state={self.folder}` is a file. Name a folder")
        if not self.folder.is_dir():
            return
        try:
            names = {entry.name for entry in self.folder.iterdir()}
        except OSError as error:
            raise InputError(
                f"`state={self.folder}` cannot be read ({error.strerror}). Mend its permissions"
            ) from error
        if names and not names & {HEAD, LOCK, PLANS}:
            shown = ", ".join(sorted(names)[:3])
            raise InputError(
                f"`state={self.folder}` holds files and no state ({shown}). "
                "Name a new or empty folder, or that of earlier runs"
            )

    def _sign(self) -> None:
        """Leave the process's number in the lock, for whoever meets it."""
        assert self._lock is not None
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        except OSError:  # a full disk: the lock holds without a name on it
            self.notes.append("the process's number could not be written into LOCK")

    def _read_head(self) -> Head:
        """HEAD.json, or what the plans say if it is damaged.

        Raises:
            InputError: it was written by a newer version.
        """
        path = self.folder / HEAD
        try:
            body = json.loads(path.read_text("utf-8"))
            schema, sum_of = body.pop("schema"), body.pop("sha256")
            if schema == SCHEMA and sum_of == _sum(body):
                return Head(dict(body["plans"]), int(body["number"]))
            if isinstance(schema, int) and schema > SCHEMA:
                raise InputError(
                    f"`state={self.folder}` was written by a newer jaxplace (schema {schema}; this "
                    f"one knows {SCHEMA}). Install that version, or name another folder"
                )
            fault = "its checksum is wrong"
        except FileNotFoundError:
            fault = "it is missing"
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            fault = f"{type(error).__name__}: {error}"
        return self._rebuilt(fault)

    def _rebuilt(self, fault: str) -> Head:
        """The head that the whole plans make, newest number first for each hour."""
        found: dict[str, tuple[int, str]] = {}
        fresh = not (self.folder / HEAD).exists() and not any((self.folder / PLANS).iterdir())
        for folder in sorted((self.folder / PLANS).iterdir()):
            if folder.name.startswith(".") or _fault(folder) is not None:
                continue
            said = json.loads((folder / MANIFEST).read_text("utf-8"))
            number = int(said["number"])
            found[said["hour"]] = max(found.get(said["hour"], (0, "")), (number, folder.name))
        head = Head(
            {hour: name for hour, (_, name) in sorted(found.items())},
            max((number for number, _ in found.values()), default=0),
        )
        if not fresh:
            self.notes.append(
                f"{self.folder / HEAD} was damaged ({fault}) and is made anew from "
                f"{len(found)} whole plans, the last of {head.hour}"
            )
            if not found and any((self.folder / PLANS).iterdir()):
                raise InputError(
                    f"`state={self.folder}`: {HEAD} is damaged ({fault}) and no plan is whole. "
                    "Bring the folder back from a backup, or name a new one"
                )
        if not self.read_only:
            self._write_head(head)  # from the first run on: a plan without a HEAD is then no commit
        return head

    def _write_head(self, head: Head) -> None:
        """Replace HEAD.json in one rename: the commit."""
        body: dict[str, Any] = {"hour": head.hour, "number": head.number, "plans": head.plans}
        text = json.dumps({"schema": SCHEMA, **body, "sha256": _sum(body)}, indent=2) + "\n"
        atomic.replace_file(self.folder / HEAD, text.encode())
        self.head = head

    def _clear(self) -> None:
        """Remove plans that HEAD does not name: uncommitted, replaced, or past retention."""
        kept = set(self.head.plans.values())
        for entry in (self.folder / PLANS).iterdir():
            if entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True)
        for left in self.folder.glob(".*.*.????????"):  # of `atomic.replace_file`
            left.unlink(missing_ok=True)

    def _new_name(self, hour: str) -> str:
        """A folder name that no plan has, so that an hour done again replaces nothing in place."""
        base = f"hour={short(hour)}"
        taken = {entry.name for entry in (self.folder / PLANS).iterdir()}
        again = (f"{base}_{k}" for k in range(2, len(taken) + 3))
        return base if base not in taken else next(name for name in again if name not in taken)


def _fault(folder: Path) -> str | None:
    """What is wrong with a plan's files, or None."""
    try:
        said = json.loads((folder / MANIFEST).read_text("utf-8"))
        for name, (size, digest) in said["files"].items():
            there = (folder / name).stat().st_size
            if there != size:
                return f"{name} has {there:,} of {size:,} bytes"
            if _digest(folder / name)[1] != digest:
                return f"{name} has other content"
        int(said["number"]), str(said["hour"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _digest(path: Path) -> list[Any]:
    """A file's size and SHA-256."""
    with path.open("rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]


def _sum(body: dict[str, Any]) -> str:
    """SHA-256 of a JSON object."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
