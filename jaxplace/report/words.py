"""Numbers and sentences of the report, the same on the console and on the page."""

import enum
import math
from dataclasses import dataclass

import numpy as np

from jaxplace.placement import Placement
from jaxplace.status import Status


LABELS = {
    "energy_usd": "Electricity",
    "carbon_usd": "Carbon",
    "egress_usd": "Egress",
    "move_usd": "Moves",
    "cost_usd": "Cost",
    "unplaced_usd": "Unplaced",
}
BASELINES = {
    "nearest": "nearest region",
    "greedy": "greedy cheapest",
    "stay": "staying put",
}
UNITS = {"_usd": "USD", "_kg": "kg", "_kwh": "kWh"}
BINDING = "Regions where one more unit of capacity would save most"
TOP_REGIONS = 5  # of each resource
TOP_ROWS = 15  # of all resources


def heading(name: str) -> str:
    """A column's name in words, with its unit: dual_usd -> dual, USD."""
    for ending, unit in UNITS.items():
        if name.endswith(ending):
            return f"{name.removesuffix(ending).replace('_', ' ')}, {unit}"
    return name.replace("_", " ")


class Grade(enum.Enum):
    """How a plan stands: proven as good as asked, feasible only, or not even that."""

    good = "good"
    warn = "warn"
    bad = "bad"


def grade(placement: Placement) -> Grade:
    """The plan's grade; `Status.converged` says that the gap asked for was reached."""
    if not placement.certificate.feasible:
        return Grade.bad
    return Grade.good if placement.status is Status.converged else Grade.warn


def binding(placement: Placement) -> list[tuple[int, int]]:
    """(region, resource) of the largest duals, falling within each resource.

    Duals of different resources have different units, so they are never compared.  Regions
    without capacity are left out: nobody is allowed there.
    """
    duals = np.where(placement.instance.capacity > 0, placement.duals.capacity, 0.0)
    most = max(1, min(TOP_REGIONS, TOP_ROWS // max(1, duals.shape[1])))
    order = np.argsort(-duals, axis=0, kind="stable")[:most]
    return [(int(j), r) for r in range(duals.shape[1]) for j in order[:, r] if duals[j, r] > 0]


@dataclass(frozen=True)
class Saving:
    """What a plan saves against a baseline; negative where it does worse.

    Attributes:
        name: the baseline in words.
        usd: objective saved [USD]; share: of the baseline's objective [1], None where that is 0.
        kwh: facility energy saved [kWh]; carbon_kg: carbon saved [kg].
        unplaced: units that the baseline leaves unplaced beyond the plan's.
    """

    name: str
    usd: float
    share: float | None
    kwh: float
    carbon_kg: float
    unplaced: int


def number(value: float | None, digits: int = 4) -> str:
    """A number for people: thousands separated, `digits` significant ones, "n/a" for none."""
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4:
        return f"{value:.{max(digits - 2, 0)}e}"
    if size >= 12:
        return f"{value:.{digits - 1}e}"
    text = f"{value:,.{max(0, digits - 1 - size)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text


def whole(value: float) -> str:
    """A count, thousands separated."""
    return f"{round(value):,}"


def percent(share: float | None, digits: int = 3) -> str:
    """A share as a percentage."""
    if share is None or not math.isfinite(share):
        return "n/a"
    return f"{number(100 * share, digits)} %"


def baseline_name(key: str) -> str:
    """A baseline's key in words."""
    return BASELINES.get(key, key.replace("_", " "))


def savings(placement: Placement) -> list[Saving]:
    """The plan against each of its baselines, the nearest region first."""
    proof, found = placement.certificate, []
    order = list(BASELINES)
    known = sorted(placement.baselines, key=lambda k: order.index(k) if k in order else len(order))
    for key in known:
        base = placement.baselines[key]
        cost = base["objective_usd"]
        saved = cost - proof.objective_usd
        found.append(
            Saving(
                name=baseline_name(key),
                usd=saved,
                share=saved / abs(cost) if cost else None,
                kwh=base.get("kwh", math.nan) - proof.kwh,
                carbon_kg=base.get("carbon_kg", math.nan) - proof.carbon_kg,
                unplaced=round(base.get("unplaced", proof.unplaced)) - proof.unplaced,
            )
        )
    return found


def statement(placement: Placement) -> str:
    """The certificate in words: what is proven, and what is not."""
    proof = placement.certificate
    if not proof.feasible:
        return "This plan breaks the rules: " + "; ".join(proof.violations) + "."
    slack = max(0.0, proof.objective_usd - proof.lower_bound_usd)
    share = f" ({percent(proof.gap)})" if math.isfinite(proof.gap) else ""
    text = (
        f"This plan costs {number(proof.objective_usd, 6)} USD, and no plan for these tables can "
        f"cost less than {number(proof.lower_bound_usd, 6)} USD: at most {number(slack, 3)} USD"
        f"{share} could still be saved. All {whole(proof.units)} units are "
        "accounted for, at regions that the rules allow and within every capacity and budget. "
    )
    if proof.unservable:
        text += (
            f"No region is allowed for {whole(proof.unservable)} units; their penalty of "
            f"{number(proof.unservable_usd)} USD is part of both figures and not of the gap. "
        )
    return text + (
        "Both figures were recomputed in 64-bit arithmetic by code that shares nothing with the "
        "solver. They say nothing about whether the tables are right."
    )
