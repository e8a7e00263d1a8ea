"""An instance with one thing changed: its budgets, its frictions, its regions, its price of carbon.

Each variant shares every array that it does not change, so a dozen of them cost little memory.
"""

from dataclasses import replace

import numpy as np

from jaxplace.errors import InputError
from jaxplace.instance import DenseTerms, Instance, Terms


MODEL_MS, MODEL_MS_PER_KM = 56.0, 0.014  # 1.4 x (there and back) x (20 ms + km / 200)
EARTH_KM = 6371.0088


def terms_of(instance: Instance, job: str) -> Terms:
    """The instance's tables by class.

    Raises:
        InputError: it was made from matrices, which know no origins, budgets or places.
    """
    if isinstance(instance.terms, DenseTerms) or instance.places is None:
        raise InputError(
            f"`{job}` needs an instance of a scenario. Got one of `Instance.from_arrays`, which "
            "has no origins, latency budgets or places"
        )
    return instance.terms


def with_budgets(instance: Instance, kind: str, value: float) -> Instance:
    """The instance with every finite latency budget changed (see `FrontierSettings`)."""
    terms = terms_of(instance, "frontier")
    client = 0.0 if terms.client_rtt_ms is None else terms.client_rtt_ms
    whole = terms.latency_budget_ms + client
    if kind == "scale":
        changed = whole * value
    elif kind == "budgets_ms":
        changed = np.full(len(whole), value)
    else:
        changed = shortest_service_ms(terms)[terms.workload] + value
    budget = np.where(np.isfinite(whole), changed - client, np.inf)
    return replace(instance, terms=replace(terms, latency_budget_ms=budget))


def shortest_service_ms(terms: Terms) -> np.ndarray:
    """[k] least service time of each workload where it is hosted; 0 where it is not."""
    least = np.where(terms.hosted, terms.service_ms, np.inf).min(1)
    return np.where(np.isfinite(least), least, 0.0)


def mean_budget_ms(instance: Instance) -> float:
    """The finite budgets' mean, weighted by IT energy, client's way included; NaN without any."""
    terms = terms_of(instance, "frontier")
    budget = terms.latency_budget_ms
    weight = instance.count * terms.energy_kwh * np.isfinite(budget)
    whole = np.where(np.isfinite(budget), budget, 0.0)
    if terms.client_rtt_ms is not None:
        whole = whole + terms.client_rtt_ms
    total = float(weight.sum())
    return float(weight @ whole) / total if total else float("nan")


def without_budgets(instance: Instance) -> Instance:
    """The instance where time is no matter."""
    terms = terms_of(instance, "frontier")
    return replace(instance, terms=replace(terms, latency_budget_ms=np.full(instance.rows, np.inf)))


def closed(instance: Instance, regions: np.ndarray) -> Instance:
    """The instance with some regions closed to everyone; `regions`: indices."""
    capacity = instance.capacity.copy()
    capacity[regions] = 0.0
    terms = instance.terms
    if isinstance(terms, DenseTerms):
        allowed = np.array(terms.allowed)
        allowed[:, regions] = False
        return replace(instance, capacity=capacity, terms=replace(terms, allowed=allowed))
    hosted = terms.hosted.copy()
    hosted[:, regions] = False
    return replace(instance, capacity=capacity, terms=replace(terms, hosted=hosted))


def lifted(instance: Instance) -> Instance:
    """The instance with room for everything in every region that has any; budgets stay."""
    terms = terms_of(instance, "frontier")
    everything = 1.0 + (instance.count @ instance.use) * terms.use_factor.max(initial=1.0)
    room = np.maximum(instance.capacity, everything)
    return replace(instance, capacity=np.where(instance.capacity > 0, room, 0.0))


def ladder(instance: Instance) -> dict[str, Instance]:
    """Rungs by name, from nothing but latency and hosting to everything but capacity.

    The fleet's budgets on moves and carbon belong to the last rung, capacity, which is the
    instance itself and not among these.
    """
    terms = terms_of(instance, "frontier")
    nothing = np.zeros(instance.rows)
    loose = replace(instance.policy, max_moves=None, carbon_cap_kg=None)
    free = replace(loose, move_usd=0.0)
    anywhere = np.ones_like(terms.legal)
    bare = replace(terms, state_gb=nothing, egress_gb=nothing, legal=anywhere)
    room = lifted(instance)
    return {
        "latency only": replace(room, policy=free, terms=bare),
        "+ migration": replace(room, policy=loose, terms=replace(bare, state_gb=terms.state_gb)),
        "+ egress": replace(room, policy=loose, terms=replace(terms, legal=anywhere)),
        "+ residency": replace(room, policy=loose),
    }


def priced(instance: Instance, usd_per_t: float) -> Instance:
    """The instance at another price of carbon."""
    return replace(instance, policy=replace(instance.policy, carbon_price_usd_per_t=usd_per_t))


def distances_km(instance: Instance) -> np.ndarray:
    """[o, m] great-circle distance between origins and regions."""
    places = instance.places
    assert places is not None  # `terms_of` has been asked
    a, b = np.radians(places.origin_latitude)[:, None], np.radians(places.region_latitude)
    turn = np.radians(places.region_longitude - places.origin_longitude[:, None])
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(turn / 2) ** 2
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))


def modelled(instance: Instance) -> Instance:
    """The instance with `modelled_rtt_ms` wherever the table has a round trip."""
    terms = terms_of(instance, "frontier")
    rtt = np.where(np.isfinite(terms.rtt_ms), modelled_rtt_ms(instance), np.inf)
    return replace(instance, terms=replace(terms, rtt_ms=rtt))


def modelled_rtt_ms(instance: Instance) -> np.ndarray:
    """[o, m] round trips by distance as reported for Luo & Yang 2026 (arXiv:2604.27855)."""
    return MODEL_MS + MODEL_MS_PER_KM * distances_km(instance)


def model_error(instance: Instance) -> dict[str, float]:
    """How far the model is from the table, over the pairs that the table has [ms]."""
    terms = terms_of(instance, "frontier")
    there = np.isfinite(terms.rtt_ms)
    if not there.any():
        return {"pairs": 0.0}
    off = (modelled_rtt_ms(instance) - terms.rtt_ms)[there]
    return {
        "pairs": float(there.sum()),
        "mean_ms": float(off.mean()),
        "median_absolute_ms": float(np.median(np.abs(off))),
        "p90_absolute_ms": float(np.quantile(np.abs(off), 0.9)),
    }
