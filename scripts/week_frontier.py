"""Measure the frontier over the demo's week, and draw the pictures of docs/frontier.md.

    python scripts/week_frontier.py            # measures what is not measured yet
    python scripts/week_frontier.py --draw     # pictures of what was measured, no more

Every STEP-th hour is solved along the default budgets; benchmarks/results/frontier-week.json keeps
the points, and hours that it has already are not solved again.  The same plans are counted by the
average and by the marginal carbon of the tables, and the week's first hour is solved again with
other PUEs and capacities, which the demo assumes.
Pictures need matplotlib (`pip install -e '.[bench]'`).
"""

import argparse
import dataclasses
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import jaxplace
from jaxplace import evaluate, runtime
from jaxplace.instance import Instance
from jaxplace.placement import Placement
from jaxplace.studies.breakeven import break_even
from jaxplace.studies.frontier import PLAN, UNLIMITED, Frontier
from jaxplace.studies.homes import homes


ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "frontier-week.json"
DOCS = ROOT / "docs"
STEP = 6  # hours
MARGINAL = "carbon_marginal_g_per_kwh"
KEPT = (
    "network_ms", "objective_usd", "gap", "cost_usd_per_mwh", "carbon_kg_per_mwh",
    "placed_it_kwh", "unservable_kwh", "relocatable_kwh", "relocated_kwh", "it_kwh", "seconds",
)  # fmt: skip


def measure() -> None:
    """Solve the week's hours and the first hour's variants; writes RESULTS after each."""
    runtime.prepare(jaxplace.Settings().device)
    scenario = jaxplace.load_scenario(jaxplace.demo_folder())
    found: dict[str, Any] = {
        "step_hours": STEP,
        "machine": {"processor": platform.processor() or platform.machine()},
        "versions": runtime.versions(),
        "variants": {},
        "hours": [],
    }
    if RESULTS.exists():
        found |= json.loads(RESULTS.read_text())
    for name, instance in variants(scenario.at()).items():
        if name not in found["variants"]:
            found["variants"][name] = points(jaxplace.frontier(instance), PLAN)
            save(found)
    known = {row["hour"] for row in found["hours"]}
    for hour in scenario.hours[::STEP]:
        if hour in known:
            continue
        options = jaxplace.FrontierSettings(unlimited=True)
        study = jaxplace.frontier(scenario.at(hour), options=options)
        marginal = scenario.at(hour, jaxplace.Policy(carbon_column=MARGINAL))
        found["hours"].append(
            {
                "hour": hour,
                "plan": points(study, PLAN),
                "lifted": points(study, UNLIMITED),
                "marginal_kg_per_mwh": [marginal_kg_per_mwh(marginal, p) for p in study.plans],
                "worth_moving": worth_moving(study.last),
                "notes": list(study.notes),
            }
        )
        save(found)
        print(hour, f"worst gap {study.worst_gap:.2e}", *study.notes, flush=True)


def variants(instance: Instance) -> dict[str, Instance]:
    """The hour with other values of what the demo assumes."""
    terms = instance.terms
    assert isinstance(terms, jaxplace.instance.Terms)
    level = np.full_like(terms.pue, terms.pue.mean())
    return {
        "as it is": instance,
        "one PUE": dataclasses.replace(instance, terms=dataclasses.replace(terms, pue=level)),
        "capacity - 10 %": dataclasses.replace(instance, capacity=0.9 * instance.capacity),
        "capacity + 20 %": dataclasses.replace(instance, capacity=1.2 * instance.capacity),
        "capacity doubled": dataclasses.replace(instance, capacity=2.0 * instance.capacity),
    }


def points(study: Frontier, series: str) -> list[dict[str, float]]:
    """The points of one curve, by rising budget."""
    rows = study.points[study.points["series"] == series]
    return rows[list(KEPT)].to_dict("records")


