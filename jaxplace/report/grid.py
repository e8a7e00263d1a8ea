"""Tables that sort and filter in the browser, also by keyboard, and read well without a script."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxplace.report.svg import tag, text
from jaxplace.report.words import number, percent, whole


class Column(NamedTuple):
    """A column: its head, how its values are shown, and the values.

    `kind` is text, whole (counts), number, percent (shares), or bar (shares with a meter).
    """

    head: str
    kind: str
    values: Sequence[Any] | np.ndarray


def grid(
    name: str,
    columns: Sequence[Column],
    *,
    label: str,
    things: str,
    hint: str = "",
    total: int | None = None,
    rest_in: str = "",
    filtered: bool = True,
) -> str:
    """A table with a head of buttons that sort, and a box that filters by the text columns.

    Args:
        name: id of the table.
        columns: of equal length; the first one names the row.
        label: what a screen reader calls the table.
        things: what the rows are, "regions".
        hint: what may be typed into the filter.
        total: rows that there are, if not all are shown.
        rest_in: where the others are.
        filtered: whether there is a filter.
    """
    shown = len(columns[0].values)
    rows = "".join(
        tag(
            "tr",
            "".join(
                _cell(column.kind, column.values[k], first=not n)
                for n, column in enumerate(columns)
            ),
        )
        for k in range(shown)
    )
    head = "".join(_head(column.head, column.kind) for column in columns)
    body = tag("thead", tag("tr", head)) + tag("tbody", rows)
    table = tag("table", body, id=name, class_="data")
    box = ""
    if filtered:
        more = f" of {total:,}; the rest is in {rest_in}" if total and shown < total else ""
        box = tag(
            "div",
            tag(
                "label",
                "Filter "
                + f'<input type="search" id="{text(name)}-filter" data-table="{text(name)}" '
                f'placeholder="{text(hint)}" autocomplete="off">',
            )
            + tag(
                "output",
                text(f"{shown:,} {things}{more}"),
                id=f"{name}-count",
                for_=f"{name}-filter",
                aria_live="polite",
                data_things=things,
            ),
            class_="controls",
        )
    return box + scroll(table, label)


def scroll(table: str, name: str) -> str:
    """A wide table that scrolls on its own, also by keyboard."""
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=name)


def _cell(kind: str, value: Any, *, first: bool) -> str:
    """One cell; `data-v` holds the number that sorting compares."""
    if kind == "text":
        shown = text("" if value is None else value)
        return tag("th", shown, scope="row") if first else tag("td", shown)
    exact = f"{float(value):.6g}"
    if kind == "whole":
        shown = whole(value)
    elif kind == "number":
        shown = number(float(value))
    elif kind == "percent":
        shown = percent(float(value))
    else:
        width = min(100.0, 100 * float(value))
        full = " full" if value >= 0.995 else ""
        bar = f'<span class="meter{full}"><i style="width:{width:.0f}%"></i></span>'
        return tag("td", f"{bar}{percent(float(value))}", data_v=exact, class_="used")
    return tag("th" if first else "td", shown, scope="row" if first else None, data_v=exact)


def _head(name: str, kind: str) -> str:
    """A column's head: a button, so that a keyboard reaches it."""
    button = tag("button", text(name), type="button")
    side = None if kind == "text" else "right"
    return tag("th", button, scope="col", aria_sort="none", class_=side)
