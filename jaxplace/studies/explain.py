"""Why a request runs where it runs, and what makes a region full: read off a certified plan."""

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxplace import evaluate
from jaxplace.errors import InputError
from jaxplace.instance import Instance, Terms
from jaxplace.placement import Placement
from jaxplace.studies.variants import terms_of


FAR = np.inf
TIE = 1e-9  # USD below which two reduced costs are alike


@dataclass(frozen=True)
class Explanation:
    """Tables that answer one question.

    Attributes:
        title: what was asked.
        facts: figures by name, with their units in the name.
        tables: DataFrames by heading.
        says: the answer in sentences.
    """

    title: str
    facts: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    says: tuple[str, ...]


def explain(placement: Placement, *, request: object = None, region: object = None) -> Explanation:
    """Answer for one request or for one region of a plan.

    Args:
        placement: the plan and its duals.
        request: a request's id; or
        region: a region's id.  Ids are compared as text, so numbers may be given as either.

    Raises:
        InputError: neither or both are given, or the id is not there.
    """
    if (request is None) == (region is None):
        raise InputError("`explain` needs one of `request=ID` and `region=ID`")
    if request is not None:
        return _request(placement, _position(placement.instance.request_id, request, "request"))
    return _region(placement, _position(placement.instance.region_id, region, "region"))


def _position(ids: Any, wanted: object, what: str) -> int:
    """Where an id is.

    Raises:
        InputError: nowhere; with the nearest one.
    """
    names = np.asarray(ids, object).astype(str)
    found = np.flatnonzero(names == str(wanted))
    if len(found):
        return int(found[0])
    near = difflib.get_close_matches(str(wanted), names[:50_000].tolist(), 1, 0.5)
    hint = f"Did you mean {near[0]}?" if near else f"The first is {names[0]}" if len(names) else ""
    raise InputError(f"`{what}={wanted}`: there is no such {what} at this hour. {hint}")


def _request(placement: Placement, request: int) -> Explanation:
    """Every region for one request, the best first; a table for each place where it runs now."""
    instance = placement.instance
    rows = np.flatnonzero(instance.request == request)
    tables, says = {}, []
    name = str(instance.request_id[request])
    for row in rows:
        table = options(placement, int(row))
        now = instance.current[row]
        where = "" if now < 0 else f", of those now at {instance.region_id[now]}"
        tables[f"{instance.count[row]:,} units{where}"] = table
        says += _why(table, instance.count[row])
    facts: dict[str, Any] = {"units": int(instance.count[rows].sum())}
    first = int(rows[0])
    facts["penalty of an unplaced unit [USD]"] = float(instance.unplaced[first])
    for r, resource in enumerate(instance.resources):
        facts[f"{resource} per unit"] = float(instance.use[first, r])
    if isinstance(instance.terms, Terms) and instance.places is not None:
        terms, places = instance.terms, instance.places
        client = 0.0 if terms.client_rtt_ms is None else float(terms.client_rtt_ms[first])
        facts |= {
            "origin": str(places.origin_id[terms.origin[first]]),
            "workload": str(places.workload_id[terms.workload[first]]),
            "IT energy per unit [kWh]": float(terms.energy_kwh[first]),
            "latency budget [ms]": float(terms.latency_budget_ms[first]) + client,
            "client RTT [ms]": client,
        }
    return Explanation(f"Request {name}", facts, tables, tuple(says))


def options(placement: Placement, row: int) -> pd.DataFrame:
    """Every region for one row: allowed or why not, each cost part, dual, reduced cost, units.

    Sorted by reduced cost, the allowed regions first.  `units` are the plan's.  The duals of the
    fleet's budgets, where there are any, are part of `budget_dual_usd`.
    """
    instance, plan, duals = placement.instance, placement.assignment, placement.duals
    rows = np.array([row])
    parts = evaluate.parts(instance, rows)
    uses = [evaluate.use(instance, r, rows)[0] for r in range(len(instance.resources))]
    ok = evaluate.allowed(instance, rows)[0]
    dual = np.sum([u * duals.capacity[:, r] for r, u in enumerate(uses)], axis=0)
    budget = duals.moves * parts.move[0] + duals.carbon * parts.kg[0]
    cost = np.sum([value[0] for value in parts.cost.values()], axis=0)
    here = plan.row == row
    units = np.zeros(instance.regions, np.int64)
    placed = here & (plan.region >= 0)
    units[plan.region[placed]] = plan.count[placed]
    table = pd.DataFrame(
        {
            "region": np.asarray(instance.region_id, object).astype(str),
            "units": units,
            "allowed": ok,
            "why_not": reasons(instance, row),
            **{name: value[0] for name, value in parts.cost.items()},
            "dual_usd": dual,
            "budget_dual_usd": budget,
            "reduced_usd": cost + dual + budget,
        }
    )
    least = table.loc[table["allowed"], "reduced_usd"].min()
    table["above_best_usd"] = table["reduced_usd"] - least
    order = table.assign(rank=~table["allowed"]).sort_values(
        ["rank", "reduced_usd", "units"], ascending=[True, True, False], kind="stable"
    )
    return order.drop(columns="rank").reset_index(drop=True)


