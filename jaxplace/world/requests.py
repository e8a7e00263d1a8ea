"""Requests: sessions of calls, drawn from measured clients, a shard at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxplace.world import bundle
from jaxplace.world.reach import SLOTS, Reach, Residency
from jaxplace.world.regions import Origins
from jaxplace.world.settings import Counts, GenerateSettings, Tail
from jaxplace.world.workloads import (
    BUDGET_MS,
    BUDGET_SHARE,
    MODELS,
    PROMPT_WEIGHT,
    SERVICE_CALLS,
    SERVICE_SHARE,
)


SHARD_ROWS = 250_000
# assumed, all log-normal (median, log standard deviation)
CALLS_MEDIAN, CALLS_SIGMA = 30.0, {Tail.light: 0.4, Tail.heavy: 1.2}
MOST_WORK = 300_000.0  # output tokens of one session within the hour: five agents at full speed
CLIENT_RTT = (12.0, 0.5)  # ms
EGRESS_GB, STATE_GB = (1e-4, 1.2), (3e-4, 1.0)
COUNT = (2000.0, 0.8)
AT_HOME, ELSEWHERE = 0.80, 0.15  # the rest is new: no current region
CONTEXT_TOKENS = 128_000.0

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shard:
    """Some rows of `requests`, as arrays [n].

    Attributes:
        origin: index of the city.
        model: index into `MODELS`.
        slot: index of the origin's residency choice.
        budget: index into `BUDGET_MS`.
        energy_kwh: IT energy of one unit [kWh].
        gpu_s: GPU time of one unit on the newest hardware [GPU s].
        memory_gb: memory that one unit's context holds [GB].
        count: units.
        budget_ms: latency budget, infinite for none [ms].
        client_rtt_ms: from the client to its city [ms].
        egress_gb: data of one unit's answers [GB].
        state_gb: data that moves with one unit [GB].
        current: index of the region where it runs, -1 for none.
    """

    origin: Int
    model: Int
    slot: Int
    budget: Int
    energy_kwh: Float
    gpu_s: Float
    memory_gb: Float
    count: Int
    budget_ms: Float
    client_rtt_ms: Float
    egress_gb: Float
    state_gb: Float
    current: Int


class RequestSource:
    """Draws shards of requests; shard b depends on the settings, the seed and b alone."""

    def __init__(
        self, settings: GenerateSettings, origins: Origins, reach: Reach, residency: Residency
    ) -> None:
        self.settings, self.reach = settings, reach
        self.rows = settings.classes or settings.rows()[0]
        self.origin_edges = _edges(origins.weight)
        self.residency_edges = np.cumsum(residency.share, axis=1)[:, :-1]
        self.clients = bundle.clients()
        rate = self.clients.rate.copy()
        for service, share in enumerate(SERVICE_SHARE):
            own = self.clients.service == service
            rate[own] *= share / rate[own].sum()
        self.client_edges = _edges(rate)
        self.kwh, self.gpu_s, self.gb, self.active = (
            np.array([getattr(m, name) for m in MODELS])
            for name in (
                "kwh_per_token",
                "gpu_s_per_token",
                "memory_gb_per_ktoken",
                "active_b",
            )
        )
        self.counts = self._shared_counts() if settings.classes else None

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.rows // SHARD_ROWS)

    def shard(self, b: int) -> Shard:
        """Rows ``b * SHARD_ROWS`` and on."""
        rng = np.random.default_rng([self.settings.seed, 3, b])
        first = b * SHARD_ROWS
        n = min(SHARD_ROWS, self.rows - first)
        origin = _draw(rng, self.origin_edges, n)
        client = _draw(rng, self.client_edges, n)
        calls_model = np.cumsum(SERVICE_CALLS, axis=1)[:, :-1]
        model = (rng.random((n, 1)) > calls_model[self.clients.service[client]]).sum(1)
        slot = (rng.random((n, 1)) > self.residency_edges[origin]).sum(1)
        slot[self.reach.near[origin, model, slot, 0] < 0] = 0  # no such region: anywhere
        energy, gpu_s, memory = self._sizes(rng, client, model)
        client_rtt = _lognormal(rng, *CLIENT_RTT, n).clip(max=80.0).round(1)
        budget, budget_ms = self._budgets(rng, origin, model, slot, client_rtt)
        return Shard(
            origin=origin,
            model=model,
            slot=slot,
            budget=budget,
            energy_kwh=energy,
            gpu_s=gpu_s,
            memory_gb=memory,
            count=self._count(rng, first, n),
            budget_ms=budget_ms,
            client_rtt_ms=client_rtt,
            egress_gb=_lognormal(rng, *EGRESS_GB, n),
            state_gb=_lognormal(rng, *STATE_GB, n),
            current=self._current(rng, origin, model, slot),
        )

    def _sizes(self, rng: np.random.Generator, client: Int, model: Int) -> tuple[Float, ...]:
        """Energy, GPU time and memory of one session each."""
        n = len(client)
        prompt = _from_quantiles(rng, self.clients.tokens_in, client)
        answer = np.maximum(_from_quantiles(rng, self.clients.tokens_out, client), 1.0)
        sigma = CALLS_SIGMA[self.settings.tail]
        calls = np.maximum(np.round(_lognormal(rng, CALLS_MEDIAN, sigma, n)), 1.0)
        work = np.minimum(calls * (answer + PROMPT_WEIGHT * prompt), MOST_WORK)
        context = np.minimum(prompt + calls * answer, CONTEXT_TOKENS)
        memory = self.gb[model] * context / 1000
        return self.kwh[model] * work, self.gpu_s[model] * work, memory

    def _budgets(
        self, rng: np.random.Generator, origin: Int, model: Int, slot: Int, client_rtt: Float
    ) -> tuple[Int, Float]:
        """The drawn latency class, or the next that at least three regions can keep."""
        settings, n = self.settings, len(origin)
        drawn = (rng.random((n, 1)) > np.cumsum(BUDGET_SHARE, axis=1)[model, :-1]).sum(1)
        if not settings.has("latency"):
            return np.full(n, len(BUDGET_MS) - 1), np.full(n, np.inf)
        need = client_rtt + self.reach.need_ms[origin, model, slot] + 0.1
        budget = np.maximum(drawn, np.searchsorted(BUDGET_MS, need))
        budget_ms = BUDGET_MS[budget]
        hopeless = rng.random(n) < settings.unservable
        # the way to the city alone takes longer than that
        return budget, np.where(hopeless, np.round(client_rtt / 2, 1), budget_ms)

    def _count(self, rng: np.random.Generator, first: int, n: int) -> Int:
        """Units of each row."""
        if self.counts is not None:
            return self.counts[first : first + n]
        if self.settings.counts is Counts.thousands:
            return np.maximum(np.round(_lognormal(rng, *COUNT, n)), 1).astype(np.int64)
        return np.ones(n, dtype=np.int64)

    def _shared_counts(self) -> Int:
        """The units of `requests` dealt out to `classes` rows, at least one each."""
        rng = np.random.default_rng([self.settings.seed, 5])
        spare = self.settings.rows()[0] - self.rows
        exact = rng.lognormal(0.0, COUNT[1], self.rows)
        exact *= spare / exact.sum()
        counts = np.floor(exact).astype(np.int64)
        short = spare - int(counts.sum())
        counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
        return counts + 1

    def _current(self, rng: np.random.Generator, origin: Int, model: Int, slot: Int) -> Int:
        """At home, at another near region, or nowhere yet.

        Home is drawn from the nearest regions by their size, so that what runs today about fits.
        """
        n = len(origin)
        near, size = self.reach.near[origin, model, slot], self.reach.size[origin, model, slot]
        rank = (rng.random((n, 1), dtype=np.float32) >= size[:, :-1]).sum(1)
        other = rng.integers(0, near.shape[1], n)
        draw = rng.random(n)
        current = near[np.arange(n), np.where(draw < AT_HOME, rank, other)]
        return np.where(draw < AT_HOME + ELSEWHERE, current, -1).astype(np.int64)


def class_index(shard: Shard) -> Int:
    """Row of the request in a flat [o, k, SLOTS, budget] array."""
    wide = (shard.origin * len(MODELS) + shard.model) * SLOTS + shard.slot
    return wide * len(BUDGET_MS) + shard.budget


def _edges(weight: Float) -> Float:
    """Upper edges of the cells that a uniform draw falls into; the last one is 1."""
    edges = np.cumsum(weight)
    edges = edges / edges[-1]
    edges[-1] = 1.0
    return edges


def _draw(rng: np.random.Generator, edges: Float, n: int) -> Int:
    return np.searchsorted(edges, rng.random(n), side="right").astype(np.int64)


def _lognormal(rng: np.random.Generator, median: float, sigma: float, n: int) -> Float:
    return median * np.exp(sigma * rng.standard_normal(n))


def _from_quantiles(rng: np.random.Generator, table: NDArray[np.float32], row: Int) -> Float:
    """A draw from each row's distribution, linear between its quantiles."""
    levels = np.array(bundle.LEVELS)
    u = rng.random(len(row))
    left = np.minimum(np.searchsorted(levels, u, side="right") - 1, len(levels) - 2)
    part = (u - levels[left]) / (levels[left + 1] - levels[left])
    low, high = table[row, left], table[row, left + 1]
    return low + (high - low) * part
