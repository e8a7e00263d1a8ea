"""The assumed half of the fleet: what each region holds, which models it hosts, what runs where."""

import numpy as np
import pandas as pd
from demo_demand import WORKLOADS, Energy


SEED = 2022
SPREAD = 0.8  # sigma of the lognormal share of a region
LOCAL = 0.7  # how far the typical size follows the demand around it
REACH_MS = 15.0  # how quickly "around it" fades with the RTT
CAPACITY_RATIO = 1.4  # total capacity over the demand of the busiest hour
# Share of the regions, largest first, that host a workload; all others are hosted everywhere.
HOSTED = {"32b-long": 0.9, "70b-long": 0.75, "141b-moe-long": 0.45}
NEW = 0.1  # share of the requests that run nowhere yet


def peak(requests: pd.DataFrame, demand: pd.DataFrame) -> pd.Series:
    """Accelerator time asked for in each hour [GPU h], with the counts of that hour."""
    hours = {}
    for hour, table in demand.groupby("time_utc"):
        factor = requests["origin"].map(table.set_index("origin")["factor"])
        count = np.floor(requests["count"] * factor + 0.5)
        hours[hour] = float((count * requests["use_gpu_h"]).sum())
    return pd.Series(hours)


def capacity(
    requests: pd.DataFrame, demand: pd.DataFrame, rtt: np.ndarray, origins: pd.DataFrame
) -> np.ndarray:
    """Accelerators of each region [GPU h an hour]."""
    rng = np.random.default_rng(SEED)
    size = rng.lognormal(0.0, SPREAD, rtt.shape[1])
    near = np.exp(-(rtt - rtt.min(axis=1, keepdims=True)) / REACH_MS)
    near /= near.sum(axis=1, keepdims=True)
    load = (requests["count"] * requests["use_gpu_h"]).groupby(requests["origin"]).sum()
    local = load.reindex(origins["origin"], fill_value=0.0).to_numpy() @ near
    share = size * ((1 - LOCAL) / len(local) + LOCAL * local / local.sum())
    return (share / share.sum() * CAPACITY_RATIO * peak(requests, demand).max()).round(1)


def hosting(regions: pd.DataFrame, energy: Energy) -> pd.DataFrame:
    """Which region serves which workload, and how long the longest reply takes."""
    rank = regions["capacity_gpu_h"].rank(ascending=False, method="first")
    tables = []
    for w in WORKLOADS:
        here = regions["region"][rank <= HOSTED.get(w.name, 1.0) * len(regions)]
        table = pd.DataFrame({"region": here, "service_ms": energy.service_ms(w)})
        tables.append(table.assign(workload=w.name))
    return pd.concat(tables, ignore_index=True)[["workload", "region", "service_ms"]]


def allowed(
    requests: pd.DataFrame,
    regions: pd.DataFrame,
    hosting: pd.DataFrame,
    residency: pd.DataFrame,
    row_rtt: np.ndarray,
) -> np.ndarray:
    """Bool [requests, regions] by latency, residency and hosting."""
    budget = (requests["latency_budget_ms"] - requests["client_rtt_ms"]).to_numpy()
    service = hosting.pivot(index="workload", columns="region", values="service_ms")
    service = service.reindex(columns=regions["region"])  # NaN, which compares False: not hosted
    row = service.index.get_indexer(requests["workload"])
    ok = row_rtt + service.to_numpy()[row] <= budget[:, None]
    legal = {None: np.ones(len(regions), bool)}
    for kind, table in residency.groupby("residency"):
        legal[kind] = regions["country"].isin(set(table["country"])).to_numpy()
    kinds = [None if pd.isna(kind) else kind for kind in requests["residency"]]
    return ok & np.stack([legal[kind] for kind in kinds])


def current_region(
    requests: pd.DataFrame, regions: pd.DataFrame, ok: np.ndarray, row_rtt: np.ndarray
) -> list[str | None]:
    """Where an operator without a solver would run each request: the nearest that has room.

    The most urgent classes choose first.  A request that fits nowhere as a whole, and a tenth
    drawn at random, run nowhere yet.
    """
    rng = np.random.default_rng(SEED + 1)
    new = rng.random(len(requests)) < NEW
    room = regions["capacity_gpu_h"].to_numpy(copy=True)
    load = (requests["count"] * requests["use_gpu_h"]).to_numpy()
    order = np.lexsort((requests["request_id"], requests["slo"]))
    names = regions["region"].to_numpy()
    result: list[str | None] = [None] * len(requests)
    for i in order:
        fits = np.nonzero(ok[i] & (room >= load[i]))[0]
        if new[i] or not len(fits):
            continue
        j = fits[np.argmin(row_rtt[i, fits])]
        room[j] -= load[i]
        result[i] = str(names[j])
    return result
