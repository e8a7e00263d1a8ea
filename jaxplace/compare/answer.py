"""What a method is given and what it hands back, and what its process is told and says."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxplace.compare.methods import Method
from jaxplace.instance import Instance
from jaxplace.placement import Assignment, Duals


class NotApplicable(Exception):
    """The method cannot state this instance; the text says why."""


@dataclass(frozen=True)
class Task:
    """What a method is asked.

    Attributes:
        instance: what is to be placed.
        settings: the method's own, of its class in `settings`.
        seed: of every random choice.
        started: `time.perf_counter` when the clock began.
        time_limit_s: from then on.
    """

    instance: Instance
    settings: Any
    seed: int
    started: float
    time_limit_s: float

    def spent(self) -> float:
        """Seconds since the clock began."""
        return time.perf_counter() - self.started

    def left(self) -> float:
        """Seconds that are left; never below a tenth, which solvers take for none."""
        return max(self.time_limit_s - self.spent(), 0.1)


@dataclass(frozen=True)
class Fraction:
    """Fractional units as flows.  Units that no entry covers are unplaced.

    Attributes:
        row: [f] row of the instance; identical rows may be billed to one of them.
        region: [f] region, or -1 where the units are unplaced.
        amount: [f] units, >= 0.
    """

    row: np.ndarray
    region: np.ndarray
    amount: np.ndarray


@dataclass(frozen=True)
class Answer:
    """What a method says.  Nothing of it is believed until it is certified.

    Attributes:
        plan: whole units, or None.
        fraction: fractional units, which the common procedure makes whole; or None.
        duals: from which a bound can be certified, or None.
        claimed_usd: what the method says its answer costs, or None.
        claimed_bound_usd: what the method says that no answer costs less than, or None.
        done: whether the method is through, rather than stopped by the clock.
        trace: (seconds, plan or None, bound or None) [USD] on the way, as the method says.
        versions: of the packages that did the work.
    """

    plan: Assignment | None = None
    fraction: Fraction | None = None
    duals: Duals | None = None
    claimed_usd: float | None = None
    claimed_bound_usd: float | None = None
    done: bool = True
    trace: tuple[tuple[float, float | None, float | None], ...] = ()
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What a process is told.

    Attributes:
        method: the adapter.
        settings: its settings.
        seed, time_limit_s, candidates: see `CompareSettings`.
        finish_s: beyond the time limit, for the common rounding.
    """

    method: Method
    settings: Any
    seed: int
    time_limit_s: float
    candidates: int
    finish_s: float


@dataclass(frozen=True)
class Reply:
    """What a process says.

    Attributes:
        outcome: finished, timed_out, missing, not_applicable, out_of_memory, failed.
        message: why, if it is not finished.
        answer: with a plan wherever there is a fraction; or None.
        method_s: seconds of the method; finish_s: of the common rounding.
        peak_rss_bytes: of the process.
    """

    outcome: str
    message: str
    answer: Answer | None
    method_s: float
    finish_s: float
    peak_rss_bytes: int
