"""What a monitoring system sees: an OpenMetrics text file, and one JSON line an hour."""

import dataclasses
import datetime
import json
import math
from pathlib import Path

from jaxplace import atomic
from jaxplace.replan.history import Row


GAUGES = {  # field of a row -> (name, unit, help)
    "objective_usd": ("objective", "usd", "Cost of the plan, penalties included"),
    "lower_bound_usd": ("lower_bound", "usd", "No plan costs less"),
    "gap": ("gap", "ratio", "What the plan can at most lose against the best one"),
    "stay_usd": ("staying_put", "usd", "Cost of leaving everything where it runs"),
    "kwh": ("energy", "kilowatthours", "Facility energy of the plan"),
    "carbon_kg": ("carbon", "kilograms", "Carbon of the plan"),
    "units": ("units", "", "Units to place"),
    "unplaced": ("unplaced", "", "Units that the plan leaves out"),
    "moves": ("moves", "", "Units that the plan moves"),
    "unsafe_steps": ("unsafe_steps", "", "Steps of changes.parquet that exceed a capacity"),
    "seconds": ("solve", "seconds", "Time of the solve"),
    "carried_zones": ("carried_zones", "", "Grid zones whose signals are older than the hour"),
    "oldest_signal_h": ("oldest_signal", "hours", "Age of the oldest signal that was used"),
}


def text(row: Row) -> str:
    """A row as OpenMetrics text, for Prometheus' textfile collector."""
    lines: list[str] = []
    figures = dataclasses.asdict(row)
    hour = datetime.datetime.fromisoformat(row.hour).replace(tzinfo=datetime.UTC)
    planned = datetime.datetime.fromisoformat(row.planned_at).replace(tzinfo=datetime.UTC)
    gauges = [(*about, figures[name]) for name, about in GAUGES.items()]
    gauges += [
        ("hour_timestamp", "seconds", "The hour that was planned last", hour.timestamp()),
        ("planned_timestamp", "seconds", "When it was planned", planned.timestamp()),
    ]
    for short, unit, meaning, value in gauges:
        if value is None or not math.isfinite(value):
            continue
        name = "jaxplace_" + "_".join(part for part in (short, unit) if part)
        lines.append(f"# TYPE {name} gauge")
        if unit:
            lines.append(f"# UNIT {name} {unit}")
        lines += [f"# HELP {name} {meaning}.", f"{name} {value:.10g}"]
    state = "jaxplace_status"
    lines += [
        f"# TYPE {state} gauge",
        f"# HELP {state} Why the last solve stopped.",
        f'{state}{{status="{row.status}",start="{row.start}"}} 1',
    ]
    return "\n".join([*lines, "# EOF"]) + "\n"


def write(path: Path, row: Row) -> None:
    """Replace the metrics file in one rename.

    Raises:
        OutputError: the disk refused.
    """
    atomic.replace_file(path, text(row).encode())


def line(row: Row, **more: object) -> str:
    """One JSON object on one line: what a log collector takes."""
    return json.dumps({**dataclasses.asdict(row), **more}, allow_nan=False) + "\n"
