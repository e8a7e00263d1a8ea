"""What an answer is worth: certified by the code that certifies jaxplace's own plans."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxplace import evaluate
from jaxplace.certify import certify
from jaxplace.compare.answer import Answer, Fraction, Reply
from jaxplace.compare.merged import merge
from jaxplace.instance import Instance
from jaxplace.placement import Assignment, Certificate, Duals


HAIR = 1e-6  # share by which a claim may miss the truth: the usual tolerance of such solvers
INFEASIBLE, FALSE = "infeasible", "false claim"  # verdicts beside the outcomes of `Reply`


@dataclass(frozen=True)
class Row:
    """One method on one instance.  Figures are None where there is nothing certified to show.

    Attributes:
        instance, requests, regions, resources, units: what was asked; pairs: allowed ones.
        method: its name; settings: its settings; seed; time_limit_s.
        outcome: how its process ended (see `Reply`); message: why.
        faults: what it said or did that does not hold.
        objective_usd: cost of its plan of whole units, certified feasible.
        bound_usd: lower bound certified from its duals.
        gap: between the two, as in a certificate.
        gap_to_best: between its plan and the best bound of all methods.
        unplaced: units, in its plan.
        claimed_usd, claimed_bound_usd: as the method says.
        fraction_usd: cost of its fractional answer; fraction_overload: by which share that
            exceeds a capacity at most.
        seconds: until its plan of whole units was there; finish_s: of it, the common rounding.
        seconds_to_target: the same, if the gap to the best bound is at most the target.
        peak_rss_bytes: of its process.
        trace: (seconds, plan or None, bound or None) on the way, as the method says.
        versions: of what did the work.
    """

    instance: str
    requests: int
    regions: int
    resources: int
    units: int
    method: str
    settings: dict[str, Any]
    seed: int
    time_limit_s: float
    outcome: str
    message: str
    faults: tuple[str, ...] = ()
    objective_usd: float | None = None
    bound_usd: float | None = None
    pairs: int | None = None
    gap: float | None = None
    gap_to_best: float | None = None
    unplaced: int | None = None
    claimed_usd: float | None = None
    claimed_bound_usd: float | None = None
    fraction_usd: float | None = None
    fraction_overload: float | None = None
    unservable_usd: float = 0.0
    seconds: float | None = None
    finish_s: float | None = None
    seconds_to_target: float | None = None
    peak_rss_bytes: int | None = None
    trace: tuple[tuple[float, float | None, float | None], ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The outcome, or what is wrong with the answer."""
        if any(fault.startswith(INFEASIBLE) for fault in self.faults):
            return INFEASIBLE
        return FALSE if self.faults else self.outcome


def judged(row: Row, instance: Instance, reply: Reply) -> Row:
    """The row with what can be said of the reply by itself."""
    row = dataclasses.replace(
        row,
        outcome=reply.outcome,
        message=reply.message,
        seconds=reply.method_s + reply.finish_s,
        finish_s=reply.finish_s,
        peak_rss_bytes=reply.peak_rss_bytes,
    )
    answer = reply.answer
    if answer is None:
        return row
    faults: list[str] = []
    proof, proven = _certified(instance, answer, faults)
    plan = proof if proof is not None and answer.plan is not None else None
    if plan is not None and not plan.feasible:
        faults.append(f"{INFEASIBLE}: {'; '.join(plan.violations)}")
        plan = None
    usd = plan.objective_usd if plan is not None else None
    if usd is not None and answer.fraction is None and _differ(answer.claimed_usd, usd):
        faults.append(f"it says that its plan costs {answer.claimed_usd:.9g}; it costs {usd:.9g}")
    in_part = (
        _fractional(instance, answer.fraction) if answer.fraction is not None else (None, None)
    )
    return dataclasses.replace(
        row,
        faults=tuple(faults),
        objective_usd=usd,
        pairs=proof.allowed_pairs if proof is not None else None,
        bound_usd=proof.lower_bound_usd if proof is not None and proven else None,
        gap=plan.gap if plan is not None and proven else None,
        unplaced=plan.unplaced if plan is not None else None,
        claimed_usd=answer.claimed_usd,
        claimed_bound_usd=answer.claimed_bound_usd,
        fraction_usd=in_part[0],
        fraction_overload=in_part[1],
        unservable_usd=proof.unservable_usd if proof is not None else 0.0,
        trace=answer.trace,
        versions=answer.versions,
    )


def _differ(claim: float | None, truth: float) -> bool:
    """Whether a claim misses the truth by more than a hair."""
    return claim is not None and not abs(claim - truth) <= HAIR * max(abs(truth), 1e-9)


def _certified(
    instance: Instance, answer: Answer, faults: list[str]
) -> tuple[Certificate | None, bool]:
    """The certificate of plan and duals, and whether the duals prove anything."""
    none = np.zeros(0, np.int64)
    plan = answer.plan if answer.plan is not None else Assignment(none, none.astype(np.int32), none)
    nothing = Duals(np.zeros(instance.capacity.shape))
    try:
        proof = certify(instance, plan, answer.duals or nothing)
        return proof, answer.duals is not None
    except (ValueError, TypeError, AttributeError) as error:
        faults.append(f"its duals prove nothing: {error}")
    try:
        return certify(instance, plan, nothing), False
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        faults[-1] = f"{INFEASIBLE}: its plan cannot be read: {error}"
        return None, False


def _fractional(instance: Instance, fraction: Fraction) -> tuple[float, float]:
    """Cost of a fractional answer [USD], and by which share it exceeds a capacity at most."""
    on = fraction.region >= 0
    row, region, amount = fraction.row[on], fraction.region[on], fraction.amount[on]
    merged = merge(instance)
    placed = np.bincount(merged.of[row], amount, merged.instance.rows)
    left = np.maximum(merged.instance.count - placed, 0.0) @ merged.instance.unplaced
    usd = float(amount @ evaluate.cost(instance, row, region) + left)
    over = 0.0
    for r in range(len(instance.resources)):
        load = np.bincount(region, amount * evaluate.use(instance, r, row, region),
                           instance.regions)  # fmt: skip
        room = instance.capacity[:, r]
        share = (load - room) / np.where(room > 0, room, 1.0)
        over = max(over, float(share.max(initial=0.0)))
    return usd, over


def settled(rows: Iterable[Row], *, gap_target: float) -> list[Row]:
    """The rows of one instance with what can be said of each beside the others."""
    rows = list(rows)
    bounds = [row.bound_usd for row in rows if row.bound_usd is not None]
    plans = [row.objective_usd for row in rows if row.objective_usd is not None]
    best = max(bounds, default=None)
    cheapest = min(plans, default=math.inf)
    done = []
    for row in rows:
        faults, claim = list(row.faults), row.claimed_bound_usd
        if claim is not None and claim > cheapest + HAIR * abs(cheapest):
            faults.append(
                f"it says that no plan costs less than {claim:.9g}; "
                f"a certified one costs {cheapest:.9g}"
            )
        gap = None
        if row.objective_usd is not None and best is not None:
            own = abs(row.objective_usd - row.unservable_usd)
            gap = max(row.objective_usd - best, 0.0) / own if own else 0.0
        reached = gap is not None and gap <= gap_target
        done.append(
            dataclasses.replace(
                row,
                faults=tuple(faults),
                gap_to_best=gap,
                seconds_to_target=row.seconds if reached else None,
            )
        )
    return done
