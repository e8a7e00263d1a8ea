"""The energy-latency frontier: the same hour at one latency budget after another (CONTRACT 8).

The middle budget is solved first.  What a budget allows, a looser one allows too, so its plan is
one to beat at the looser ones, and good enough where their bounds say so; its duals are the start
at the tighter ones.  A tighter budget's plan that turns out cheaper replaces the looser one's, so
the cost never rises.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxplace import evaluate, pipeline
from jaxplace.instance import Instance
from jaxplace.placement import Checkpoint, Placement
from jaxplace.settings import Settings
from jaxplace.studies import variants
from jaxplace.studies.homes import by_distance, homes, it_kwh, relocatable, relocated_kwh
from jaxplace.studies.settings import FrontierSettings
from jaxplace.studies.warm import cheapest, warm_solve, with_plan_of


PLAN, UNLIMITED, MODELLED = "plan", "capacity lifted", "modelled RTT"
LABELS = {"network_ms": "network_ms", "budgets_ms": "budget_ms", "scale": "scale"}
COLUMNS = {"network_ms": "network budget [ms]", "budgets_ms": "budget [ms]", "scale": "scale [1]"}
Watch = Callable[[Checkpoint], None]
Stage = Callable[[str], None]


@dataclass(frozen=True)
class Frontier:
    """The curves and what hangs on them.

    Attributes:
        kind: which list the points come from: network_ms, budgets_ms or scale.
        points: one row per curve and budget; the columns of CONTRACT 8 and their cost parts.
        workloads: the shares local, regional and energy of every point by workload class.
        duals: the capacity duals of every point of the curve "plan", and how full regions are.
        model_error: the latency model against the table [ms].
        notes: what a reader has to know: units that become unservable, costs that rose.
        plans: the placements of the first curve, by rising budget.
        gap_target: the gap that every point was asked for.
    """

    kind: str
    points: pd.DataFrame
    workloads: pd.DataFrame
    duals: pd.DataFrame
    model_error: dict[str, float]
    notes: tuple[str, ...]
    plans: tuple[Placement, ...]
    gap_target: float

    @property
    def label(self) -> str:
        """The column of `points` that holds the list's numbers."""
        return LABELS[self.kind]

    @property
    def last(self) -> Placement:
        """The placement at the loosest budget of the first curve."""
        return self.plans[-1]

    @property
    def worst_gap(self) -> float:
        """The largest certified gap of any point."""
        return float(self.points["gap"].max())


def frontier(
    instance: Instance,
    settings: Settings | None = None,
    options: FrontierSettings | None = None,
    *,
    progress: Watch | None = None,
    stage: Stage | None = None,
) -> Frontier:
    """Solve an instance again along a list of latency budgets.

    Args:
        instance: one hour of a scenario.
        settings: of every solve; the time limit is each point's own.
        options: along which budgets, and what is drawn beside.
        progress: called with every checkpoint of every solve.
        stage: called with a line on what comes next.

    Raises:
        InputError: the instance was made from matrices.
    """
    settings, options = settings or Settings(), options or FrontierSettings()
    variants.terms_of(instance, "frontier")
    say = stage or (lambda _: None)
    job = _Job(instance, settings, options, homes(instance), progress, say)
    return job.run()


