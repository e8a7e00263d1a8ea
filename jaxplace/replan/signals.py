"""Signals that are late: an hour's missing rows are carried forward from older ones."""

from dataclasses import dataclass

import pandas as pd

from jaxplace.errors import InputError
from jaxplace.scenario import Scenario


SHOWN = 5  # zones that a message names


@dataclass(frozen=True)
class Carried:
    """A grid zone whose row at an hour was taken from an older hour.

    Attributes:
        zone: the grid zone.
        age_h: how old the row is [h].
    """

    zone: str
    age_h: float


def carry(scenario: Scenario, hour: str, max_age_h: float) -> tuple[Scenario, list[Carried]]:
    """The scenario with a row of `signals` for every zone in use at an hour.

    Args:
        scenario: the tables.
        hour: ISO 8601, UTC.
        max_age_h: how old a row may be to stand in [h].

    Returns:
        The scenario (the same one if nothing is missing), and what was carried forward.

    Raises:
        InputError: a zone's newest row is too old, or there is none.
    """
    signals, regions = scenario.tables["signals"], scenario.tables["regions"]
    time = pd.Timestamp(hour, tz="UTC")
    zones = signals["grid_zone"].astype(object)
    used = pd.unique(regions["grid_zone"].astype(object))
    there = set(zones[signals["time_utc"] == time])
    missing = [zone for zone in used if zone not in there]
    if not missing:
        return scenario, []
    past = signals[(signals["time_utc"] < time) & zones.isin(missing)]
    newest = past.loc[past.groupby("grid_zone", observed=True)["time_utc"].idxmax()]
    age = dict(
        zip(
            newest["grid_zone"].astype(object),
            (time - newest["time_utc"]).dt.total_seconds() / 3600,
            strict=True,
        )
    )
    late = [zone for zone in missing if age.get(zone, float("inf")) > max_age_h]
    if late:
        shown = ", ".join(
            f"{zone!r} ({f'{age[zone]:g} h old' if zone in age else 'no earlier row'})"
            for zone in late[:SHOWN]
        )
        more = f" and {len(late) - SHOWN} more" if len(late) > SHOWN else ""
        raise InputError(
            f"`signals`: {len(late)} grid zones in use have no row at {hour}, and their newest is "
            f"older than `replan.max_signal_age_h={max_age_h:g}`: {shown}{more}. "
            "Add the rows, or allow older ones"
        )
    rows = pd.concat([signals[signals["time_utc"] == time], newest.assign(time_utc=time)])
    found = [Carried(str(zone), float(age[zone])) for zone in missing]
    return scenario.replace(signals=rows.reset_index(drop=True)), found


def note(carried: list[Carried], hour: str) -> str:
    """The flag in summary and report."""
    oldest = max(c.age_h for c in carried)
    shown = ", ".join(f"{c.zone} ({c.age_h:g} h)" for c in carried[:SHOWN])
    more = f" and {len(carried) - SHOWN} more" if len(carried) > SHOWN else ""
    return (
        f"`signals` has no row at {hour} for {len(carried)} grid zones; price and carbon are "
        f"carried forward, up to {oldest:g} h old: {shown}{more}"
    )
