"""Solving an instance that differs a little from one that is solved already.

Most rows have no reason to move: at the earlier duals the region where they are is their best by
far.  They are held, and the rest is solved as an instance of its own over the capacity that is
left.  The certificate is the whole instance's, so what holding rows costs shows in the gap; where
it costs too much, or too many rows are in doubt, the whole instance is solved from the earlier
duals.
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from jaxplace import evaluate, pipeline
from jaxplace.certify import certify, lower_bound
from jaxplace.instance import Instance, Terms
from jaxplace.placement import Assignment, Checkpoint, Duals, Placement
from jaxplace.problem import compile_instance
from jaxplace.relax.anneal import begin
from jaxplace.rounding import lead
from jaxplace.settings import Settings
from jaxplace.status import Status


FREE_ROWS = 8_000  # that are solved anew, at least: those with the least lead
MOST_FREE = 0.15  # of all rows, beyond twice as many: more would cost as much as solving all
SHARE = 0.8  # of the gap asked for that the rows solved anew may use up
LOOSEST = 0.5  # gap asked of them at most
HOPELESS = 1e-2  # gap of a hasty plan, and times the one asked for,
TIMES = 10.0  # from which a patient one is not worth its time: large units have no room
Watch = Callable[[Checkpoint], None]


def warm_solve(
    instance: Instance,
    settings: Settings,
    previous: Placement,
    progress: Watch | None = None,
) -> Placement:
    """A placement of `instance`, found from one of an instance with the same rows and regions.

    A plan that the rules still allow is never made worse.

    Args:
        instance: what is asked now.
        settings: as for `solve`.
        previous: the earlier placement.
        progress: called with every checkpoint.
    """
    started = time.perf_counter()
    kept = as_it_was(instance, previous, started)
    goal = settings.gap_target
    if kept.certificate.gap <= pipeline.CONTENT * goal:  # a search would end here
        return kept
    found = touch_up(instance, settings, previous, progress) if _splits(instance) else None
    if found is not None:
        found = with_bound_of(found, kept)
    if found is None or found.certificate.gap > goal:
        found = with_bound_of(_solved(instance, settings, previous, progress), kept)
    cheaper = kept.certificate.objective_usd < found.certificate.objective_usd
    if kept.certificate.feasible and cheaper:
        found = with_bound_of(kept, found)
    spent = {"total": time.perf_counter() - started}
    status = Status.converged if found.certificate.gap <= goal else found.status
    return dataclasses.replace(found, timings_s=spent, status=status)


def _solved(
    instance: Instance, settings: Settings, previous: Placement, progress: Watch | None
) -> Placement:
    """In haste from the earlier duals, and where that is not good enough, patiently without them.

    Duals that a change has left far off hold a bound back longer than it takes to find new ones.
    """
    started, solver = time.perf_counter(), dataclasses.replace(settings.solver, attempts=0)
    hasty = dataclasses.replace(settings, solver=solver)
    found = pipeline.solve(instance, hasty, warm_start=previous, progress=progress)
    gap, goal = found.certificate.gap, settings.gap_target
    if gap <= goal or gap > max(HOPELESS, TIMES * goal) or _within_a_unit(found):
        return found
    left = settings.time_limit_s - (time.perf_counter() - started)
    patient = dataclasses.replace(settings, time_limit_s=max(left, pipeline.SHORTEST))
    again = pipeline.solve(instance, patient, progress=progress)
    return with_plan_of(with_bound_of(again, found), found)


def _within_a_unit(plan: Placement) -> bool:
    """Whether the gap is less than what one of the units costs that are left without room.

    What it says is that units are whole: in 11 of 11 such cases, of four generated sizes and of
    random instances, patience took ten times as long and did not reach the gap asked for.
    """
    rows = plan.assignment.row[without_room(plan)]
    missing = plan.certificate.objective_usd - plan.certificate.lower_bound_usd
    return bool(missing < plan.instance.unplaced[rows].max(initial=0.0))


def with_bound_of(plan: Placement, other: Placement) -> Placement:
    """A plan with the better of two placements' duals, both of the same instance."""
    if other.certificate.lower_bound_usd <= plan.certificate.lower_bound_usd:
        return plan
    proof = certify(plan.instance, plan.assignment, other.duals)
    return dataclasses.replace(plan, duals=other.duals, certificate=proof)


def _splits(instance: Instance) -> bool:
    """Whether rows can be held: fleet budgets tie all rows together."""
    policy = instance.policy
    fleet = policy.max_moves is not None or policy.carbon_cap_kg is not None
    return isinstance(instance.terms, Terms) and not fleet and instance.rows > FREE_ROWS


def as_it_was(instance: Instance, previous: Placement, started: float) -> Placement:
    """The earlier plan and duals, checked and priced against the instance."""
    duals = previous.duals
    if instance.policy.max_moves is None or instance.policy.carbon_cap_kg is None:
        keep = instance.policy
        duals = Duals(
            duals.capacity,
            0.0 if keep.max_moves is None else duals.moves,
            0.0 if keep.carbon_cap_kg is None else duals.carbon,
        )
    return dataclasses.replace(
        previous,
        instance=instance,
        duals=duals,
        certificate=certify(instance, previous.assignment, duals),
        status=Status.converged,
        baselines={},
        trace=(),
        timings_s={"total": time.perf_counter() - started},
    )


