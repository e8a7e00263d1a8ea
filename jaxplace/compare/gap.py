"""The generalized assignment problem of the literature: its files, and its random types.

Every job goes to one agent; what it costs and what it takes depend on both.  Here a job is a
request and an agent a region.  The problem has no unplaced jobs, so leaving one out is made so
dear that no plan with a job left out is cheaper than a plan without.

References:
    Chu and Beasley, A genetic algorithm for the generalised assignment problem, Computers &
    Operations Research 24 (1997): types a to d.
    Laguna, Kelly, Gonzalez-Velarde and Glover, Tabu search for the multilevel generalized
    assignment problem, EJOR 82 (1995): type e.
    Yagiura, Ibaraki and Glover, An ejection chain approach for the generalized assignment
    problem, INFORMS Journal on Computing 16 (2004): types c, d, e as used here.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxplace.errors import InputError
from jaxplace.instance import Instance


KINDS = ("a", "b", "c", "d", "e")


@dataclass(frozen=True)
class Problem:
    """A generalized assignment problem, as its files have it: agents first.

    Attributes:
        name: of the file, with the number of the problem where a file holds several.
        cost: [agents, jobs].
        use: [agents, jobs] what a job takes of an agent's capacity.
        capacity: [agents].
    """

    name: str
    cost: np.ndarray
    use: np.ndarray
    capacity: np.ndarray

    def instance(self, unplaced: float | None = None) -> Instance:
        """The problem as an instance: n = jobs, m = agents.

        Args:
            unplaced: cost of a job left out; None: more than any plan can save by it.
        """
        dear = self.dear() if unplaced is None else unplaced
        return Instance.from_arrays(
            cost=self.cost.T, use=self.use.T, capacity=self.capacity, unplaced=dear
        )

    def dear(self) -> float:
        """What one job left out must cost, so that no plan with one beats a plan without."""
        low, high = self.cost.min(0), self.cost.max(0)
        return float((high - low).sum() + max(low.max(), 0.0) + 1.0)


def read(path: Path | str) -> list[Instance]:
    """The instances of a file of the OR-Library's format (minimisation), in its order.

    Raises:
        InputError: the file cannot be read, or is not of that format.
    """
    return [problem.instance() for problem in problems(path)]


def problems(path: Path | str) -> list[Problem]:
    """The problems of a file: `m n`, costs [m, n], uses [m, n], capacities [m]; white space apart.

    A file may start with the number of problems in it, as the OR-Library's own do.

    Raises:
        InputError: the file cannot be read, or is not of that format.
    """
    path = Path(path)
    try:
        numbers = np.array(path.read_text().split(), float)
    except (OSError, ValueError) as error:
        raise InputError(
            f"`{path}` is no file of assignment problems: {error}. "
            "Wanted are numbers only: `m n`, m x n costs, m x n uses, m capacities"
        ) from error
    if _size(numbers, 0) == len(numbers):
        return [_problem(path.name, numbers, 0)]
    found: list[Problem] = []
    at = 1
    while at < len(numbers) and _size(numbers, at) <= len(numbers) - at:
        found.append(_problem(f"{path.name}-{len(found)}", numbers, at))
        at += _size(numbers, at)
    if not found or at != len(numbers) or len(found) != numbers[0]:
        raise InputError(
            f"`{path}` is no file of assignment problems: {len(numbers)} numbers do not fit "
            "`m n`, m x n costs, m x n uses, m capacities. Is it cut off?"
        )
    return found


def _size(numbers: np.ndarray, at: int) -> int:
    """How many numbers the problem that starts at `at` takes; more than any file if it cannot."""
    if at + 2 > len(numbers):
        return 1 << 62
    m, n = numbers[at : at + 2]
    if min(m, n) < 1 or m != int(m) or n != int(n):
        return 1 << 62
    return 2 + int(m) * (2 * int(n) + 1)


def _problem(name: str, numbers: np.ndarray, at: int) -> Problem:
    """The problem that starts at `at`."""
    m, n = (int(x) for x in numbers[at : at + 2])
    first = at + 2
    cost, use = numbers[first : first + 2 * m * n].reshape(2, m, n)
    return Problem(name, cost, use, numbers[first + 2 * m * n : first + m * (2 * n + 1)])


def write(problem: Problem, path: Path | str) -> None:
    """Write a problem of whole numbers in the format that `read` reads."""
    rows = [problem.cost.shape, *problem.cost, *problem.use, problem.capacity]
    lines = [" ".join(str(int(x)) for x in row) for row in rows]
    Path(path).write_text("\n".join(lines) + "\n")


def best_known(path: Path | str) -> dict[str, float]:
    """Name -> best known value, from a table with columns `Path` and `Best known ...`.

    Raises:
        InputError: no such table.
    """
    try:
        with Path(path).open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {row["Path"]: float(row["Best known solution value"]) for row in rows}
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"`{path}` is no table of best known values: {error!r}") from error


def make(kind: str, *, agents: int, jobs: int, seed: int) -> Problem:
    """A random problem of a published type, in whole numbers; another draw than the library's.

    | kind | use | cost | capacity of an agent |
    | --- | --- | --- | --- |
    | a | U[5, 25] | U[10, 50] | 9 jobs / agents + 0.4 times the most that the cheapest plan loads |
    | b | as a | as a | 0.7 times a's |
    | c | as a | as a | 0.8 times the mean over agents of all jobs' use, agent by agent |
    | d | U[1, 100] | 111 - use + U[-10, 10] | as c |
    | e | 1 - 10 ln U(0, 1] | 1000 / use - 10 U[0, 1] | as c |

    Uses and costs of type e are rounded to whole numbers, capacities are cut to them.

    Raises:
        InputError: an unknown kind, or no agents or jobs.
    """
    if kind not in KINDS or agents < 1 or jobs < 1:
        raise InputError(
            f"An assignment problem is of kind {', '.join(KINDS)} and has agents and jobs. "
            f"Got kind {kind}, {agents} agents, {jobs} jobs"
        )
    rng = np.random.default_rng([seed, agents, jobs, ord(kind)])
    shape = agents, jobs
    if kind == "d":
        use = rng.integers(1, 100, shape, endpoint=True).astype(float)
        cost = 111 - use + rng.integers(-10, 10, shape, endpoint=True)
    elif kind == "e":
        use = np.rint(1 - 10 * np.log(1 - rng.random(shape)))
        cost = np.rint(1000 / use - 10 * rng.random(shape))
    else:
        use = rng.integers(5, 25, shape, endpoint=True).astype(float)
        cost = rng.integers(10, 50, shape, endpoint=True).astype(float)
    capacity = 0.8 * use.sum(1) / agents
    if kind in "ab":
        cheapest = cost.argmin(0)
        most = np.bincount(cheapest, use[cheapest, np.arange(jobs)], agents).max()
        capacity = np.full(agents, 9.0 * jobs / agents + 0.4 * most) * (0.7 if kind == "b" else 1)
    return Problem(f"{kind}{agents:02}{jobs:03}-{seed}", cost, use, np.floor(capacity))
