"""A scenario: checked tables, from which one hour is taken at a time."""

import dataclasses
import datetime
import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from jaxplace.errors import InputError
from jaxplace.instance import Instance, Policy
from jaxplace.scenario import schema, tables as files
from jaxplace.scenario.assemble import assemble
from jaxplace.scenario.checks import Checked, read_table, unknown_columns
from jaxplace.scenario.columns import iso, parse_times
from jaxplace.scenario.references import reference_faults, remarks


Hour = str | datetime.datetime | np.datetime64 | None


class Scenario:
    """The tables of CONTRACT section 2, checked; immutable.

    Args:
        tables: DataFrames by table name: `requests`, `regions`, `origins`, `latency`, `signals`
            and, where there are any, `demand`, `transfer`, `residency`, `current`, `hosting`.
            A table that is None is not there.

    Raises:
        InputError: with every fault of every table.
    """

    def __init__(self, **tables: pd.DataFrame | None) -> None:
        checked, faults = _read_frames(tables)
        self._settle(checked, faults, notes=())

    def _settle(
        self, checked: dict[str, Checked], faults: list[str], notes: Iterable[str], where: str = ""
    ) -> None:
        """Finish the construction: what needs all tables, then all faults at once.

        A table that could not be read has a fault and is not in `checked`.
        """
        broken = {name for name in schema.TABLES if any(_is_about(name, text) for text in faults)}
        for name in schema.REQUIRED:
            if name not in checked and name not in broken:
                faults.append(f"`{name}`: the table is missing{where}. Add it")
        for name in schema.TABLES:
            faults.extend(checked[name].faults if name in checked else [])
        frames = {name: table.frame for name, table in checked.items()}
        unread = (broken - set(checked)).union(*(table.unread for table in checked.values()))
        faults.extend(reference_faults(frames, frozenset(unread)))
        if faults:
            raise InputError(*faults)
        self._checked = MappingProxyType(checked)
        self._frames = MappingProxyType(frames)
        self._file_notes = tuple(notes)
        self._notes = (*self._file_notes, *unknown_columns(checked), *remarks(frames))

    @classmethod
    def _from_folder(cls, folder: Path) -> "Scenario":
        """See `load_scenario`."""
        checked: dict[str, Checked] = {}
        faults: list[str] = []
        notes: list[str] = []
        if not folder.is_dir():
            raise InputError(f"`scenario`: {folder} is not a folder. Name a folder of tables")
        for name in schema.TABLES:
            try:
                source, found_notes = files.find(folder, name)
                notes += found_notes
                if source is not None:
                    checked[name] = read_table(name, source)
            except InputError as error:
                faults.extend(error.faults)
        scenario = cls.__new__(cls)
        forms = f" in {folder} (NAME.parquet, NAME.csv or a folder NAME/ of Parquet shards)"
        scenario._settle(checked, faults, notes, where=forms)
        return scenario

    def replace(self, **tables: pd.DataFrame | None) -> "Scenario":
        """The scenario with some tables exchanged, added, or (None) left out.

        Tables that stay are not checked again by themselves, only against the new ones.

        Raises:
            InputError: with every fault.
        """
        new, faults = _read_frames(tables)
        kept = {name: table for name, table in self._checked.items() if name not in tables}
        checked = {name: {**kept, **new}[name] for name in schema.TABLES if name in {**kept, **new}}
        scenario = type(self).__new__(type(self))
        scenario._settle(checked, faults, self._file_notes)
        return scenario

    def at(self, hour: Hour = None, policy: Policy | None = None) -> Instance:
        """The instance of one hour.

        Args:
            hour: the hour's start; without a time zone it is UTC.  Default: the first of `hours`.
            policy: what the operator wants.

        Raises:
            InputError: `signals` lacks the hour, a zone in use at that hour, or the policy's
                carbon column, or that column has faults.
        """
        policy = Policy() if policy is None else policy
        instance = assemble(self._frames, self._time(hour), policy)
        places = instance.places
        if places is not None:
            places = dataclasses.replace(places, assumptions=self.assumptions)
        notes = (*self._notes, *instance.notes)
        return dataclasses.replace(instance, places=places, notes=notes)

    @functools.cached_property
    def hours(self) -> tuple[str, ...]:
        """The hours that `signals` has, in order, ISO 8601 in UTC: 2022-07-01T12:00."""
        return tuple(iso(time) for time in self._times)

    @functools.cached_property
    def assumptions(self) -> tuple[str, ...]:
        """What the tables' Parquet metadata marks as assumed, each once."""
        found = (text for table in self._checked.values() for text in table.assumptions)
        return tuple(dict.fromkeys(found))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should be told about the tables: unknown columns, files left aside."""
        return self._notes

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The checked tables by name; ids are categorical, `request_id` is int64 or Arrow text."""
        return self._frames

    @functools.cached_property
    def _times(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self._frames["signals"]["time_utc"].unique()).sort_values()

    def _time(self, hour: Hour) -> pd.Timestamp:
        """The hour as a time of `signals`."""
        if hour is None:
            return self._times[0]
        time = parse_times([hour])[0] if isinstance(hour, str) else pd.Timestamp(hour)
        if time is pd.NaT:
            raise InputError(f"`hour`: {hour!r} is no time. Write it as 2022-07-01T12:00")
        time = time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
        if time not in self._times:
            raise InputError(
                f"`signals.time_utc`: 0 rows are of the hour {iso(time)}. Choose one of its "
                f"{len(self._times)} hours ({self.hours[0]} to {self.hours[-1]}), or add the hour"
            )
        return time


def load_scenario(folder: str | os.PathLike[str]) -> Scenario:
    """Read and check a folder of tables.

    Args:
        folder: holds each table as NAME.parquet, NAME.csv or a folder NAME/ of Parquet shards
            (taken in this order if there are several; `Scenario.notes` then says so).

    Raises:
        InputError: with every fault of every table.
    """
    return Scenario._from_folder(Path(folder))


def _read_frames(
    tables: Mapping[str, pd.DataFrame | None],
) -> tuple[dict[str, Checked], list[str]]:
    """Checked DataFrames, and faults of those that cannot be read at all."""
    faults = [
        f"`{name}`: no such table. The tables are {', '.join(schema.TABLES)}"
        for name in tables
        if name not in schema.TABLES
    ]
    checked = {}
    for name in schema.TABLES:
        frame: Any = tables.get(name)
        if frame is None:
            continue
        try:
            checked[name] = read_table(name, files.FrameSource(name, frame))
        except InputError as error:
            faults.extend(error.faults)
    return checked, faults


def _is_about(name: str, fault: str) -> bool:
    """Whether a fault's text begins with the table `name` or a column of it."""
    return fault.startswith((f"`{name}`", f"`{name}."))
