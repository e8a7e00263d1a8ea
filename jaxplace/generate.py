"""`jaxplace generate`: a realistic scenario of any size, written in shards.

`generate` reads like the scenario it makes: places, distances, who may serve whom, requests (a
shard at a time, so that ten million need little memory), and last the capacities, which follow
from what the requests use.
"""

import dataclasses
import enum
import json
import os
import secrets
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxplace.errors import InputError, OutputError
from jaxplace.world import assumptions, grid, tables
from jaxplace.world.capacity import by_class, empty_demand, spread_demand
from jaxplace.world.reach import Residency, find_near, make_residency, round_trips
from jaxplace.world.regions import Origins, Regions, make_origins, make_regions, transfer
from jaxplace.world.requests import RequestSource, class_index
from jaxplace.world.settings import Counts, GenerateSettings, Size, Tail


__all__ = ["Counts", "GenerateSettings", "Size", "Tail", "generate"]

MARKER = "generated.json"  # only folders that hold it are ever replaced
Progress = Callable[[str, int, int], None]


def generate(
    settings: GenerateSettings, out: str | os.PathLike[str], *, progress: Progress | None = None
) -> Path:
    """Write a made scenario: a folder of tables as `jaxplace.load_scenario` reads them.

    The folder appears whole or not at all.  Beside the tables it holds `README.md` (what is real
    and what is assumed; the same sentences are in each table's schema under
    ``jaxplace_assumptions``) and `generated.json` (the settings and totals).

    Args:
        settings: size, difficulty and seed; the same settings give the same bytes.
        out: the folder; new or empty, or a made scenario if `settings.overwrite`.
        progress: called with (step, done, of) as the work goes on.

    Returns:
        The folder's absolute path.

    Raises:
        InputError: `out` is a file or holds something else.
        OutputError: the disk is full, or a permission is missing.
    """
    target = _check_out(Path(out), settings.overwrite)
    staged = target.with_name(f".{target.name}.making-{secrets.token_hex(4)}")
    try:
        staged.mkdir(parents=True)
        _fill(staged, settings, progress or (lambda step, done, of: None))
        _take_place(staged, target)
    except OSError as error:
        raise OutputError(
            f"The scenario could not be written to {target}: {error.strerror or error}. "
            "What was there before is unchanged; free the disk or name another folder with `out=`"
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return target


def _fill(folder: Path, settings: GenerateSettings, progress: Progress) -> None:
    """Write every file of the scenario into an empty folder."""
    progress("places", 0, 1)
    regions, origins = make_regions(settings), make_origins(settings)
    residency = make_residency(regions, origins, settings)
    reach = round_trips(regions, origins, settings)
    find_near(reach, regions, residency)
    names = tables.Names(settings, regions, origins, residency)
    progress("places", 1, 1)
    for shard, table in enumerate(tables.latency(reach, names)):
        tables.write(table, folder, "latency", shard)
    demand, use, units = _write_requests(
        folder, settings, names, residency, RequestSource(settings, origins, reach, residency),
        progress,
    )  # fmt: skip
    progress("capacity", 0, 1)
    loads = spread_demand(by_class(demand, len(origins.weight)), regions, reach, residency)
    capacity = settings.tightness * loads
    tables.write(tables.regions(regions, capacity, names, settings), folder, "regions")
    written = _write_small(folder, settings, names, regions, origins, residency)
    progress("capacity", 1, 1)
    record = _record(settings, use, capacity, units)
    (folder / MARKER).write_text(json.dumps(record, indent=2) + "\n")
    order = ["requests", "regions", "latency", *written]
    (folder / "README.md").write_text(assumptions.readme(settings, order))


def _write_requests(
    folder: Path,
    settings: GenerateSettings,
    names: tables.Names,
    residency: Residency,
    source: RequestSource,
    progress: Progress,
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Write the shards; returns use by class [c, r], use in all [r], and the units.

    Drawing a shard and writing the one before go on at once.
    """
    resources = tables.RESOURCES[: settings.resources]
    demand = empty_demand(len(names.origins), len(resources))
    use, units = np.zeros(len(resources)), 0
    pending: Future[None] | None = None
    with ThreadPoolExecutor(1) as writer:
        for b in range(source.shards):
            shard = source.shard(b)
            table = tables.requests(shard, b, names, settings, residency)
            if pending is not None:
                pending.result()
            pending = writer.submit(tables.write, table, folder, "requests", b)
            rows = class_index(shard)
            served = shard.budget_ms > shard.client_rtt_ms  # not the ones made unservable
            units += int(shard.count.sum())
            for r, resource in enumerate(resources):
                amount = getattr(shard, resource) * shard.count
                use[r] += amount.sum()
                demand[:, r] += np.bincount(rows, amount * served, minlength=len(demand))
            progress("requests", b + 1, source.shards)
        if pending is not None:
            pending.result()
    return demand, use, units


def _write_small(
    folder: Path,
    settings: GenerateSettings,
    names: tables.Names,
    regions: Regions,
    origins: Origins,
    residency: Residency,
) -> list[str]:
    """Write the tables that fit in one file each; returns their names."""
    zones = dict(zip(regions.grid_zone, regions.places["grid_zone"], strict=True))
    small = {
        "origins": tables.origins(origins, names, settings),
        "signals": tables.plain(grid.signals(list(zones), list(zones.values()), settings)),
    }
    if settings.has("egress") or settings.has("moves"):
        small["transfer"] = tables.plain(transfer(regions, origins))
    if settings.has("residency"):
        small["residency"] = tables.plain(residency.members)
    if settings.has("hosting"):
        small["hosting"] = tables.hosting(regions, names)
    if settings.has("demand"):
        small["demand"] = tables.demand(origins, names, settings)
    for name, table in small.items():
        tables.write(table, folder, name)
    return list(small)


def _record(
    settings: GenerateSettings, use: NDArray[np.float64], capacity: NDArray[np.float64], units: int
) -> dict[str, object]:
    """What `generated.json` says."""
    told = {
        name: value.value if isinstance(value, enum.Enum) else value
        for name, value in dataclasses.asdict(settings).items()
        if name != "overwrite"
    }
    resources = tables.RESOURCES[: settings.resources]
    totals: dict[str, float] = {"units": units}
    for r, name in enumerate(resources):
        totals[f"use_{name}"] = round(float(use[r]), 3)
        totals[f"capacity_{name}"] = round(float(capacity[:, r].sum()), 3)
    return {"made_by": "jaxplace generate", "settings": told, "totals": totals}


def _check_out(out: Path, overwrite: bool) -> Path:
    """The absolute target, which may be written to."""
    target = Path(os.path.realpath(out.expanduser()))
    if target.exists() and not target.is_dir():
        raise InputError(f"`out={out}` is a file. Name a folder")
    if target.is_dir() and any(target.iterdir()):
        if not (target / MARKER).exists():
            raise InputError(
                f"`out={out}` is not empty and holds no generated scenario. "
                "Name a new or an empty folder"
            )
        if not overwrite:
            raise InputError(
                f"`out={out}` holds a generated scenario already. "
                "Name another folder, or set `overwrite=true`"
            )
    if Path.cwd().is_relative_to(target):
        raise InputError(
            f"`out={out}` is the current folder or one above it. Name a folder inside it"
        )
    return target


def _take_place(staged: Path, target: Path) -> None:
    """Rename `staged` to `target`; an earlier scenario there is removed afterwards."""
    if not target.exists():
        staged.rename(target)
        return
    old = staged.with_name(staged.name + "-old")
    target.rename(old)
    try:
        staged.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
