"""The rules of CONTRACT section 2 inside one table: presence, kinds, ranges, nulls, uniqueness.

`read_table` turns a source into a checked frame and collects every fault on the way; rules that
need two tables are in `references`.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jaxplace.errors import InputError
from jaxplace.scenario import schema
from jaxplace.scenario.columns import convert, isna
from jaxplace.scenario.faults import listed, row_fault
from jaxplace.scenario.tables import CsvSource, Source


if TYPE_CHECKING:
    import pandera.pandas as pandera


@dataclass
class Checked:
    """A table as far as it could be read.

    Attributes:
        frame: the sound columns in the form of their kind; a column of the wrong kind is absent.
        faults: what is wrong with it.
        unread: columns that are there and of the wrong kind.
        unknown: columns that the model does not know.
        assumptions: what the table's writer marked as assumed.
    """

    frame: pd.DataFrame
    faults: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    assumptions: tuple[str, ...] = ()


def read_table(name: str, source: Source) -> Checked:
    """Read, convert and check one table."""
    wanted, unknown = _sort_columns(name, source.names)
    faults = _missing(name, wanted)
    kinds = {label: column.metadata["kind"] for label, column in wanted.items()}
    more = list(unknown) if name == "signals" else []  # a policy may name any number of signals
    source.prepare({**kinds, **dict.fromkeys(more, "number")})
    columns: dict[str, Any] = {}
    unread: list[str] = []
    for label, kind in kinds.items():
        where = f"{name}.{label}"
        try:
            array = source.column(label, kind)
            values = convert(kind, array, where, from_csv=isinstance(source, CsvSource))
        except InputError as error:
            faults.extend(error.faults)
            unread.append(f"{name}.{label}")
            continue
        columns[label] = values
        faults.extend(_check_column(where, wanted[label], values))
    for label in more:
        try:
            columns[label] = convert("number", source.column(label, "number"), label)
        except InputError:
            continue
        if label.startswith("carbon"):
            unknown.remove(label)
    frame = pd.DataFrame(columns, copy=False)
    faults.extend(_check_key(name, frame))
    if name in schema.NEVER_EMPTY and columns and not len(frame):
        faults.append(f"`{name}`: the table has no rows. Add at least one")
    strangers = [f"{name}.{label}" for label in unknown]
    return Checked(frame, faults, unread, strangers, source.assumptions)


def _sort_columns(
    name: str, labels: tuple[str, ...]
) -> tuple[dict[str, "pandera.Column"], list[str]]:
    """Known columns with their declarations, and unknown ones."""
    declared = {label: schema.column_of(name, label) for label in labels}
    known = {label: column for label, column in declared.items() if column is not None}
    return known, [label for label in labels if label not in known]


def _missing(name: str, wanted: dict[str, Any]) -> list[str]:
    """A fault for every required column that is not there."""
    faults = []
    for pattern, column in schema.columns(name).items():
        if not column.required:
            continue
        if column.regex:
            start = schema.prefix(pattern)
            if not any(label.startswith(start) for label in wanted):
                faults.append(
                    f"`{name}.{start}RESOURCE`: no column of this form. Add one per resource, "
                    f"such as `{start}gpu`"
                )
        elif pattern not in wanted:
            faults.append(f"`{name}.{pattern}`: the column is missing. Add it")
    return faults


def _check_column(where: str, column: "pandera.Column", values: Any) -> list[str]:
    """Nulls and the declared ranges of one converted column."""
    faults = []
    empty = isna(values)
    if empty.any() and not column.nullable:
        remedy = "Fill them in"
        if not column.required:
            remedy += ", or leave out the whole column for its default"
        faults.append(row_fault(where, empty, None, "are empty or NaN", remedy))
    if isinstance(values, pd.Categorical):
        distinct, codes = pd.Series(values.categories), values.codes
    else:
        distinct, codes = pd.Series(values, copy=False), None
    missing = empty if codes is None else np.zeros(len(distinct), dtype=bool)
    for check in column.checks:
        kept = check(distinct).check_output
        if len(kept) < len(distinct):  # pandera leaves nulls out
            kept = kept.reindex(distinct.index, fill_value=True)
        bad = ~np.asarray(kept, dtype=bool) & ~missing  # a null is one fault, not two
        if bad.any():
            bad = bad if codes is None else np.append(bad, False)[codes]
            faults.append(row_fault(where, bad, values, str(check.error), "Correct them"))
    return faults


def _check_key(name: str, frame: pd.DataFrame) -> list[str]:
    """The key columns together are unique."""
    key = schema.schemas()[name].metadata["key"]
    needed = [label for label in key if label in frame or schema.columns(name)[label].required]
    if not needed or any(label not in frame for label in needed):
        return []
    twins = _repeated([frame[label] for label in needed])
    if not twins.any():
        return []
    where = f"{name}.{needed[0]}" if len(needed) == 1 else f"{name}.({', '.join(needed)})"
    columns = tuple(frame[label].array for label in needed)
    rule = "repeat an earlier row" if len(needed) > 1 else "repeat an id of an earlier row"
    return [row_fault(where, twins, columns, rule, "Remove them or make them distinct")]


def _repeated(columns: list[pd.Series]) -> np.ndarray:
    """[n] bool, True where the columns together repeat an earlier row; nulls repeat nothing."""
    n = len(columns[0])
    empty = np.zeros(n, dtype=bool)
    codes = np.zeros(n, dtype=np.int64)
    if len(columns) == 1:
        values = columns[0].array
        if isinstance(values, pd.arrays.ArrowExtensionArray) and _strictly_rising(values):
            return empty
        return columns[0].duplicated().to_numpy() & ~isna(values)
    for column in columns:
        values = column.array
        empty |= isna(values)
        if isinstance(values, pd.Categorical):
            digits, base = values.codes, len(values.categories) + 1
        else:
            digits, distinct = pd.factorize(values)
            base = len(distinct) + 1
        codes = codes * base + digits
    return pd.Series(codes).duplicated().to_numpy() & ~empty


def _strictly_rising(array: pd.arrays.ArrowExtensionArray) -> bool:
    """Whether the texts are in order and so distinct; far cheaper than a hash of them all."""
    values = pa.array(array)
    if len(values) < 2 or values.null_count:
        return False
    return bool(pc.all(pc.less(values.slice(0, len(values) - 1), values.slice(1))).as_py())


def unknown_columns(tables: dict[str, Checked]) -> list[str]:
    """The one warning about columns that are kept out of the model, or nothing."""
    unknown = [f"`{label}`" for checked in tables.values() for label in checked.unknown]
    regions, requests = tables.get("regions"), tables.get("requests")
    if regions is not None and requests is not None:
        unknown += [
            f"`regions.{label}`"
            for label in regions.frame
            if label.startswith("capacity_")
            and f"use_{label.removeprefix('capacity_')}" not in requests.frame
        ]
    if not unknown:
        return []
    return [f"unknown columns are kept out of the model: {listed(unknown, shown=40)}"]
