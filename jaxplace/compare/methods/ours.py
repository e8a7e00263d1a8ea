"""What jaxplace has itself: its solve, its simple rules, and a local search without duals."""

import numpy as np

from jaxplace.compare.answer import Answer, Fraction, NotApplicable, Task
from jaxplace.compare.settings import Ours


MOST_OPTIONS = 50  # regions per row that the local search looks at, and as many by what it has


def jaxplace(task: Task) -> Answer:
    """`jaxplace.solve` as a user calls it, on the rows as they are."""
    from jaxplace import Settings, solve
    from jaxplace.status import Status

    settings: Ours = task.settings
    limit = task.left()
    before = task.spent()
    placement = solve(
        task.instance,
        Settings(gap_target=settings.gap_target, time_limit_s=limit, seed=task.seed),
    )
    proof = placement.certificate
    shift = proof.unservable_usd
    trace = [
        (
            before + p.elapsed_s,
            None if p.plan is None else p.plan + shift,
            None if p.bound is None else p.bound + shift,
        )
        for p in placement.trace
    ]
    return Answer(
        plan=placement.assignment,
        duals=placement.duals,
        claimed_usd=proof.objective_usd,
        claimed_bound_usd=proof.lower_bound_usd,
        done=placement.status is not Status.time_limit,
        trace=tuple(trace),
        versions={
            "jaxplace": placement.versions.get("jaxplace", ""),
            "jax": placement.versions["jax"],
        },
    )


def greedy(task: Task) -> Answer:
    """Each row in turn at its cheapest region with room."""
    return _rule(task, "greedy")


def nearest(task: Task) -> Answer:
    """Each row in turn at its nearest region with room.

    Raises:
        NotApplicable: the instance has no distances.
    """
    return _rule(task, "nearest")


def _rule(task: Task, name: str) -> Answer:
    """The plan of a rule of `jaxplace.baselines`."""
    from jaxplace.baselines import baseline_assignments

    plans = baseline_assignments(task.instance)
    if name not in plans:
        raise NotApplicable("an instance of matrices has no distances")
    return Answer(plan=plans[name])


def local_search(task: Task) -> Answer:
    """Greedy's plan, then shifts, exchanges and reinsertions until none pays; no duals."""
    from jaxplace.compare.finish import whole_units

    plan = greedy(task).plan
    assert plan is not None
    return Answer(
        plan=whole_units(
            task.instance,
            Fraction(plan.row, plan.region, plan.count.astype(np.float64)),
            None,
            candidates=min(task.instance.regions, MOST_OPTIONS),
            seed=task.seed,
            deadline=task.started + task.time_limit_s,
        ),
        done=task.spent() < task.time_limit_s,
    )
