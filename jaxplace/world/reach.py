"""What is near what: round-trip times, residency groups, and the regions near each origin."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxplace.world import bundle
from jaxplace.world.anchors import anchor_rtt
from jaxplace.world.regions import Origins, Regions
from jaxplace.world.settings import GenerateSettings
from jaxplace.world.workloads import MODELS


NEAR = 16  # regions kept per origin, model and residency
SLOTS = 3  # residency choices of one origin: anywhere, and at most two groups
ORIGIN_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Residency:
    """Groups of countries, and who asks for them.

    Attributes:
        names: [l]; 0 is "" (anywhere).
        legal: [l, m] whether a region may serve the group.
        slot: [o, SLOTS] group of each of the origin's choices.
        share: [o, SLOTS] share of the origin's requests that choose it.
        members: rows of the `residency` table.
    """

    names: list[str]
    legal: NDArray[np.bool_]
    slot: NDArray[np.int64]
    share: NDArray[np.float64]
    members: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Reach:
    """Distances, and the regions that are near.

    Attributes:
        rtt: [o, m] round-trip time [0.1 ms].
        near: [o, k, SLOTS, NEAR] nearest hosting, legal regions with capacity, nearest first (the
            last ones repeat the first if there are fewer); -1 throughout where there is none.
        size: [o, k, SLOTS, NEAR] running sum of their weights over the sum: where a request runs
            today is drawn from it.
        need_ms: [o, k, SLOTS] time at which three regions are within reach (all of them, if fewer
            than three) [ms]; infinite where there is none.
    """

    rtt: NDArray[np.uint16]
    near: NDArray[np.int16]
    size: NDArray[np.float32]
    need_ms: NDArray[np.float32]


def round_trips(regions: Regions, origins: Origins, settings: GenerateSettings) -> Reach:
    """Every RTT by the anchor model with log-normal noise, and who is near whom.

    `need_ms` and `near` regard hosting, not residency: `with_residency` adds that.
    """
    anchors, between = bundle.anchors()
    rng = np.random.default_rng([settings.seed, 4])
    rtt = np.empty((len(origins.weight), len(regions.weight)), dtype=np.uint16)
    for start in range(0, len(rtt), ORIGIN_BLOCK):
        rows = origins.places.iloc[start : start + ORIGIN_BLOCK]
        block = anchor_rtt(
            rows["latitude"],
            rows["longitude"],
            regions.places["latitude"],
            regions.places["longitude"],
            anchor_lat=anchors["latitude"],
            anchor_lon=anchors["longitude"],
            anchor_rtt_ms=between,
        )
        noise = rng.standard_normal(block.shape, dtype=np.float32)
        block *= np.exp(np.float32(settings.rtt_noise) * noise)
        rtt[start : start + ORIGIN_BLOCK] = np.clip(np.round(block * 10), 1, 65_535)
    shape = (len(rtt), len(MODELS), SLOTS)
    near = np.full((*shape, NEAR), -1, dtype=np.int16)
    size = np.ones((*shape, NEAR), dtype=np.float32)
    return Reach(rtt=rtt, near=near, size=size, need_ms=np.full(shape, np.inf, dtype=np.float32))


def make_residency(regions: Regions, origins: Origins, settings: GenerateSettings) -> Residency:
    """EU, EEA with adequate countries, US, and one national group per localising country."""
    groups = bundle.table("jurisdictions").set_index("iso2")
    flags = groups.drop(columns="continentcode").astype(bool)
    eu, eea = set(flags.index[flags["eu"]]), set(flags.index[flags["eea"]])
    local = sorted(flags.index[flags["localisation_flag"]])
    countries = {"eu": eu, "eea-adequate": eea | set(flags.index[flags["eu_adequacy"]])}
    countries |= {"us": {"US"}} | {f"national-{c.lower()}": {c} for c in local}
    names = ["", *countries]
    legal = np.ones((len(names), len(regions.weight)), dtype=bool)
    for row, name in enumerate(names[1:], start=1):
        legal[row] = regions.places["country"].isin(countries[name])
    slot = np.zeros((len(origins.weight), SLOTS), dtype=np.int64)
    share = np.tile([1.0, 0.0, 0.0], (len(slot), 1))
    for row, country in enumerate(origins.places["country"] if settings.has("residency") else ()):
        if country in eea:  # assumed shares, here and below
            own = names.index("eu") if country in eu else 0
            slot[row], share[row] = (0, names.index("eea-adequate"), own), (0.5, 0.3, 0.2)
        elif country == "US":
            slot[row], share[row] = (0, names.index("us"), 0), (0.8, 0.2, 0.0)
        elif country in local:
            slot[row] = (0, names.index(f"national-{country.lower()}"), 0)
            share[row] = (0.5, 0.5, 0.0)
    rows = [(name, c) for name in names[1:] for c in sorted(countries[name])]
    members = pd.DataFrame(rows, columns=["residency", "country"])
    return Residency(names=names, legal=legal, slot=slot, share=share, members=members)


def serving_times(
    reach: Reach, regions: Regions, residency: Residency
) -> Iterator[tuple[NDArray[np.int64], int, int, NDArray[np.float32]]]:
    """Blocks (origins [b], slot, model, time to serve [b, m] [ms], infinite where not allowed)."""
    for start in range(0, len(reach.rtt), ORIGIN_BLOCK):
        block = np.arange(start, min(start + ORIGIN_BLOCK, len(reach.rtt)))
        for slot in range(SLOTS):
            rows = block if slot == 0 else block[residency.slot[block, slot] > 0]
            if not len(rows):
                continue
            ms = reach.rtt[rows] * np.float32(0.1)
            legal = residency.legal[residency.slot[rows, slot]] & (regions.weight > 0)
            for k in range(len(MODELS)):
                total = ms + regions.service_ms[k].astype(np.float32)
                yield rows, slot, k, np.where(legal & regions.hosted[k], total, np.float32(np.inf))


def find_near(reach: Reach, regions: Regions, residency: Residency) -> None:
    """Fill `reach.near`, `reach.size` and `reach.need_ms`."""
    m = len(regions.weight)
    kept = min(NEAR, m)
    for rows, slot, k, ms in serving_times(reach, regions, residency):
        some = np.argpartition(ms, kept - 1, axis=1)[:, :kept]
        some = np.sort(some, axis=1)  # argpartition's order within is not specified
        time = np.take_along_axis(ms, some, axis=1)
        order = np.argsort(time, axis=1, kind="stable")
        near = np.take_along_axis(some, order, axis=1)
        time = np.take_along_axis(time, order, axis=1)
        finite = np.isfinite(time)
        last = np.clip(finite.sum(1) - 1, 0, min(2, kept - 1))
        reach.need_ms[rows, k, slot] = time[np.arange(len(rows)), last]
        weight = np.cumsum(np.where(finite, regions.weight[near], 0.0), axis=1)
        reach.size[rows, k, slot, :kept] = weight / np.maximum(weight[:, -1:], 1e-30)
        near = np.where(finite, near, near[:, :1])
        near[~finite.any(1)] = -1
        reach.near[rows, k, slot, :kept] = near
        reach.near[rows, k, slot, kept:] = near[:, :1]
