"""What `frontier`, `audit` and `explain` write: all files of a run, or none."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxplace import atomic, runtime
from jaxplace.instance import Instance
from jaxplace.placement import Placement
from jaxplace.studies import audit_page, explain_page, frontier_page
from jaxplace.studies.audit import Audit
from jaxplace.studies.breakeven import break_even
from jaxplace.studies.explain import Explanation
from jaxplace.studies.frontier import Frontier
from jaxplace.studies.homes import homes


FRONTIER, AUDIT, EXPLAIN = "frontier.json", "audit.json", "explain.json"  # mark their folders
TEXT = pd.StringDtype("pyarrow")


def to_json(figures: Any) -> str:
    """Figures as JSON; what is no finite number is null."""
    return json.dumps(_plain(figures), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows."""
    return table.to_dict("records")


def _plain(value: Any) -> Any:
    """`value` as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _about(instance: Instance, seconds: float) -> dict[str, Any]:
    """What every summary says about its instance and its run."""
    return {
        "hour": instance.hour,
        "policy": asdict(instance.policy),
        "size": {
            "requests": len(instance.request_id),
            "regions": instance.regions,
            "resources": len(instance.resources),
        },
        "seconds": seconds,
        "peak_rss_bytes": runtime.peak_rss_bytes(),
        "versions": runtime.versions(),
        "assumptions": list(instance.places.assumptions) if instance.places else [],
    }


def frontier_figures(found: Frontier, seconds: float) -> dict[str, Any]:
    """`frontier.json`."""
    return {
        "kind": found.kind,
        "worst_gap": found.worst_gap,
        "gap_target": found.gap_target,
        "notes": list(found.notes),
        "latency_model": {"formula": "rtt_ms = 56 + 0.014 km", **found.model_error},
        "points": records(found.points),
        **_about(found.last.instance, seconds),
    }


def save_frontier(
    found: Frontier, out: Path, *, seconds: Callable[[], float], extra: Mapping[str, str] = {}
) -> dict[str, Any]:
    """Write the curves into a folder; returns what `frontier.json` says.

    Files: frontier.parquet, workloads.parquet, duals.parquet, break_even.parquet, frontier.json,
    frontier.html, and `extra` (texts by name).

    Raises:
        InputError: `out` cannot be a run's folder.
        OutputError: the disk refused; an earlier run's files are then unchanged.
    """
    figures: dict[str, Any] = {}

    def fill(folder: Path) -> None:
        found.points.to_parquet(folder / "frontier.parquet", index=False)
        found.workloads.to_parquet(folder / "workloads.parquet", index=False)
        found.duals.to_parquet(folder / "duals.parquet", index=False)
        top, rows = _write_break_even(found, folder / "break_even.parquet")
        page = frontier_page.render(found, top, rows)
        (folder / "frontier.html").write_text(page, encoding="utf-8")
        for name, text in extra.items():
            (folder / name).write_text(text, encoding="utf-8")
        figures.update(frontier_figures(found, seconds()))
        (folder / FRONTIER).write_text(to_json(figures), encoding="utf-8")

    atomic.replace_set(atomic.check_target(out, marker=FRONTIER), fill, marker=FRONTIER)
    return figures


def _write_break_even(found: Frontier, path: Path) -> tuple[pd.DataFrame, int]:
    """Write the break-even table a block at a time; its rows with most to gain, and how many."""
    top, rows, writer = pd.DataFrame(), 0, None
    for block in break_even(found.last, homes(found.last.instance)):
        table = pa.Table.from_pandas(block, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
        rows += len(block)
        gain = block["net_usd"] * block["units"]
        joined = pd.concat([top, block.assign(gain=gain)])
        top = joined.nlargest(frontier_page.MOST_ROWS, "gain")
    if writer is not None:
        writer.close()
    return top, rows


def audit_figures(found: Audit, seconds: float) -> dict[str, Any]:
    """`audit.json`."""
    proof = found.base.certificate
    return {
        "by": found.by.value,
        "worst_gap": found.worst_gap,
        "gap_target": found.gap_target,
        "left_out": found.left_out,
        "base": {
            "objective_usd": proof.objective_usd,
            "cheapest_met_usd": found.base_usd,
            "lower_bound_usd": proof.lower_bound_usd,
            "gap": proof.gap,
            "unplaced": proof.unplaced,
            "unservable": proof.unservable,
            "moves": proof.moves,
            "carbon_kg": proof.carbon_kg,
        },
        "closings": records(found.closings),
        **_about(found.base.instance, seconds),
    }


def save_audit(
    found: Audit, out: Path, *, seconds: Callable[[], float], extra: Mapping[str, str] = {}
) -> dict[str, Any]:
    """Write audit.parquet, audit.json, audit.html and `extra`; returns what `audit.json` says.

    Raises:
        InputError: `out` cannot be a run's folder.
        OutputError: the disk refused; an earlier run's files are then unchanged.
    """
    figures: dict[str, Any] = {}

    def fill(folder: Path) -> None:
        found.closings.to_parquet(folder / "audit.parquet", index=False)
        (folder / "audit.html").write_text(audit_page.render(found), encoding="utf-8")
        for name, text in extra.items():
            (folder / name).write_text(text, encoding="utf-8")
        figures.update(audit_figures(found, seconds()))
        (folder / AUDIT).write_text(to_json(figures), encoding="utf-8")

    atomic.replace_set(atomic.check_target(out, marker=AUDIT), fill, marker=AUDIT)
    return figures


def explain_figures(found: Explanation, placement: Placement, seconds: float) -> dict[str, Any]:
    """`explain.json`."""
    return {
        "title": found.title,
        "says": list(found.says),
        "facts": found.facts,
        "gap": placement.certificate.gap,
        "hour": placement.instance.hour,
        "tables": {name: records(table) for name, table in found.tables.items()},
        "seconds": seconds,
    }


def save_explanation(
    found: Explanation,
    placement: Placement,
    figures: dict[str, Any],
    out: Path,
    *,
    extra: Mapping[str, str] = {},
) -> None:
    """Write explain.json (`figures`), explain.html and `extra`.

    Raises:
        InputError: `out` cannot be a run's folder.
        OutputError: the disk refused; an earlier run's files are then unchanged.
    """

    def fill(folder: Path) -> None:
        page = explain_page.render(found, placement)
        (folder / "explain.html").write_text(page, encoding="utf-8")
        (folder / EXPLAIN).write_text(to_json(figures), encoding="utf-8")
        for name, text in extra.items():
            (folder / name).write_text(text, encoding="utf-8")

    atomic.replace_set(atomic.check_target(out, marker=EXPLAIN), fill, marker=EXPLAIN)
