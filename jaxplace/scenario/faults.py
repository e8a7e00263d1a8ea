"""The wording of a fault: which column, how many rows, the first few of them, what to do."""

from typing import Any

import numpy as np


SINGULAR = {"are": "is", "hold": "holds", "name": "names", "repeat": "repeats"}
SHOWN = 3  # offending rows that a message shows; the count says how many more there are


def show(value: Any) -> str:
    """A cell as a user would recognise it: text in quotes, plain numbers, `empty` for null."""
    if value is None or value != value:
        return "empty"
    if isinstance(value, np.generic):
        value = value.item()
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return repr(value)


def listed(texts: list[str], shown: int = 8) -> str:
    """`a, b, c, ... (12 in all)`: enough to recognise, short enough to read."""
    if len(texts) <= shown:
        return ", ".join(texts)
    return ", ".join(texts[:shown]) + f", ... ({len(texts)} in all)"


def row_fault(where: str, rows: np.ndarray, values: Any, rule: str, remedy: str) -> str:
    """One sentence for all rows of a column that break one rule.

    Args:
        where: `table.column`.
        rows: bool [n], True where the rule is broken, or the row numbers (from 0).
        values: [n] the column, or None where it shows nothing; a tuple of columns for pairs.
        rule: what the rows do wrong, after "3 rows"; its first word is the verb.
        remedy: what the user should do, a sentence without the full stop.
    """
    rows = np.flatnonzero(rows) if rows.dtype == bool else rows
    cells = []
    for row in rows[:SHOWN]:
        if values is None:
            cells.append(f"row {row}")
        elif isinstance(values, tuple):
            cells.append(f"row {row}: " + ", ".join(show(column[row]) for column in values))
        else:
            cells.append(f"row {row}: {show(values[row])}")
    more = ", ..." if len(rows) > SHOWN else ""
    number = f"{len(rows)} rows"
    if len(rows) == 1:
        verb, _, rest = rule.partition(" ")
        number, rule = "1 row", f"{SINGULAR.get(verb, verb)} {rest}"
    return f"`{where}`: {number} {rule} ({', '.join(cells)}{more}). {remedy}"