def reasons(instance: Instance, row: int) -> list[str]:
    """[m] which rules forbid each region, and by how much; "" where none does."""
    terms = instance.terms
    found: list[list[str]] = [[] for _ in range(instance.regions)]
    if not isinstance(terms, Terms):
        return ["" if ok else "not allowed by the matrix" for ok in terms.allowed[row]]
    work, rtt = terms.workload[row], terms.rtt_ms[terms.origin[row]]
    time = rtt * (1 + instance.policy.latency_margin) + terms.service_ms[work]
    over = time - terms.latency_budget_ms[row]
    for j, texts in enumerate(found):
        if not np.isfinite(rtt[j]):
            texts.append("unreachable: no latency for the pair")
        elif over[j] > 0:
            texts.append(f"latency: {over[j]:.4g} ms over the budget")
        if not terms.legal[terms.residency[row], j]:
            texts.append(_law(instance, j))
        if not terms.hosted[work, j]:
            texts.append("hosting: the workload is not hosted there")
        for r, name in enumerate(instance.resources):
            need = instance.use[row, r] * terms.use_factor[work, j]
            if need > instance.capacity[j, r]:
                short = need - instance.capacity[j, r]
                texts.append(f"size: one unit needs {short:.4g} {name} more than there is")
    return ["; ".join(texts) for texts in found]


def _law(instance: Instance, region: int) -> str:
    """Residency in words."""
    country = "" if instance.places is None else f" ({instance.places.region_country[region]})"
    return f"residency: the country{country} is not listed"


def _why(table: pd.DataFrame, count: int) -> list[str]:
    """The choice in sentences."""
    allowed = table[table["allowed"]]
    placed = table[table["units"] > 0]
    left = int(count - placed["units"].sum())
    says = []
    if allowed.empty:
        return ["No region is allowed: the units are unservable and unplaced in every plan."]
    best = allowed.iloc[0]
    for _, chosen in placed.iterrows():
        gap = chosen["above_best_usd"]
        if gap <= max(TIE, 1e-6 * abs(best["reduced_usd"])):
            text = "the least reduced cost of all allowed regions"
        else:
            text = f"{gap:.3g} USD a unit above {best['region']}, the best at the duals"
        says.append(f"{int(chosen['units']):,} units run at {chosen['region']}: {text}.")
    if left:
        says.append(
            f"{left:,} units are unplaced: no room was worth more to them than their penalty."
        )
    dearer = allowed[allowed["dual_usd"] > 0]
    if len(dearer):
        says.append(
            "A dual is what a unit pays for scarce capacity: it belongs to no bill, and keeps "
            "units out that would gain less from the region than others do."
        )
    return says