@dataclass
class _Job:
    """The points found so far."""

    instance: Instance
    settings: Settings
    options: FrontierSettings
    home: np.ndarray
    progress: Watch | None
    say: Stage

    def __post_init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.classes: list[pd.DataFrame] = []
        self.duals: list[pd.DataFrame] = []
        self.free: dict[float, np.ndarray] = {}  # budget -> who could run elsewhere

    def run(self) -> Frontier:
        """Every curve, the scenario's own first."""
        policy = self.instance.policy.carbon_price_usd_per_t
        prices = sorted(set(self.options.carbon_prices)) or [policy]
        start: Placement | None = None
        own: list[Placement] = []
        for price in prices:
            priced = variants.priced(self.instance, price)
            plans = self.curve(PLAN, priced, start)
            start, own = plans[middle(len(plans))], own or plans
        first = variants.priced(self.instance, prices[0])
        if self.options.unlimited:
            self.free_curve(UNLIMITED, variants.lifted(first))
        if self.options.ladder:
            for name, rung in variants.ladder(first).items():
                self.free_curve(name, rung)
        if self.options.modelled:
            self.curve(MODELLED, variants.modelled(first), None)
        points = with_returns(pd.DataFrame(self.rows))
        return Frontier(
            kind=self.options.kind,
            points=points,
            workloads=pd.concat(self.classes, ignore_index=True),
            duals=pd.concat(self.duals, ignore_index=True),
            model_error=variants.model_error(self.instance),
            notes=(*self.lost(points), *rises(points)),
            plans=tuple(own),
            gap_target=self.settings.gap_target,
        )

    def curve(self, series: str, instance: Instance, start: Placement | None) -> list[Placement]:
        """One curve, by rising budget; solved from the middle outwards."""
        values = self.options.points
        first = middle(len(values))
        plans: dict[int, Placement] = {}
        for at in (*range(first, len(values)), *reversed(range(first))):
            near = plans.get(at - 1, plans.get(at + 1, start))
            plans[at] = self.point(series, instance, values[at], near)
        for at in range(1, len(values)):
            plans[at] = with_plan_of(plans[at], plans[at - 1])
        for at, value in enumerate(values):
            self.note(series, value, plans[at])
        return [plans[at] for at in range(len(values))]

    def point(
        self, series: str, instance: Instance, value: float, near: Placement | None
    ) -> Placement:
        """One budget, warm where there is a neighbour."""
        at = variants.with_budgets(instance, self.options.kind, value)
        price = instance.policy.carbon_price_usd_per_t
        self.say(f"{series}: {COLUMNS[self.options.kind]} {value:g}, carbon {price:g} USD/t")
        if near is None:
            return pipeline.solve(at, self.settings, progress=self.progress)
        return warm_solve(at, self.settings, near, self.progress)

    def free_curve(self, series: str, instance: Instance) -> None:
        """One curve without capacities; with fleet budgets it still needs solves."""
        policy = instance.policy
        if policy.max_moves is not None or policy.carbon_cap_kg is not None:
            self.curve(series, instance, None)
            return
        self.say(f"{series}: no capacity, each unit at its cheapest region")
        for value in self.options.points:
            at = variants.with_budgets(instance, self.options.kind, value)
            self.note(series, value, cheapest(at, self.settings))

    def note(self, series: str, value: float, plan: Placement) -> None:
        """Measure a point and keep what the tables need."""
        key: dict[str, Any] = {"series": series, LABELS[self.options.kind]: value}
        key["carbon_price_usd_per_t"] = plan.instance.policy.carbon_price_usd_per_t
        self.rows.append(self.measures(series, value, plan) | key)
        self.classes.append(self.shares(plan).assign(**key))
        if series == PLAN:
            self.duals.append(dual_table(plan).assign(**key))

    def measures(self, series: str, value: float, plan: Placement) -> dict[str, Any]:
        """The columns of a point that need no other point."""
        instance, proof, home = plan.instance, plan.certificate, self.home
        terms = variants.terms_of(instance, "frontier")
        energy = instance.count * terms.energy_kwh
        placed = float(it_kwh(instance, plan.assignment)[plan.assignment.region >= 0].sum())
        found = by_distance(instance, plan.assignment, home, self.options.regional_ms)
        total = sum(float(part.sum()) for part in found)
        shares = {
            f"share_{name}": float(part.sum()) / total if total else math.nan
            for name, part in zip(("local", "regional", "energy"), found, strict=True)
        }
        return {
            "budget_ms": variants.mean_budget_ms(instance),
            "objective_usd": proof.objective_usd,
            "lower_bound_usd": proof.lower_bound_usd,
            "gap": proof.gap,
            "energy_usd": proof.cost["energy_usd"],
            "carbon_usd": proof.cost["carbon_usd"],
            "egress_usd": proof.cost["egress_usd"],
            "move_usd": proof.cost["move_usd"],
            "unplaced_usd": proof.cost["unplaced_usd"],
            "carbon_kg": proof.carbon_kg,
            "kwh": proof.kwh,
            "units": proof.units,
            "unplaced": proof.unplaced,
            "unservable": proof.unservable,
            "moves": proof.moves,
            "it_kwh": float(energy.sum()),
            "placed_it_kwh": placed,
            "unservable_kwh": self.unservable_kwh(series, value, instance, energy),
            "relocatable_kwh": float(energy[self.elsewhere(series, value, instance)].sum()),
            "relocated_kwh": relocated_kwh(instance, plan.assignment, home),
            **shares,
            "seconds": plan.timings_s.get("total", sum(plan.timings_s.values())),
        }

    def elsewhere(self, series: str, value: float, instance: Instance) -> np.ndarray:
        """Who could run elsewhere; the same at every price of carbon."""
        if series != PLAN:
            return relocatable(instance, self.home)
        if value not in self.free:
            self.free[value] = relocatable(instance, self.home)
        return self.free[value]

    def unservable_kwh(
        self, series: str, value: float, instance: Instance, energy: np.ndarray
    ) -> float:
        """IT energy of the units that no region allows: neither home nor another."""
        rest = np.flatnonzero(~self.elsewhere(series, value, instance))
        home = self.home[rest]
        there = np.zeros(len(rest), bool)
        some = home >= 0
        there[some] = evaluate.allowed(instance, rest[some], home[some])
        return float(energy[rest[~there]].sum())

    def shares(self, plan: Placement) -> pd.DataFrame:
        """Local, regional and energy shares by workload class."""
        instance = plan.instance
        terms, places = variants.terms_of(instance, "frontier"), instance.places
        assert places is not None
        workload = terms.workload[plan.assignment.row]
        found = by_distance(instance, plan.assignment, self.home, self.options.regional_ms)
        sums = [np.bincount(workload, part, len(places.workload_id)) for part in found]
        total = np.sum(sums, axis=0)
        safe = np.where(total > 0, total, np.nan)
        return pd.DataFrame(
            {
                "workload": places.workload_id.astype(str),
                "placed_it_kwh": total,
                "share_local": sums[0] / safe,
                "share_regional": sums[1] / safe,
                "share_energy": sums[2] / safe,
            }
        )

    def lost(self, points: pd.DataFrame) -> Iterator[str]:
        """A note on the energy that a budget makes unservable."""
        first = points.iloc[0]
        share = first["unservable_kwh"] / first["it_kwh"] if first["it_kwh"] else 0.0
        if share > 0.001:
            label = COLUMNS[self.options.kind]
            yield (
                f"At {label} {first[LABELS[self.options.kind]]:g}, {100 * share:.1f} % of the IT "
                "energy has no allowed region: it is unplaced there, reported as unservable, and "
                "the points place different units. Compare costs per MWh placed"
            )
        if not np.isfinite(points["budget_ms"]).any():
            yield "No request has a finite latency budget, so every point is the same problem"


