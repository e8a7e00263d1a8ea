"""`explain.html`: why a request runs where it does, or what fills a region, for people."""

import pandas as pd

from jaxplace.placement import Placement
from jaxplace.report.grid import Column, grid
from jaxplace.report.page import bullets, header, page, section
from jaxplace.report.svg import tag
from jaxplace.report.tables import pairs
from jaxplace.report.words import heading, number, percent, whole
from jaxplace.status import Status
from jaxplace.studies.explain import Explanation


MOST_ROWS = 2000  # of each table
READING = (
    "The reduced cost is what a unit costs at a region and what it pays there for scarce capacity, "
    "its dual. At the duals of the bound every unit would go where its reduced cost is least; a "
    "plan of whole units may leave some elsewhere.",
    "Duals belong to no bill: they say what one more unit of a capacity would save.",
    "What is explained is this plan of these tables, within its gap.",
)


def render(found: Explanation, placement: Placement) -> str:
    """The page."""
    proof, instance = placement.certificate, placement.instance
    good = placement.status is Status.converged
    badge = ("good" if good else "warn", f"the plan's gap {percent(proof.gap)}")
    size = (
        f"{instance.hour or 'one hour'}; {whole(len(instance.request_id))} requests, "
        f"{whole(instance.regions)} regions"
    )
    shown = {
        name: f"{value:,}"
        if isinstance(value, int)
        else number(value, 6)
        if isinstance(value, float)
        else value
        for name, value in found.facts.items()
    }
    body = header(found.title, badge, size)
    body += section("answer", "In words", bullets(found.says)) + section(
        "facts", "Figures", pairs(shown)
    )
    for k, (name, table) in enumerate(found.tables.items()):
        body += section(f"part-{k}", name[:1].upper() + name[1:], _table(f"table-{k}", name, table))
    return page(
        found.title, body + section("reading", "How to read this", bullets(READING)), start="answer"
    )


def _table(name: str, label: str, table: pd.DataFrame) -> str:
    """One of the answer's tables; columns that are empty are left out."""
    if not len(table):
        return tag("p", "None.", class_="muted")
    rows = table.head(MOST_ROWS)
    columns = [_column(str(head), values) for head, values in rows.items()]
    return grid(
        name,
        [column for column in columns if column.kind != "text" or any(column.values)],
        label=label,
        things="rows",
        hint="any word",
        total=len(table),
        rest_in="explain.json",
    )


def _column(name: str, values: pd.Series) -> Column:
    """A column by the kind of its values."""
    if pd.api.types.is_bool_dtype(values):
        return Column(heading(name), "text", ["yes" if v else "no" for v in values])
    if pd.api.types.is_integer_dtype(values):
        return Column(heading(name), "whole", values.tolist())
    if pd.api.types.is_numeric_dtype(values):
        return Column(heading(name), "number", values.tolist())
    return Column(heading(name), "text", values.astype(str).tolist())
