"""A plan that an earlier solve wrote, read back as a placement of the same instance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxplace import runtime
from jaxplace.certify import certify
from jaxplace.errors import InputError
from jaxplace.instance import NOWHERE, Instance, Policy
from jaxplace.placement import Assignment, Duals, Placement
from jaxplace.status import Status


def read_summary(folder: Path) -> dict[str, Any]:
    """`summary.json` of a run's folder.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    path = folder / "summary.json"
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        figures["policy"] = Policy(**figures["policy"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"`plan={folder}` is no run's folder: {path.name} cannot be read ({error}). "
            "Name the `out` of an earlier `jaxplace solve`"
        ) from error
    return figures


def read_plan(folder: Path, instance: Instance) -> Placement:
    """The plan of a run's folder, certified anew against the instance.

    Args:
        folder: the `out` of a solve.
        instance: the hour and policy that it was solved for.

    Raises:
        InputError: files that cannot be read, or that belong to another scenario.
    """
    figures = read_summary(folder)
    try:
        plan = pd.read_parquet(folder / "placement.parquet")
        regions = pd.read_parquet(folder / "regions.parquet").set_index("region")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"`plan={folder}`: its tables cannot be read ({error})") from error
    names = pd.Index(np.asarray(instance.region_id, object).astype(str))
    where = plan["region"].notna().to_numpy()
    region = np.full(len(plan), NOWHERE)
    region[where] = names.get_indexer(plan["region"][where].astype(str))
    ids = pd.Index(np.asarray(instance.request_id, object).astype(str))
    request = ids.get_indexer(plan["request_id"].astype(str))
    at = pd.Index(regions.index.astype(str)).get_indexer(names)
    columns = [f"dual_{name}" for name in instance.resources]
    known = (at >= 0).all() and (region[where] >= 0).all() and (request >= 0).all()
    if not known or not set(columns) <= set(regions.columns):
        raise InputError(
            f"`plan={folder}` names requests, regions or resources that the scenario lacks at "
            f"{instance.hour}. Name the scenario that it was solved for: `scenario=FOLDER`"
        )
    duals = Duals(
        regions[columns].to_numpy(float)[at],
        float(figures["budget_duals"]["moves"]),
        float(figures["budget_duals"]["carbon"]),
    )
    assignment = by_row(instance, request, region, plan["count"].to_numpy(np.int64))
    return Placement(
        instance=instance,
        assignment=assignment,
        duals=duals,
        certificate=certify(instance, assignment, duals),
        status=Status[figures["status"]],
        baselines=figures["baselines"],
        trace=(),
        timings_s=figures["timings_s"],
        seed=figures["seed"],
        device=figures["device"],
        versions=runtime.versions(),
    )


def by_row(
    instance: Instance, request: np.ndarray, region: np.ndarray, count: np.ndarray
) -> Assignment:
    """Units per request and region as units per row: as many as can stay where they run now."""
    if instance.rows == len(instance.request_id):
        row = np.empty(instance.rows, np.int64)
        row[instance.request] = np.arange(instance.rows)
        return _flows(row[request], region, count)
    flows: list[tuple[int, int, int]] = []
    left = instance.count.copy()
    rest = count.copy()
    row_at = {
        (int(q), int(j)): i
        for i, (q, j) in enumerate(zip(instance.request, instance.current, strict=True))
    }
    for f, key in enumerate(zip(request.tolist(), region.tolist(), strict=True)):
        i = row_at.get(key) if key[1] >= 0 else None
        if i is not None:
            stay = int(min(rest[f], left[i]))
            flows.append((i, key[1], stay))
            rest[f] -= stay
            left[i] -= stay
    first = np.searchsorted(instance.request, request)
    for f, i in enumerate(first.tolist()):
        while rest[f] > 0 and i < instance.rows and instance.request[i] == request[f]:
            some = int(min(rest[f], left[i]))
            flows.append((i, int(region[f]), some))
            rest[f] -= some
            left[i] -= some
            i += 1
    table = np.array([x for x in flows if x[2] > 0], np.int64).reshape(-1, 3)
    return _flows(*table.T)


def _flows(row: np.ndarray, region: np.ndarray, count: np.ndarray) -> Assignment:
    """Flows in order of row and region."""
    order = np.lexsort((region, row))
    return Assignment(row[order], region[order].astype(np.int32), count[order])