def middle(number: int) -> int:
    """Position of the budget that is solved first."""
    return (number - 1) // 2


def with_returns(points: pd.DataFrame) -> pd.DataFrame:
    """The points with their returns on latency: finite differences along each curve.

    Cost is energy + egress + moves, per MWh of the IT energy that the point places, so points
    that place different units can be compared; ms are those of the mean finite budget.
    """
    placed = points["placed_it_kwh"] / 1e3
    cost = (points["energy_usd"] + points["egress_usd"] + points["move_usd"]) / placed
    kg = points["carbon_kg"] / placed
    points = points.assign(cost_usd_per_mwh=cost, carbon_kg_per_mwh=kg)
    curves = points.groupby(["series", "carbon_price_usd_per_t"], sort=False)
    step = curves["budget_ms"].diff()
    step = step.where(step > 0)
    return points.assign(
        energy_return_usd_per_mwh_ms=-curves["cost_usd_per_mwh"].diff() / step,
        carbon_return_kg_per_mwh_ms=-curves["carbon_kg_per_mwh"].diff() / step,
    ).replace([np.inf, -np.inf], np.nan)


def rises(points: pd.DataFrame) -> Iterator[str]:
    """Where a looser budget cost more than its gap can explain; there should be none."""
    curves = points.groupby(["series", "carbon_price_usd_per_t"], sort=False)
    for (series, price), curve in curves:
        for before, after in itertools.pairwise(curve.itertuples()):
            slack = max(after.objective_usd - after.lower_bound_usd, 0.0)
            rise = after.objective_usd - before.objective_usd
            if rise > slack + 1e-9 * abs(after.objective_usd):
                yield (
                    f"{series}, carbon {price:g} USD/t: the cost rises by {rise:.6g} USD at "
                    f"{after.budget_ms:g} ms, beyond the gap of {slack:.6g} USD"
                )


def dual_table(plan: Placement) -> pd.DataFrame:
    """Capacity, load and dual of every region and resource."""
    instance, shape = plan.instance, plan.instance.capacity.shape
    region = np.repeat(np.asarray(instance.region_id, object).astype(str), shape[1])
    return pd.DataFrame(
        {
            "region": region,
            "resource": np.tile(np.array(instance.resources, object), shape[0]),
            "capacity": instance.capacity.ravel(),
            "load": plan.certificate.load.ravel(),
            "dual_usd": plan.duals.capacity.ravel(),
        }
    )
