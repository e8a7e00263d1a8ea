"""The order of the stages: an instance in, a certified placement out."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from threadpoolctl import threadpool_limits

from jaxplace import budgets, runtime
from jaxplace.baselines import baseline_assignments, baselines
from jaxplace.certify import certify
from jaxplace.errors import InputError
from jaxplace.instance import Instance
from jaxplace.kernels import api as kernels
from jaxplace.placement import Certificate, Checkpoint, Duals, Placement
from jaxplace.problem import Compiled, compile_instance
from jaxplace.relax import AbstractAscent, choose
from jaxplace.relax.anneal import COOLING, Relaxation, anneal, begin, resume
from jaxplace.repair import repair, search
from jaxplace.rounding import RISE, Rounded, alike, drawn_plans, round_plan
from jaxplace.settings import Settings
from jaxplace.start import Start
from jaxplace.status import Status


REGRET = 0.02  # of the gap asked for: what the relaxation's temperature may cost
TIGHTEN = 8.0  # how much further the relaxation goes when the plan is not good enough
LITTLE = 0.2  # of what is missing: from a warm start, an attempt that brings less is the last
LONGER = 2  # times as many ejection chains as in the attempt before
HASTY = 2  # attempts before the first: they often do, the last of them with duals as good
FASTER = 4.0  # how fast they cool; at 9 the bound of large instances falls short of the gap
DRAWS = 4  # of a plan where rows see the same costs: it is quick, and chance
FEW_ROWS = 2000  # up to which one attempt, with a long search, does more than several
FEW_PER_REGION = 50  # rows up to which a hasty attempt, all sizes at once, leaves units out
MANY_REGIONS = 1500  # above which it does so however many the rows
MANY_ROWS = 500_000  # above which a hasty attempt takes as long and often misses
FINISHING = 1e8  # pairs per second that rounding and certificate are sure to do
CONTENT = 0.98  # of the gap asked for: where the search ends; the rest is for float32's bound
SHORTEST = 1.0  # seconds for what the least of a budget would be
QUIET = 1.0  # seconds of a search between two checkpoints
ENOUGH = 0.01  # of the gap asked for: a round of repair that gains less is the last


def solve(
    instance: Instance,
    settings: Settings | None = None,
    *,
    warm_start: Placement | Start | None = None,
    progress: Callable[[Checkpoint], None] | None = None,
) -> Placement:
    """Place every unit of an instance, and prove how good the plan is.

    Args:
        instance: what is asked.
        settings: how good, how long, where.
        warm_start: an earlier placement over the same regions, or what `Start` keeps of one; its
            duals, translated to the new prices, are the start, and its plan is one to beat where
            it still holds.
        progress: called with every checkpoint.

    Returns:
        A placement whose certificate says what is proven; `status` says why the solve stopped.
    """
    settings = settings or Settings()
    run = _Run(instance, settings, progress)
    device = runtime.device_name(settings.device)
    with computing():
        return run.solve(warm_start, device)


@contextmanager
def computing() -> Iterator[None]:
    """One thread for BLAS: more of them spin, which makes a small factorisation 50 times slower."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@dataclass