def marginal_kg_per_mwh(marginal: Instance, plan: Placement) -> float:
    """Carbon of a plan by the marginal intensity, per MWh of the IT energy that it places."""
    flows = plan.assignment
    terms = marginal.terms
    assert isinstance(terms, jaxplace.instance.Terms)
    on = flows.region >= 0
    kwh = float((flows.count * terms.energy_kwh[flows.row])[on].sum())
    return evaluate.totals(marginal, flows).carbon_kg / kwh * 1e3


def worth_moving(plan: Placement) -> float:
    """Share of the units whose class has a region that is worth moving to, dual paid."""
    table = pd.concat(break_even(plan, homes(plan.instance)))
    classes = table.groupby(["origin", "workload"]).agg({"units": "first", "worth_it": "any"})
    return float(classes["units"][classes["worth_it"]].sum() / classes["units"].sum())


def save(found: dict[str, Any]) -> None:
    """Write what there is so far, by hour."""
    found["hours"].sort(key=lambda row: row["hour"])
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def draw() -> None:
    """frontier-week.png and frontier-assumed.png."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    matplotlib.rcParams.update({"font.size": 8, "axes.grid": True, "grid.alpha": 0.3})
    found = json.loads(RESULTS.read_text())
    hours = found["hours"]
    since = pd.to_datetime([h["hour"] for h in hours])
    days = list((since - since[0]) / pd.Timedelta(days=1))
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 5.2), sharex=True)
    cost, carbon, share, worth = axes.ravel()
    for k, point in enumerate(hours[0]["plan"]):
        ms = point["network_ms"]
        if ms in (75, 150, 500):
            own = [h["plan"][k] for h in hours]
            label = f"{ms:g} ms"
            cost.plot(days, [p["cost_usd_per_mwh"] for p in own], label=label)
            carbon.plot(days, [p["carbon_kg_per_mwh"] for p in own], label=label)
            share.plot(days, [100 * p["relocated_kwh"] / p["it_kwh"] for p in own], label=label)
    cost.set_ylabel("USD/MWh")
    carbon.set_ylabel("kg/MWh, average intensity")
    share.set_ylabel("IT energy that moves, %")
    for name, label in (("plan", "the plan"), ("lifted", "capacity lifted")):
        worth.plot(days, [fall(h[name], "cost_usd_per_mwh") for h in hours], label=label)
    worth.set_ylabel("75 to 500 ms saves, USD/MWh")
    for axis in axes.ravel():
        axis.legend(frameon=False)
        axis.set_ylim(bottom=0)
    for axis in axes[1]:
        axis.set_xlabel(f"days from {hours[0]['hour']} UTC")
    figure.tight_layout()
    figure.savefig(DOCS / "frontier-week.png", dpi=110, metadata={"Software": None})

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3))
    for name, rows in found["variants"].items():
        left.plot(
            [p["network_ms"] for p in rows], [p["cost_usd_per_mwh"] for p in rows],
            marker=".", label=name,
        )  # fmt: skip
    left.set_xlabel("network budget, ms")
    left.set_ylabel("USD/MWh, first hour")
    left.legend(frameon=False)
    average = [fall(h["plan"], "carbon_kg_per_mwh") for h in hours]
    marginal = [h["marginal_kg_per_mwh"][0] - h["marginal_kg_per_mwh"][-1] for h in hours]
    right.scatter(average, marginal, s=12)
    right.axhline(0, lw=0.6, color="black")
    right.axvline(0, lw=0.6, color="black")
    right.set_xlabel("75 to 500 ms saves, kg/MWh by average carbon")
    right.set_ylabel("by marginal carbon")
    figure.tight_layout()
    figure.savefig(DOCS / "frontier-assumed.png", dpi=110, metadata={"Software": None})


def fall(rows: list[dict[str, float]], column: str) -> float:
    """What a column loses from the tightest budget to the loosest."""
    return rows[0][column] - rows[-1][column]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true", help="draw what was measured, no more")
    if not parser.parse_args().draw:
        measure()
    draw()
