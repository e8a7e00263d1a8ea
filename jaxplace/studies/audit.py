"""The audit: what happens if a region, a grid zone or a country goes dark (CONTRACT 8).

Each is closed in turn and the hour solved again from the plan with all open.  A plan with a region
closed is a plan with it open as well, so the cheapest plan met counts as the one with all open,
and no closing ever saves anything.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxplace import pipeline
from jaxplace.instance import Instance, Terms
from jaxplace.placement import Checkpoint, Placement
from jaxplace.settings import Settings
from jaxplace.studies.settings import AuditSettings, By
from jaxplace.studies.variants import closed, terms_of
from jaxplace.studies.warm import load, warm_solve, without_room


AT_ONCE = 2  # closings solved side by side; the answers do not depend on it
Watch = Callable[[Checkpoint], None]
Steps = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Audit:
    """The closings, the most harmful first.

    Attributes:
        by: what was closed at a time.
        closings: one row each; columns as `closing` describes them.
        base: the placement with all open.
        base_usd: the cheapest cost met with all open [USD].
        gap_target: the gap that every closing was asked for.
        left_out: how many were not closed (`AuditSettings.most`).
    """

    by: By
    closings: pd.DataFrame
    base: Placement
    base_usd: float
    gap_target: float
    left_out: int

    @property
    def worst_gap(self) -> float:
        """The largest certified gap of any closing."""
        gaps = self.closings["gap"]
        return float(max(self.base.certificate.gap, gaps.max() if len(gaps) else 0.0))


def audit(
    instance: Instance,
    settings: Settings | None = None,
    options: AuditSettings | None = None,
    *,
    plan: Placement | None = None,
    progress: Watch | None = None,
    steps: Steps | None = None,
) -> Audit:
    """Close every region (or grid zone, or country) in turn and place the hour again.

    Args:
        instance: one hour of a scenario.
        settings: of every solve; the time limit is each closing's own.
        options: what is closed.
        plan: a placement of the instance with all open, if there is one.
        progress: called with every checkpoint of the first solve.
        steps: called after every closing with (text, done, of).

    Raises:
        InputError: the instance was made from matrices and `by` is not region, or has no zones.
    """
    settings, options = settings or Settings(), options or AuditSettings()
    groups = members(instance, options.by)
    base = plan or pipeline.solve(instance, settings, progress=progress)
    units = base.certificate.region_units
    busiest = sorted(groups, key=lambda name: (-units[groups[name]].sum(), name))
    chosen = busiest[: options.most]
    done = 0

    def close(name: str) -> dict[str, Any]:
        nonlocal done
        row = closing(base, groups[name], settings)
        done += 1
        if steps:
            steps(f"Closing {options.by.value}", done, len(chosen))
        return {options.by.value: name, **row}

    with pipeline.computing(), ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(close, chosen))
    table = pd.DataFrame(rows)
    best = base.certificate.objective_usd
    if len(table):
        best = min(best, float(table["objective_usd"].min()))
        table.insert(1, "extra_cost_usd", table["objective_usd"] - best)
        bound = base.certificate.lower_bound_usd
        table["extra_cost_low_usd"] = (table["lower_bound_usd"] - best).clip(lower=0.0)
        table["extra_cost_high_usd"] = table["objective_usd"] - bound
        table = table.sort_values("extra_cost_usd", ascending=False, kind="stable")
    return Audit(
        by=options.by,
        closings=table.reset_index(drop=True),
        base=base,
        base_usd=best,
        gap_target=settings.gap_target,
        left_out=len(groups) - len(chosen),
    )


def members(instance: Instance, by: By) -> dict[str, np.ndarray]:
    """Indices of the regions of each thing that can be closed, by its name."""
    if by is By.region:
        names = np.asarray(instance.region_id, object).astype(str)
    else:
        terms_of(instance, f"audit.by={by.value}")
        places = instance.places
        assert places is not None
        values = places.region_country if by is By.country else places.region_grid_zone
        names = np.asarray(values, object).astype(str)
    return {str(name): np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}


def closing(base: Placement, regions: np.ndarray, settings: Settings) -> dict[str, Any]:
    """The hour without some regions, against the plan with all open.

    Columns: objective_usd, lower_bound_usd, gap of the new plan; extra_carbon_kg, unplaced (units
    left out beyond the base's), moves (beyond its moves); units that ran there and their
    lost_RESOURCE, the capacity that would make the fleet whole if it stood anywhere they may run;
    short_RESOURCE, what units use that are left out for lack of room; mend_region and
    mend_resource, where capacity became scarcest by it, and mend_usd, what one more unit of it
    would save; captive_units, whose only allowed region is closed, so that no capacity elsewhere
    helps them; only_region, whether there are any.
    """
    before, instance = base.certificate, base.instance
    plan = warm_solve(closed(instance, regions), settings, base)
    after, flows = plan.certificate, base.assignment
    there = np.isin(flows.region, regions)
    lost = load(instance, flows.row[there], flows.region[there], flows.count[there]).sum(0)
    captive = after.unservable - before.unservable
    short = np.maximum(_left_out(plan) - _left_out(base), 0.0)
    # where the closing raised the worth of capacity most; resources compare by their mean capacity
    rise = np.where(plan.instance.capacity > 0, plan.duals.capacity - base.duals.capacity, 0.0)
    j, r = np.unravel_index(int((rise * instance.capacity.mean(0)).argmax()), rise.shape)
    scarcer = bool(rise[j, r] > 0)
    names = instance.resources
    return {
        "extra_carbon_kg": after.carbon_kg - before.carbon_kg,
        "unplaced": after.unplaced - before.unplaced,
        "moves": after.moves - before.moves,
        "gap": after.gap,
        "objective_usd": after.objective_usd,
        "lower_bound_usd": after.lower_bound_usd,
        "units": int(before.region_units[regions].sum()),
        **{f"lost_{name}": float(lost[k]) for k, name in enumerate(names)},
        **{f"short_{name}": float(short[k]) for k, name in enumerate(names)},
        "mend_region": str(instance.region_id[j]) if scarcer else None,
        "mend_resource": names[r] if scarcer else None,
        "mend_usd": float(plan.duals.capacity[j, r]) if scarcer else 0.0,
        "captive_units": captive,
        "only_region": captive > 0,
    }


def _left_out(plan: Placement) -> np.ndarray:
    """[R] what the unplaced units use that some region allows."""
    instance, flows = plan.instance, plan.assignment
    if not isinstance(instance.terms, Terms):  # their use differs by region
        return np.zeros(instance.use.shape[1])
    out = without_room(plan)
    return flows.count[out] @ instance.use[flows.row[out]]
