"""Ascent of the semi-dual at one temperature, by the method that the settings name."""

import abc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jaxplace.kernels import api as kernels
from jaxplace.kernels.api import Response
from jaxplace.problem import Duals, Problem


IDLE = 0.5  # of the regret: what the violation may be worth when a temperature is settled


@dataclass(frozen=True)
class Constraints:
    """A problem's capacities and budgets as one vector of q limits, and duals as another.

    Attributes:
        limit: [q] what there is; capacities [m, R] row by row, then the budgets that are set.
        unit: [q] what a typical unit takes, so that all duals are of one size when multiplied.
        shape: (m, R).
        budgets: which of (moves, carbon) are set.
        total: use of all rows, mean over the resources: residuals are shares of it.
    """

    limit: np.ndarray
    unit: np.ndarray
    shape: tuple[int, int]
    budgets: np.ndarray
    total: float

    @classmethod
    def of(cls, problem: Problem) -> "Constraints":
        """The constraints of a problem."""
        on = np.isfinite(problem.budgets)
        carbon = problem.carbon if on[1] else 0.0
        unit = np.r_[np.ones(problem.limit.size), np.array([1.0, carbon or 1.0])[on]]
        return cls(
            limit=np.r_[problem.limit.ravel(), problem.budgets[on]],
            unit=unit,
            shape=problem.limit.shape,
            budgets=on,
            total=max(problem.use, 1e-300),
        )

    def duals(self, point: np.ndarray) -> Duals:
        """The kernels' duals of a vector."""
        size = self.shape[0] * self.shape[1]
        extra = iter(point[size:])
        moves, carbon = (np.float32(next(extra)) if on else None for on in self.budgets)
        capacity = point[:size].reshape(self.shape).astype(np.float32)
        return Duals(capacity, moves, carbon)

    def within(
        self, span: float, point: np.ndarray, temperature: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """[q] lowest and highest duals that are no further than `span` temperatures."""
        far = span * temperature / self.unit
        return np.maximum(point - far, 0.0), point + far

    def taken(self, response: Response) -> np.ndarray:
        """[q] what the smoothed plan takes of each constraint."""
        return np.r_[np.asarray(response.load).ravel(), np.asarray(response.budget)[self.budgets]]

    def violation(self, response: Response, point: np.ndarray) -> float:
        """Overload, and idle capacity that has a price, as a share of all use."""
        gradient = (self.taken(response) - self.limit) / self.unit
        wrong = np.where(point > 0, np.abs(gradient), np.maximum(gradient, 0.0))
        return float(wrong.sum() / self.total)

    def idle(self, response: Response, point: np.ndarray) -> float:
        """What overload and idle capacity are worth at the duals: a loss besides regret."""
        return float(np.abs(self.taken(response) - self.limit) @ point)

    def height(self, response: Response, point: np.ndarray) -> float:
        """The smoothed semi-dual's value."""
        return float(response.value) - float(self.limit @ point)

    def settled(
        self, response: Response, point: np.ndarray, tolerance: float, worth: float
    ) -> bool:
        """Whether a temperature's optimum is near enough.

        The violation is small beside all use, and its worth beside what the temperature costs
        anyway, or beside the `worth` that matters at all.
        """
        near = self.violation(response, point) <= tolerance
        return near and self.idle(response, point) <= max(IDLE * float(response.regret), worth)


@dataclass(frozen=True)
class Settled:
    """Where an ascent stopped."""

    point: np.ndarray  # [q]
    response: Response
    violation: float
    steps: int
    rise: float = 0.0  # of the smoothed value since the ascent's start


Report = Callable[[Settled], bool]  # called after each step; True: stop now


class AbstractAscent(abc.ABC):
    """A method that climbs the semi-dual at a fixed temperature."""

    @abc.abstractmethod
    def settle(
        self,
        problem: Problem,
        point: np.ndarray,
        temperature: float,
        *,
        tolerance: float,
        worth: float,
        report: Report,
        span: float = np.inf,
        groups: bool = False,
    ) -> Settled:
        """Climb from `point` until `Constraints.settled`, or no step helps.

        No dual moves by more than `span` temperatures.  With `groups`, a method may take longer
        to find what regions that share their rows have to go together.
        """


def spread_of(problem: Problem, response: Response, most: float) -> float:
    """Options that such a part of the rows are spread over, or fewer: 1 / sum of squared shares."""
    doubt = np.asarray(response.doubt)[: problem.size][problem.weight > 0]
    return float(np.quantile(1.0 / np.maximum(1.0 - doubt, 1e-6), most)) if len(doubt) else 1.0


def respond(problem: Problem, of: Constraints, point: np.ndarray, temperature: float) -> Response:
    """The kernel's response at a vector of duals."""
    return kernels.respond(problem, of.duals(point), temperature)
