"""OR-Tools minimum cost flow: exact where every unit uses the same."""

from importlib import metadata

import numpy as np

from jaxplace.compare.answer import Answer, NotApplicable, Task
from jaxplace.compare.methods.cp_sat import grid
from jaxplace.compare.model import Model
from jaxplace.compare.settings import Flow
from jaxplace.errors import JaxplaceError
from jaxplace.placement import Duals


ROOM = 2**60  # costs times nodes must stay below, or the solver's potentials overflow


def whole(task: Task) -> Answer:
    """Whole units, and duals from the shortest ways to a region with room.

    Raises:
        NotApplicable: uses differ, there are several resources, or a fleet budget.
    """
    from ortools.graph.python import min_cost_flow

    settings: Flow = task.settings
    instance = task.instance
    model = Model.of(instance, scaled=False)
    use = model.entries.data
    if len(instance.resources) > 1 or len(model.limit) > instance.regions:
        raise NotApplicable("a flow has one resource and no fleet budgets")
    if len(use) and not np.allclose(use, use[0], rtol=1e-12, atol=0):
        raise NotApplicable("a flow needs every unit to use the same; here uses differ")
    k, m = len(model.count), instance.regions
    room = np.floor(model.limit / (use[0] if len(use) else 1.0) * (1 + 1e-12)).astype(np.int64)
    steps = min(settings.steps, ROOM // (k + m + 3))
    cost, _ = grid(model.cost, steps)
    count = model.count.astype(np.int64)
    nowhere, sink = k + m, k + m + 1
    there = np.where(model.region >= 0, k + model.region, nowhere)
    flow = min_cost_flow.SimpleMinCostFlow()
    arcs = flow.add_arcs_with_capacity_and_unit_cost(model.row, there, count[model.row], cost)
    ends = np.append(np.arange(k, k + m), nowhere)
    flow.add_arcs_with_capacity_and_unit_cost(
        ends, np.full(m + 1, sink), np.append(room, count.sum()), np.zeros(m + 1, np.int64)
    )
    flow.set_nodes_supplies(np.append(np.arange(k), sink), np.append(count, -count.sum()))
    status = flow.solve()
    if status != flow.OPTIMAL:
        raise JaxplaceError(f"the flow solver says {status}")
    values = flow.flows(arcs)
    usd = float(model.cost @ values)
    duals = _duals(model, values, room) / (use[0] if len(use) else 1.0)
    return Answer(
        plan=model.plan(values),
        duals=Duals(duals[:, None]),
        claimed_usd=usd,
        claimed_bound_usd=usd,
        versions={"ortools": metadata.version("ortools")},
    )


def _duals(model: Model, values: np.ndarray, room: np.ndarray) -> np.ndarray:
    """[m] USD for one more unit: the cheapest chain of moves from a region to one with room.

    A move from a to b costs the least of its rows' rise; in a best flow no chain pays, so the
    distances are the duals.
    """
    m = model.merged.instance.regions
    load = np.bincount(model.region + 1, values, m + 1)[1:]
    step = np.full((m + 1, m + 1), np.inf)
    at = np.where(model.region >= 0, model.region, m)
    for v in np.nonzero(values)[0]:
        row = slice(model.start[model.row[v]], model.start[model.row[v] + 1])
        rise = model.cost[row] - model.cost[v]
        step[at[v], at[row]] = np.minimum(step[at[v], at[row]], rise)
    dual = np.full(m + 1, np.inf)
    dual[np.append(load < room, True)] = 0.0
    for _ in range(m + 1):  # Bellman and Ford: rises may be negative
        less = np.minimum(dual, (step + dual[None]).min(1))
        if np.array_equal(less, dual):
            break
        dual = less
    # nothing leads on from a region that nobody is in: it is full only if it has no room at all
    closed = float(np.abs(model.cost).max()) * 2
    return np.clip(np.where(np.isfinite(dual[:m]), dual[:m], closed), 0.0, None)