def touch_up(
    instance: Instance, settings: Settings, previous: Placement, progress: Watch | None
) -> Placement | None:
    """The rows in doubt solved anew, the others held; None if too many are in doubt."""
    plan = previous.assignment
    free = _in_doubt(instance, previous)
    if free.sum() > max(2 * FREE_ROWS, MOST_FREE * instance.rows):
        return None
    held = ~free[plan.row]
    row, region, count = plan.row[held], plan.region[held], plan.count[held]
    left = np.maximum(instance.capacity - load(instance, row, region, count), 0.0)
    chosen = np.flatnonzero(free)
    part = dataclasses.replace(instance.take(chosen), capacity=left)
    size = abs(lower_bound(part, Duals(previous.duals.capacity)).servable_usd)
    proof = previous.certificate
    whole = abs(proof.objective_usd - proof.unservable_usd)
    goal = SHARE * settings.gap_target * whole / size if size else LOOSEST
    start = dataclasses.replace(
        previous,
        instance=dataclasses.replace(part, request_id=np.empty(0)),  # duals alone: another plan
        duals=Duals(previous.duals.capacity),
    )
    solved = pipeline.solve(
        part,
        dataclasses.replace(settings, gap_target=min(goal, LOOSEST)),
        warm_start=start,
        progress=progress,
    )
    new = solved.assignment
    rows = np.concatenate([row, chosen[new.row]])
    regions = np.concatenate([region, new.region]).astype(np.int32)
    counts = np.concatenate([count, new.count])
    order = np.lexsort((regions, rows))
    assignment = Assignment(rows[order], regions[order], counts[order])
    return dataclasses.replace(
        solved,
        instance=instance,
        assignment=assignment,
        certificate=certify(instance, assignment, solved.duals),
        baselines={},
        trace=(),
    )


def with_plan_of(plan: Placement, other: Placement) -> Placement:
    """A placement with another one's plan where that is cheaper and the instance allows it."""
    if other.certificate.objective_usd >= plan.certificate.objective_usd:
        return plan
    proof = certify(plan.instance, other.assignment, plan.duals)
    if not proof.feasible or proof.objective_usd >= plan.certificate.objective_usd:
        return plan
    return dataclasses.replace(plan, assignment=other.assignment, certificate=proof)


def load(instance: Instance, row: np.ndarray, region: np.ndarray, count: np.ndarray) -> np.ndarray:
    """[m, R] what flows take; unplaced ones take nothing."""
    on = region >= 0
    row, region, count = row[on], region[on], count[on]
    taken = [
        np.bincount(region, count * evaluate.use(instance, r, row, region), instance.regions)
        for r in range(len(instance.resources))
    ]
    return np.stack(taken, 1)


def without_room(plan: Placement) -> np.ndarray:
    """[f] bool: flows of unplaced units that some region allows."""
    instance, flows = plan.instance, plan.assignment
    rows = np.unique(flows.row[flows.region < 0])
    step = max(1, evaluate.BLOCK_PAIRS // max(1, instance.regions))
    servable = np.zeros(instance.rows, bool)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        servable[some] = evaluate.allowed(instance, some).any(1)
    found: np.ndarray = (flows.region < 0) & servable[flows.row]
    return found


def _in_doubt(instance: Instance, previous: Placement) -> np.ndarray:
    """[n] bool: rows that are not at their best option, and those whose best leads least."""
    option, ahead = _best(instance, previous.duals.capacity)
    plan = previous.assignment
    misplaced = np.zeros(instance.rows, bool)
    misplaced[plan.row[plan.region != option[plan.row]]] = True
    ahead[misplaced] = -1.0
    misplaced[np.argsort(ahead, kind="stable")[:FREE_ROWS]] = True
    return misplaced


def _best(instance: Instance, duals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best option of each row at the duals (-1: unplaced), and its lead over the next, per use."""
    with pipeline.computing():
        compiled = compile_instance(instance)
        problem = compiled.problem
        point = begin(problem).point
        capacity = point[: problem.limit.size].reshape(problem.limit.shape)
        capacity[: problem.regions] = problem.scaling.scaled(duals)
        found, ahead = lead(compiled, point)
    option, margin = np.empty(problem.size, np.int64), np.empty(problem.size)
    option[compiled.order], margin[compiled.order] = found, ahead
    return option, margin


def cheapest(instance: Instance, settings: Settings) -> Placement:
    """The best plan where capacity never binds: every row at its cheapest option.

    Its bound is that of duals 0; a gap above rounding shows that capacity does bind.
    """
    from jaxplace import runtime

    nothing = np.zeros(instance.capacity.shape)
    started = time.perf_counter()
    option, _ = _best(instance, nothing)
    rows = np.arange(instance.rows)
    assignment = Assignment(rows, option.astype(np.int32), instance.count)
    return Placement(
        instance=instance,
        assignment=assignment,
        duals=Duals(nothing),
        certificate=certify(instance, assignment, Duals(nothing)),
        status=Status.converged,
        baselines={},
        trace=(),
        timings_s={"total": time.perf_counter() - started},
        seed=settings.seed,
        device=runtime.device_name(settings.device),
        versions=runtime.versions(),
    )
