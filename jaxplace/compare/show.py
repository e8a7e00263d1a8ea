"""The comparison on stdout."""

from pathlib import Path
from typing import TextIO

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jaxplace.compare import words
from jaxplace.compare.judge import FALSE, INFEASIBLE, Row
from jaxplace.console import console, printable


BAD = {INFEASIBLE, FALSE, "failed"}


def show(rows: list[Row], out: Path, stream: TextIO | None = None) -> None:
    """A table for each instance, and what went wrong."""
    parts: list[RenderableType] = []
    for _, own in words.by_instance(rows):
        parts += [Text(printable(words.heading(own)), style="bold"), _table(own), Text()]
        parts += [Text(printable(line)) for line in words.remarks(own)]
        parts.append(Text())
    parts += [Text(words.NOTE), Text(), Text(f"Written to {printable(out)}")]
    parts.append(Text(f"Report: {printable(out / 'report.html')}"))
    console(stream).print(Group(*parts), soft_wrap=False)


def _table(rows: list[Row]) -> Table:
    """The rows, the cheapest plan first."""
    table = Table.grid(padding=(0, 2))
    for k, _ in enumerate(words.COLUMNS):
        table.add_column(justify="left" if k < 2 else "right", no_wrap=k < 2, overflow="fold")
    table.add_row(*words.COLUMNS)
    for row in words.ranked(rows):
        style = "red" if row.verdict in BAD else "" if row.objective_usd is not None else "dim"
        table.add_row(*map(printable, words.cells(row)), style=style)
    return table
