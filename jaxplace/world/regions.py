"""The made scenario's regions and origins: where they lie, what they host, what they cost."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxplace.world import bundle, grid
from jaxplace.world.settings import GenerateSettings
from jaxplace.world.workloads import (
    HARDWARE,
    MODELS,
    TIER_CAPACITY,
    TIER_HARDWARE,
    TIER_HOSTS,
    TIER_PUE,
    TIERS,
)


ALWAYS_HOSTING = 3  # that many regions host every model, so that every request has a place
# assumed: use of AI per inhabitant, over the world's mean
DIGITAL = {"AF": 0.3, "AN": 0.0, "AS": 0.8, "EU": 2.0, "NA": 2.5, "OC": 2.5, "SA": 1.0}
DIGITAL_COUNTRIES = {"JP": 2.5, "KR": 2.5, "SG": 3.0, "TW": 2.5, "HK": 2.5, "CN": 1.0, "MX": 1.2}


@dataclass(frozen=True, eq=False)
class Regions:
    """Compute nodes, best-ranked places first; k runs over `MODELS`.

    Attributes:
        places: rows of the bundled places (place, latitude, longitude, country, ...).
        grid_zone: [m] names in `signals`.
        tier: [m] index into `TIERS`.
        pue: [m] power usage effectiveness.
        weight: [m] share of capacity that the region would take, all else equal; 0: none.
        hosted: [k, m] whether the region hosts the model.
        energy_factor: [m] energy over that of the newest hardware.
        use_factor: [m] use over that of the newest hardware.
        service_ms: [k, m] time to serve [ms].
    """

    places: pd.DataFrame
    grid_zone: list[str]
    tier: NDArray[np.int64]
    pue: NDArray[np.float64]
    weight: NDArray[np.float64]
    hosted: NDArray[np.bool_]
    energy_factor: NDArray[np.float64]
    use_factor: NDArray[np.float64]
    service_ms: NDArray[np.float64]

    def network_zones(self) -> list[str]:
        """Provider and continent, which is what transfer prices depend on."""
        pairs = zip(self.places["provider"].map(_network), self.places["continent"], strict=True)
        return [f"{provider}-{continent}" for provider, continent in pairs]


@dataclass(frozen=True, eq=False)
class Origins:
    """Cities that requests come from, the busiest first.

    Attributes:
        places: rows of the bundled cities (city, latitude, longitude, country, continent, ...).
        weight: [o] share of the requests.
    """

    places: pd.DataFrame
    weight: NDArray[np.float64]

    def network_zones(self) -> list[str]:
        """The continent's open Internet."""
        return [f"internet-{c}" for c in self.places["continent"]]


def make_regions(settings: GenerateSettings) -> Regions:
    """The first `regions` places, with drawn hardware, hosting and capacity weights."""
    rng = np.random.default_rng([settings.seed, 1])
    m = settings.rows()[1]
    places = bundle.table("places").iloc[:m].reset_index(drop=True)
    tier = places["tier"].map({t: i for i, t in enumerate(TIERS)}).to_numpy(np.int64)
    generation = (rng.random((m, 1)) > np.cumsum(TIER_HARDWARE[tier], 1)[:, :-1]).sum(1)
    weight = TIER_CAPACITY[tier] * np.exp(rng.standard_normal(m))
    parents = places["grid_zone"].tolist()
    if settings.anti_correlation:
        dear = _standard(np.log(grid.price_level(parents)))
        weight = weight * np.exp(2 * settings.anti_correlation * dear)
    closed = rng.permutation(m)[: min(int(settings.zero_capacity * m), m - 1)]
    weight[closed] = 0.0
    hosted = rng.random((len(MODELS), m)) < TIER_HOSTS[tier].T
    hosted[:, np.argsort(-weight, kind="stable")[:ALWAYS_HOSTING]] = True
    use, energy, slow = HARDWARE[generation].T
    service = np.round(np.array([[w.first_token_ms] for w in MODELS]) * slow, 1)
    if not settings.has("hosting"):
        hosted, use, energy = np.ones_like(hosted), np.ones(m), np.ones(m)
        service = np.zeros_like(service)
    latitude = places["latitude"].abs().to_numpy()
    summer = 29.0 - 0.35 * np.maximum(latitude - 25.0, 0.0)  # assumed, no weather data here
    pue = 1.08 + 0.006 * np.maximum(summer - 15.0, 0.0) + TIER_PUE[tier] + rng.uniform(0, 0.04, m)
    names = [f"{z}@{p}" for z, p in zip(parents, places["place"], strict=True)]
    return Regions(
        places=places,
        grid_zone=names if settings.local_grid else parents,
        tier=tier,
        pue=np.round(pue, 3),
        weight=weight,
        hosted=hosted,
        energy_factor=energy,
        use_factor=use,
        service_ms=service,
    )


def make_origins(settings: GenerateSettings) -> Origins:
    """The `origins` busiest cities, weighted by inhabitants, wealth and local hour."""
    cities = bundle.table("cities")
    digital = cities["continent"].map(DIGITAL).fillna(1.0)
    digital = cities["country"].map(DIGITAL_COUNTRIES).fillna(digital).to_numpy(float)
    daily = cities["population"].to_numpy(float) * digital
    keep = np.argsort(-daily, kind="stable")[: settings.rows()[2]]
    places = cities.iloc[keep].reset_index(drop=True)
    hour = (settings.first_hour() or 0) % 24
    weight = daily[keep] * bundle.at_local_hour(places["utc_offset_h"].to_numpy(float), hour)
    return Origins(places=places, weight=weight / weight.sum())


def transfer(regions: Regions, origins: Origins) -> pd.DataFrame:
    """Egress price of every pair of network zones in use [USD/GB].

    Between clouds: medians of list prices by provider and continent.  To and from the open
    Internet: the cloud's price towards other clouds.  Colocation and edge: assumed 0.05 within
    a continent, 0.08 beyond, and half of that within one provider class.
    """
    listed = bundle.table("egress")
    keys = listed["src_provider"] + "-" + listed["src_continent"]
    goals = listed["dest_provider"] + "-" + listed["dest_continent"]
    price = dict(zip(zip(keys, goals, strict=True), listed["usd_per_gb"], strict=True))
    outside = listed[listed["src_provider"] != listed["dest_provider"]]
    to_internet = outside.groupby("src_provider")["usd_per_gb"].median().to_dict()
    zones = sorted({*regions.network_zones(), *origins.network_zones()})
    rows = []
    for a in zones:
        for b in zones:
            (pa, ca), (pb, cb) = a.split("-"), b.split("-")
            usd = 0.05 if ca == cb else 0.08
            usd = usd / 2 if pa == pb else usd
            usd = max([usd] + [to_internet[p] for p in (pa, pb) if p in to_internet])
            if pa == pb and pa in to_internet:
                usd = 0.02 if ca == cb else 0.08  # where the lists have no such pair
            rows.append((a, b, float(price.get((a, b), usd))))
    return pd.DataFrame(rows, columns=["from_zone", "to_zone", "usd_per_gb"])


def _network(provider: str) -> str:
    """Clouds with list prices, edge sites, and everybody else."""
    return provider if provider in {"aws", "azure", "gcp", "edge"} else "colo"


def _standard(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean 0, standard deviation 1 (all 0 if constant)."""
    spread = x.std()
    return np.zeros_like(x) if spread < 1e-9 else (x - x.mean()) / spread