def _region(placement: Placement, region: int) -> Explanation:
    """Who is at a region, who would come if it had room, and what its duals mean."""
    instance, proof = placement.instance, placement.certificate
    facts: dict[str, Any] = {
        "units": int(proof.region_units[region]),
        "facility energy [kWh]": float(proof.region_kwh[region]),
        "carbon [kg]": float(proof.region_carbon_kg[region]),
        "cost [USD]": float(proof.region_cost_usd[region]),
    }
    if isinstance(instance.terms, Terms):
        facts["electricity price [USD/MWh]"] = float(instance.terms.price_usd_per_mwh[region])
        facts["carbon intensity [g/kWh]"] = float(instance.terms.carbon_g_per_kwh[region])
        facts["PUE"] = float(instance.terms.pue[region])
    says = []
    for r, name in enumerate(instance.resources):
        dual = float(placement.duals.capacity[region, r])
        load, room = float(proof.load[region, r]), float(instance.capacity[region, r])
        facts[f"{name} used"] = load
        facts[f"{name} capacity"] = room
        facts[f"{name} dual [USD per unit]"] = dual
        used = f"{100 * load / room:.4g} % of {name} is used" if room else f"it has no {name}"
        says.append(
            f"{used}; one more unit of it would save about {dual:.4g} USD an hour."
            if dual > 0
            else f"{used}; one more unit of it would save nothing."
        )
    tables = {
        "Who is there, and what the next best would cost": residents(placement, region),
        "Who would come if there were room": wanting(placement, region),
    }
    return Explanation(f"Region {instance.region_id[region]}", facts, tables, tuple(says))


def residents(placement: Placement, region: int) -> pd.DataFrame:
    """Units at the region by class: what they pay, and what leaving for the next best would cost.

    `advantage_usd` is the mean over the units of the least reduced cost elsewhere, or the penalty
    of being unplaced, less the cost here without the region's own dual.
    """
    plan = placement.assignment
    there = plan.region == region
    rows, count = plan.row[there], plan.count[there]
    here, elsewhere, _ = _bids(placement, rows, region)
    return _by_class(
        placement,
        rows,
        count,
        {"cost_usd": here, "next_best_usd": elsewhere, "advantage_usd": elsewhere - here},
    )


def wanting(placement: Placement, region: int) -> pd.DataFrame:
    """Units elsewhere that would come if capacity here cost nothing, by class.

    `bid_usd` is the mean of what a unit would gain: its least reduced cost elsewhere less its
    cost here without the region's own dual.  Each gains by itself; together they would overload it.
    """
    plan = placement.assignment
    away = plan.region != region
    rows, count = plan.row[away], plan.count[away]
    here, elsewhere, allowed = _bids(placement, rows, region)
    bid = elsewhere - here
    keen = allowed & (bid > TIE)
    return _by_class(
        placement, rows[keen], count[keen], {"cost_usd": here[keen], "bid_usd": bid[keen]}
    )


def _bids(
    placement: Placement, rows: np.ndarray, region: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[f] cost at the region without its dual, the best elsewhere at the duals, and if allowed."""
    instance, duals = placement.instance, placement.duals
    here, elsewhere = np.full(len(rows), np.inf), np.full(len(rows), np.inf)
    allowed = np.zeros(len(rows), bool)
    step = max(1, evaluate.BLOCK_PAIRS // max(1, instance.regions))
    for start in range(0, len(rows), step):
        some, at = rows[start : start + step], slice(start, start + step)
        cost = np.array(
            evaluate.cost(instance, some, usd_per_move=duals.moves, usd_per_kg=duals.carbon)
        )
        ok = evaluate.allowed(instance, some)
        here[at], allowed[at] = cost[:, region], ok[:, region]
        for r in range(len(instance.resources)):
            cost += evaluate.use(instance, r, some) * duals.capacity[:, r]
        cost = np.where(ok, cost, np.inf)
        cost[:, region] = np.inf
        elsewhere[at] = np.minimum(cost.min(1), instance.unplaced[some])
    return here, elsewhere, allowed


def _by_class(
    placement: Placement, rows: np.ndarray, count: np.ndarray, values: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Means per unit by (origin, workload), the class with the most units first."""
    instance = placement.instance
    frame = pd.DataFrame({"units": count, **{k: v * count for k, v in values.items()}})
    keys = ["request"]
    if isinstance(instance.terms, Terms) and instance.places is not None:
        terms = terms_of(instance, "explain")
        places, keys = instance.places, ["origin", "workload"]
        frame["origin"] = np.asarray(places.origin_id, object).astype(str)[terms.origin[rows]]
        frame["workload"] = np.asarray(places.workload_id, object).astype(str)[terms.workload[rows]]
    else:
        frame["request"] = np.asarray(instance.request_id, object).astype(str)[
            instance.request[rows]
        ]
    table = frame.groupby(keys, sort=False).sum()
    for name in values:
        table[name] /= table["units"]
    table = table.sort_values("units", ascending=False, kind="stable").reset_index()
    return table[[*keys, "units", *values]]
