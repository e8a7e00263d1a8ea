"""What `frontier`, `audit` and `explain` put on a terminal."""

import math
from pathlib import Path
from typing import TextIO

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jaxplace.console import console, printable
from jaxplace.placement import Placement
from jaxplace.report.words import heading, number, percent, whole
from jaxplace.studies.audit import Audit
from jaxplace.studies.explain import Explanation
from jaxplace.studies.frontier import COLUMNS, Frontier


MOST_CLOSINGS, MOST_ROWS = 15, 25
COUNTS = {"units", "unplaced", "moves", "captive_units"}


def show_frontier(found: Frontier, out: Path, stream: TextIO | None = None) -> None:
    """The points of every curve."""
    picked = {
        "series": "curve",
        "carbon_price_usd_per_t": "USD/t",
        found.label: COLUMNS[found.kind],
        "objective_usd": "objective, USD",
        "gap": "gap",
        "cost_usd_per_mwh": "USD/MWh",
        "carbon_kg_per_mwh": "kg/MWh",
        "relocatable_kwh": "relocatable, kWh",
        "relocated_kwh": "relocated, kWh",
        "energy_return_usd_per_mwh_ms": "USD/MWh/ms",
    }
    points = found.points[list(picked)].rename(columns=picked)
    if points["USD/t"].nunique() == 1:
        points = points.drop(columns="USD/t")
    met = found.worst_gap <= found.gap_target
    head = f"{len(points)} points, worst certified gap {percent(found.worst_gap)}"
    head += "" if met else f", above the target of {percent(found.gap_target)}"
    _print(
        stream, Text(head, style="bold"), Text(), _table(points), *_written(out, "frontier.html")
    )


def show_audit(found: Audit, out: Path, stream: TextIO | None = None) -> None:
    """The most harmful closings."""
    names = {
        found.by.value: found.by.value.replace("_", " "),
        "extra_cost_usd": "extra cost, USD",
        "extra_carbon_kg": "extra carbon, kg",
        "unplaced": "more unplaced",
        "moves": "more moves",
        "gap": "gap",
        "captive_units": "no other region",
        "mend_region": "most wanted then",
    }
    table = found.closings.head(MOST_CLOSINGS)
    shown = (
        _table(table[list(names)].rename(columns=names)) if len(table) else Text("nothing closed")
    )
    head = (
        f"{len(found.closings)} closings, the most harmful first; with all open the hour costs "
        f"{number(found.base_usd, 6)} USD. Worst certified gap {percent(found.worst_gap)}"
    )
    _print(stream, Text(head, style="bold"), Text(), shown, *_written(out, "audit.html"))


def show_explanation(
    found: Explanation,
    placement: Placement,
    out: Path | None = None,
    stream: TextIO | None = None,
) -> None:
    """The answer, its figures and its tables."""
    parts: list[RenderableType] = [Text(printable(found.title), style="bold")]
    parts += [Text(printable(line)) for line in found.says]
    facts = _grid(False, True)
    for name, value in found.facts.items():
        facts.add_row(printable(name), _shown(name, value))
    parts += [Text(), facts]
    for name, table in found.tables.items():
        parts += [Text(), Text(printable(name), style="bold"), _table(table.head(MOST_ROWS))]
        if len(table) > MOST_ROWS:
            parts.append(Text(f"and {len(table) - MOST_ROWS:,} more; json=true prints all"))
    gap = percent(placement.certificate.gap)
    parts += [Text(), Text(f"The plan's certified gap is {gap}; duals are those of its bound.")]
    parts += _written(out, "explain.html") if out else []
    _print(stream, *parts)


def _print(stream: TextIO | None, *parts: RenderableType) -> None:
    """Everything at once; a table wider than the terminal is wrapped, never cut."""
    console(stream).print(Group(*parts), soft_wrap=False)


def _written(out: Path, page: str) -> list[RenderableType]:
    """Where the files are."""
    return [Text(), Text(f"Written to {printable(out)}"), Text(f"Report: {printable(out / page)}")]


def _grid(*right: bool) -> Table:
    """A table without lines; True aligns a column to the right."""
    table = Table.grid(padding=(0, 2))
    for is_right in right:
        table.add_column(justify="right" if is_right else "left", overflow="fold")
    return table


def _table(frame: pd.DataFrame) -> Table:
    """A DataFrame; columns without a word to say are left out."""
    kept = [name for name in frame if not _blank(frame[name])]
    numeric = [pd.api.types.is_numeric_dtype(frame[name]) for name in kept]
    table = _grid(*numeric)
    table.columns[0].no_wrap = True  # ids are for copying
    table.add_row(*(printable(heading(str(name))) for name in kept))
    for row in frame[kept].itertuples(index=False):
        table.add_row(*(_shown(str(n), v) for n, v in zip(kept, row, strict=True)))
    return table


def _blank(column: pd.Series) -> bool:
    """Whether a column holds nothing but empty texts, or costs of nothing."""
    if str(column.name).endswith("_usd"):
        return bool((column == 0).all())
    return not pd.api.types.is_numeric_dtype(column) and bool((column.fillna("") == "").all())


def _shown(name: str, value: object) -> str:
    """A value as text."""
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    figure = float(value)  # type: ignore[arg-type]
    if math.isnan(figure):
        return ""
    if name == "gap":
        return percent(figure)
    return whole(figure) if name in COUNTS or float(figure).is_integer() else number(figure)
