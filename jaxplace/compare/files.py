"""A comparison as files: `compare.parquet`, `compare.json`, `report.html`, written as one set."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from jaxplace import atomic, runtime
from jaxplace.compare import page
from jaxplace.compare.judge import Row


MARKER = "compare.json"
AS_JSON = ("settings", "versions", "trace", "faults")  # columns of the table that are JSON texts


def record(row: Row) -> dict[str, Any]:
    """A row as plain values, with its verdict."""
    return {**dataclasses.asdict(row), "verdict": row.verdict}


def table(rows: list[Row]) -> pd.DataFrame:
    """The rows as a table; what is no number or text is JSON."""
    records = [record(row) for row in rows]
    for values in records:
        values |= {name: json.dumps(values[name]) for name in AS_JSON}
    return pd.DataFrame(records).convert_dtypes()


def summary(rows: list[Row]) -> dict[str, Any]:
    """The rows, and the versions of what ran them."""
    return {"versions": runtime.versions(), "rows": [record(row) for row in rows]}


def to_json(figures: dict[str, Any]) -> str:
    """`compare.json`'s text."""
    return json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def check_target(out: Path | str) -> Path:
    """The folder that `save` would write to.

    Raises:
        InputError: `save` would refuse it.
    """
    return atomic.check_target(Path(out), marker=MARKER)


def save(rows: list[Row], target: Path, *, extra: Mapping[str, str] | None = None) -> None:
    """Write the files, all or none.

    Args:
        rows: what to write.
        target: what `check_target` returned.
        extra: texts by file name that belong to the set.

    Raises:
        OutputError: the disk refused; an earlier comparison's files are then unchanged.
    """

    def fill(folder: Path) -> None:
        table(rows).to_parquet(folder / "compare.parquet", index=False)
        (folder / "report.html").write_text(page.render(rows), encoding="utf-8")
        for name, text in (extra or {}).items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / MARKER).write_text(to_json(summary(rows)), encoding="utf-8")

    atomic.replace_set(target, fill, marker=MARKER)
