"""A loop over past hours, beside what other rules would have done with the same hours.

Each rule has its own past: it moves from where it itself put the units an hour before.

* staying put: units run where they run, as far as they fit; new ones go to the cheapest region;
* nearest region: every unit at the nearest region with room, whatever that moves;
* no friction: the best plan of each hour as if moves were free, and then their full cost.
"""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd

from jaxplace import atomic, evaluate, pipeline
from jaxplace.baselines import baseline_assignments
from jaxplace.instance import NOWHERE, Instance, Policy
from jaxplace.placement import Assignment, Placement
from jaxplace.replan import history, page, signals
from jaxplace.replan.loop import Tables
from jaxplace.replan.restate import restate
from jaxplace.replan.settings import ReplanSettings
from jaxplace.scenario import Scenario
from jaxplace.settings import Settings


FOLDER, MARKER = "backtest", "backtest.json"
OURS = "jaxplace"
RIVALS = ("stay", "nearest", "frictionless")
FIGURES = ("objective_usd", "move_usd", "carbon_kg", "moves", "unplaced")


class Rivals:
    """What each rule does hour after hour; call `plan` with every hour in order.

    Args:
        tables, settings, policy, options: as for the loop.
    """

    def __init__(
        self, tables: Tables, settings: Settings, policy: Policy, options: ReplanSettings
    ) -> None:
        self.tables, self.settings, self.policy, self.options = tables, settings, policy, options
        self.figures: list[dict[str, object]] = []
        self._now: dict[str, pd.DataFrame] = {}
        self._last: Placement | None = None  # of the frictionless plans: a start for the next

    def plan(self, hour: str) -> None:
        """Plan one hour by every rule and note the figures."""
        scenario, _ = signals.carry(self.tables.at(hour), hour, self.options.max_signal_age_h)
        for rival in RIVALS:
            tables = scenario
            if rival in self._now:
                tables = scenario.replace(current=self._now[rival])
            instance = tables.at(hour, self.policy)
            plan = self._plan(rival, instance, scenario, hour)
            sums = evaluate.totals(instance, plan)
            figures = (
                sums.objective_usd,
                sums.cost.get("move_usd", 0.0),
                sums.carbon_kg,
                sums.moves,
                sums.unplaced,
            )
            self.figures.append(
                {"hour": hour, "rule": rival, **dict(zip(FIGURES, figures, strict=True))}
            )
            self._now[rival] = running(instance, plan)

    def _plan(self, rival: str, instance: Instance, scenario: Scenario, hour: str) -> Assignment:
        """One rule's plan, as flows of the instance's rows."""
        if rival != "frictionless":
            rules = baseline_assignments(instance)
            return rules.get(rival, rules["greedy"])  # at first nothing runs that could stay
        free = scenario.replace(current=None).at(
            hour, dataclasses.replace(self.policy, max_moves=None)
        )
        free = dataclasses.replace(free, current=np.full(free.rows, NOWHERE, np.int32))
        self._last = pipeline.solve(free, self.settings, warm_start=self._last)
        plan = self._last.assignment
        return restate(instance, free.request[plan.row], plan.region, plan.count)


def running(instance: Instance, plan: Assignment) -> pd.DataFrame:
    """A plan as the table `current`: request_id, region, count."""
    on = plan.region >= 0
    frame = pd.DataFrame(
        {
            "request_id": instance.request_id[instance.request[plan.row[on]]],
            "region": instance.region_id[plan.region[on]],
            "count": plan.count[on],
        }
    )
    return frame.groupby(["request_id", "region"], as_index=False, sort=False)["count"].sum()


def save(folder: Path, hours: list[str], rivals: Rivals) -> Path:
    """Write `backtest/` of a state folder: page, table and sums; returns the page's path.

    Raises:
        OutputError: the disk refused; an earlier backtest's files are then unchanged.
    """
    ours = history.read(folder)
    ours = ours[ours["hour"].isin(hours)]
    mine = ours[["hour", *FIGURES]].assign(rule=OURS)
    table = pd.concat([mine, pd.DataFrame(rivals.figures)], ignore_index=True)
    table = table[["hour", "rule", *FIGURES]].sort_values(["hour", "rule"], ignore_index=True)
    sums = table.groupby("rule")[list(FIGURES)].sum()
    whole = {
        "from": hours[0],
        "hours": len(hours),
        "seconds": float(ours["seconds"].sum()),
        "largest_gap": float(ours["gap"].max()),
        "sums": {rule: {k: float(v) for k, v in row.items()} for rule, row in sums.iterrows()},
    }

    def fill(target: Path) -> None:
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        (target / "backtest.parquet").write_bytes(buffer.getvalue())
        (target / "backtest.html").write_text(page.render(table, ours), encoding="utf-8")
        (target / MARKER).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")

    atomic.replace_set(folder / FOLDER, fill, marker=MARKER)
    return folder / FOLDER / "backtest.html"
