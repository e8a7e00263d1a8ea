"""Numbers and sentences of the report, the same on the console and on the page."""

import math
from dataclasses import dataclass

from jaxplace.placement import Placement


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
    text = (
        f"This plan costs {number(proof.objective_usd, 6)} USD, and no plan for these tables can "
        f"cost less than {number(proof.lower_bound_usd, 6)} USD: at most {number(slack, 3)} USD "
        f"({percent(proof.gap)}) could still be saved. All {whole(proof.units)} units are "
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