class _Run:
    """One solve: its clock, its log and the best it has."""

    instance: Instance
    settings: Settings
    progress: Callable[[Checkpoint], None] | None
    started: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)
    trace: list[Checkpoint] = field(default_factory=list)
    plan: float = np.inf
    penalty: float = 0.0  # of the units that no region allows [USD]; in no figure here but plans'
    rounding: float = 0.0  # seconds that the last rounding took before its plan could be repaired

    def solve(self, warm_start: Placement | Start | None, device: str) -> Placement:
        """The stages of the pipeline, in order."""
        instance, goal = self.instance, self.settings.gap_target
        with self.clock("baselines"):
            rules = baseline_assignments(instance)
            figures = baselines(instance, rules)
        with self.clock("prepare"):
            compiled = compile_instance(instance)
            compiled, self.penalty = servable(compiled)
        state = (
            begin(compiled.problem)
            if warm_start is None
            else warm(compiled, warm_start, self.settings.seed)
        )
        plan = min(rules, key=lambda name: figures[name]["objective_usd"])
        assignment, self.plan = rules[plan], figures[plan]["objective_usd"] - self.penalty
        if isinstance(warm_start, Placement):
            kept = still_feasible(instance, warm_start)
            if kept is not None and kept - self.penalty < self.plan:
                assignment, self.plan = warm_start.assignment, kept - self.penalty
        status = Status.stalled
        rows, attempts = instance.rows, self.settings.solver.attempts
        few = rows <= FEW_ROWS or rows <= FEW_PER_REGION * instance.regions
        several = len(instance.resources) > 1  # all sizes at once find no room that has both
        many = rows > MANY_ROWS or instance.regions > MANY_REGIONS
        patient = many or several or (few and warm_start is None)
        first = 0 if patient else -HASTY
        if rows <= FEW_ROWS:
            attempts = min(attempts, 1)
        attempts = max(attempts, first + 1)
        missing, asked = 0.0, np.inf
        for attempt in range(first, attempts):
            if attempt < 0 and missing > asked:
                continue  # too far off for another hasty one
            with self.clock("relax"):
                state = self.relax(compiled, state, goal, attempt)
            if self.late() and not state.whole:  # duals of a sample: a simple rule's plan will do
                status = Status.time_limit
                break
            before = self.plan
            with self.clock("round"):
                draws = DRAWS if attempt == first and alike(compiled, state) else 0
                plans = drawn_plans(compiled, state, self.settings.seed)
                for easy, cost in islice(plans, draws):
                    if cost - self.penalty < self.plan:
                        assignment, self.plan = easy, cost - self.penalty
                    if self.missing(compiled, state, goal) <= 0 or self.late():
                        break
                else:  # none was drawn, or none is good enough
                    rounded = self.round(compiled, state, goal, attempt)
                    cost = rounded.objective() - self.penalty
                    if rounded.core.kept() and cost < self.plan:
                        assignment, self.plan = rounded.assignment(), cost
            self.note(compiled, state, "repaired")
            asked, missing = goal * abs(self.plan), self.missing(compiled, state, goal)
            little = warm_start is not None and before - self.plan < LITTLE * missing
            stuck = little and attempt >= 0 and missing > asked
            if missing <= 0 or stuck:
                break
            another = attempt + 1 < attempts
            if self.late(self.rounding if another else 0.0):  # it would end after the time
                status = Status.time_limit
                break
        with self.clock("certify"):
            duals = unscaled(compiled, state.best)
            certificate = certify(instance, assignment, duals)
        if certificate.gap <= goal:
            status = Status.converged
        elif state.steps >= self.settings.solver.max_steps:
            status = Status.step_limit
        least: dict[str, float] = {}
        if status is not Status.time_limit:  # what is impossible takes a solve to say
            instance, least = self.ask(instance, certificate, device)
        if least:
            status = Status.over_budget
        return Placement(
            instance=instance,
            assignment=assignment,
            duals=duals,
            certificate=certificate,
            status=status,
            baselines=figures,
            trace=tuple(self.trace),
            timings_s=self.timings,
            seed=self.settings.seed,
            device=device,
            versions=runtime.versions(),
            least=least,
        )

    def ask(
        self, instance: Instance, certificate: Certificate, device: str
    ) -> tuple[Instance, dict[str, float]]:
        """The instance with a note, and the least, of every budget that cannot be kept.

        Only what is proven is said: a budget between the bound and the best plan found is not
        called impossible.
        """
        least, left_out = {}, certificate.unplaced - certificate.unservable
        for question in budgets.questions(instance, certificate):
            left = self.settings.time_limit_s - (time.perf_counter() - self.started)
            limits = replace(self.settings, time_limit_s=max(left, SHORTEST))
            proof = _Run(question.instance, limits, None).solve(None, device).certificate
            if question.least(proof) > question.limit and proof.unplaced < certificate.unplaced:
                least[question.name] = question.least(proof)
                note = question.note(proof, left_out)
                instance = replace(instance, notes=(*instance.notes, note))
        return instance, least

    def relax(self, compiled: Compiled, state: Relaxation, goal: float, attempt: int) -> Relaxation:
        """Cool on until the regret is small enough, the time is over or the steps are."""
        solver, hasty = self.settings.solver, attempt < 0

        def watch(now: Relaxation) -> bool:
            self.note(compiled, now, "relax")
            return now.steps >= solver.max_steps or self.late()

        return anneal(
            compiled.problem,
            state,
            self.ascent(compiled),
            regret=REGRET * goal * TIGHTEN ** -(attempt + hasty),
            watch=watch,
            seed=self.settings.seed,
            cooling=FASTER if hasty else COOLING,
        )

    def ascent(self, compiled: Compiled) -> AbstractAscent:
        """The method that the settings ask for."""
        return choose(self.settings.solver, duals=compiled.problem.limit.size)

    def round(self, compiled: Compiled, state: Relaxation, goal: float, attempt: int) -> Rounded:
        """Whole units, made feasible, then cheaper; each attempt draws anew."""
        self.note(compiled, state, "round")
        began, bound = time.perf_counter(), self.bound(compiled, state)
        content = CONTENT * goal * abs(bound)
        target = bound + content + self.penalty
        rounded = round_plan(
            compiled,
            state,
            self.ascent(compiled),
            candidates=self.settings.solver.candidates,
            seed=self.settings.seed + max(attempt, 0),
            target=target,
            deadline=self.deadline(),
            longer=LONGER ** max(attempt, 0),
            quick=attempt < 0,
        )
        self.rounding = time.perf_counter() - began
        hair = state.temperature * compiled.problem.scaling.cost
        target -= rounded.decided_usd
        repair(
            rounded.core,
            rounded.prices,
            rise=RISE * hair,
            deadline=self.started + self.settings.time_limit_s,
            target=target,
            enough=ENOUGH * goal * abs(bound),
            worth=content / 2,
            hasty=attempt < 0,
        )

        def watch(usd: float) -> None:
            if time.perf_counter() - self.started > self.trace[-1].elapsed_s + QUIET:
                self.note(compiled, state, "search", rounded.decided_usd + usd - self.penalty)

        if attempt >= 0 and rounded.core.kept():
            search(
                rounded.core,
                rounded.prices,
                rounded.fees,
                seed=self.settings.seed,
                target=target,
                deadline=self.deadline(),
                watch=watch,
            )
        return rounded

    def bound(self, compiled: Compiled, state: Relaxation) -> float:
        """The relaxation's float32 bound without unservable units [USD]; not certified."""
        return state.bound * compiled.problem.scaling.cost

    def missing(self, compiled: Compiled, state: Relaxation, goal: float) -> float:
        """What the plan costs above the bound and most of the gap asked for [USD]."""
        return self.plan - self.bound(compiled, state) - CONTENT * goal * abs(self.plan)

    def late(self, ahead: float = 0.0) -> bool:
        """Whether what is left of the time, some seconds from now, is for the end of the solve."""
        return time.perf_counter() + ahead > self.deadline()

    def deadline(self) -> float:
        """When the rest of the time should go to rounding and the certificate."""
        limit = self.settings.time_limit_s
        finish = self.instance.rows * self.instance.regions / FINISHING
        return self.started + limit - min(finish, 0.5 * limit)

    def note(self, compiled: Compiled, state: Relaxation, stage: str, plan: float = np.inf) -> None:
        """Log a checkpoint and show it; `plan` is one in the making [USD]."""
        bound, plan = self.bound(compiled, state), min(self.plan, plan)
        point = Checkpoint(
            elapsed_s=time.perf_counter() - self.started,
            stage=stage,
            step=state.steps,
            temperature=state.temperature,
            bound=bound if state.whole and np.isfinite(bound) else None,
            plan=plan if np.isfinite(plan) else None,
            overload=state.violation if np.isfinite(state.violation) else None,
        )
        self.trace.append(point)
        if self.progress is not None:
            self.progress(point)

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Add a stage's seconds to the timings, its compilations' under a name of their own."""
        start, compiled = time.perf_counter(), runtime.compile_seconds()
        yield
        compiling = runtime.compile_seconds() - compiled
        spent = time.perf_counter() - start - compiling
        self.timings[stage] = self.timings.get(stage, 0.0) + spent
        self.timings["compile"] = self.timings.get("compile", 0.0) + compiling


def servable(compiled: Compiled) -> tuple[Compiled, float]:
    """The problem without the rows that no region allows, and those rows' penalty [USD].

    They are unplaced in every plan; with weight 0 they say nothing about bound and regret.
    """
    problem, instance = compiled.problem, compiled.pairs.instance
    allowed = kernels.servable(problem)
    weight = np.where(allowed, np.asarray(problem.rows.weight), np.float32(0))
    row = compiled.order[~allowed[: problem.size]]
    penalty = float(instance.count[row] @ instance.unplaced[row])
    return replace(compiled, problem=problem.weighted(weight)), penalty


def warm(compiled: Compiled, source: Placement | Start, seed: int) -> Relaxation:
    """A relaxation that starts from an earlier placement's duals, at today's prices.

    Raises:
        InputError: it is a placement over other regions or resources.
    """
    now = compiled.pairs.instance
    if isinstance(source, Placement):
        then = source.instance
        same = np.array_equal(now.region_id, then.region_id) and now.resources == then.resources
        if not same:
            raise InputError(
                "`solve(warm_start=...)` must be a placement over the same regions and resources"
            )
    start = source if isinstance(source, Start) else Start.of(source)
    duals, problem = start.duals_for(now), compiled.problem
    point = begin(problem).point
    m, scaling = problem.regions, problem.scaling
    capacity = point[: problem.limit.size].reshape(problem.limit.shape)
    capacity[:m] = scaling.scaled(duals.capacity)
    on = np.isfinite(problem.budgets)
    point[problem.limit.size :] = np.array([duals.moves, duals.carbon])[on] / scaling.cost
    return resume(problem, point, seed=seed)


def still_feasible(instance: Instance, placement: Placement) -> float | None:
    """What an earlier plan costs now [USD], if its requests are the same and all rules hold."""
    then = placement.instance
    if not np.array_equal(np.asarray(instance.request_id), np.asarray(then.request_id)):
        return None
    if not (
        np.array_equal(instance.request, then.request)
        and np.array_equal(instance.count, then.count)
    ):
        return None
    nothing = Duals(np.zeros(instance.capacity.shape))
    certificate = certify(instance, placement.assignment, nothing)
    return certificate.objective_usd if certificate.feasible else None


def unscaled(compiled: Compiled, point: np.ndarray) -> Duals:
    """A vector of scaled duals in the user's units."""
    problem = compiled.problem
    capacity = point[: problem.limit.size].reshape(problem.limit.shape)[: problem.regions]
    prices = np.zeros(2)
    prices[np.isfinite(problem.budgets)] = point[problem.limit.size :] * problem.scaling.cost
    return Duals(problem.scaling.duals(capacity), float(prices[0]), float(prices[1]))
