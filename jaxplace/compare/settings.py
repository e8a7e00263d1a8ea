"""What `compare` may be told: which methods, how long, how much memory, and each one's settings.

The classes are the schema of the command line, as in `jaxplace.settings`.
"""

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from jaxplace.settings import check


Rule = tuple[Callable[[float], bool], str]
_ONE: Rule = (lambda v: v >= 1, ">= 1")
_ABOVE: Rule = (lambda v: v > 0, "above 0")
_SHARE: Rule = (lambda v: 0 <= v < 1, "a share in [0, 1)")
_FALL: Rule = (lambda v: 0 < v < 1, "a factor between 0 and 1")


def _check(settings: object, **rules: Rule) -> None:
    """Refuse values out of range, all at once."""
    given = {name: getattr(settings, name) for name in rules}
    owner = f"method.{type(settings).__name__}."
    check(owner, {k: (holds(given[k]), words, given[k]) for k, (holds, words) in rules.items()})


class HighsSolver(enum.Enum):
    """Which of HiGHS's solvers for linear programs."""

    ipx = "ipx"
    simplex = "simplex"


@dataclass
class HighsLp:
    """HiGHS on the relaxation to fractional units.

    Attributes:
        solver: ipx, the interior point method, or simplex.
        crossover: whether ipx ends with a crossover to a vertex.
    """

    solver: HighsSolver = HighsSolver.ipx
    crossover: bool = False


@dataclass
class HighsSimplex(HighsLp):
    """The same by the dual simplex method.

    Attributes:
        solver: ipx, the interior point method, or simplex.
        crossover: whether ipx ends with a crossover to a vertex.
    """

    solver: HighsSolver = HighsSolver.simplex


@dataclass
class Exact:
    """A solver of whole units by branch and bound.

    Attributes:
        mip_gap: stop when its own gap is at most this [share of objective].
    """

    mip_gap: float = 1e-4

    def __post_init__(self) -> None:
        _check(self, mip_gap=_SHARE)


@dataclass
class Pdlp:
    """A first-order method for linear programs.

    Attributes:
        tolerance: relative tolerance of its optimality criteria.
    """

    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        _check(self, tolerance=_ABOVE)


@dataclass
class CpSat:
    """OR-Tools CP-SAT; it knows integers only.

    Attributes:
        mip_gap: stop when its own gap is at most this [share of objective].
        steps: a cost or use that is no whole number is rounded to the largest one's share 1 / this.
    """

    mip_gap: float = 1e-4
    steps: int = 1_000_000

    def __post_init__(self) -> None:
        _check(self, mip_gap=_SHARE, steps=_ONE)


@dataclass
class Flow:
    """Minimum cost flow; its costs are integers.

    Attributes:
        steps: a cost that is no whole number is rounded to the largest one's share 1 / this.
    """

    steps: int = 1_000_000_000

    def __post_init__(self) -> None:
        _check(self, steps=_ONE)


@dataclass
class Sinkhorn:
    """Entropic optimal transport, cooled in stages.

    Attributes:
        epsilon: last temperature [share of the mean cost].
        cooling: factor from stage to stage, from a temperature of 0.1 on.
        threshold: error of the marginals at which a stage ends [share of all mass].
    """

    epsilon: float = 1e-3
    cooling: float = 0.1
    threshold: float = 1e-3

    def __post_init__(self) -> None:
        _check(self, epsilon=_ABOVE, threshold=_ABOVE, cooling=_FALL)


@dataclass
class Emd:
    """Exact optimal transport by network simplex.

    Attributes:
        max_iterations: of the network simplex.
    """

    max_iterations: int = 100_000_000

    def __post_init__(self) -> None:
        _check(self, max_iterations=_ONE)


@dataclass
class Pop:
    """Partitioned problems, each solved by HiGHS.

    Attributes:
        parts: random parts of the requests, each with that share of every capacity.
        solver: HiGHS's solver for the parts: ipx or simplex.
    """

    parts: int = 4
    solver: HighsSolver = HighsSolver.ipx

    def __post_init__(self) -> None:
        _check(self, parts=_ONE)


@dataclass
class Ridge:
    """Accelerated dual ascent on the linear program with a ridge.

    Attributes:
        first: weight of the ridge at the start [share of the mean cost].
        last: weight of the ridge at the end; it falls by half each stage.
        steps: of each stage.
    """

    first: float = 1.0
    last: float = 1e-3
    steps: int = 200

    def __post_init__(self) -> None:
        _check(self, first=_ABOVE, last=_ABOVE, steps=_ONE)


@dataclass
class Plain:
    """A rule without settings."""


@dataclass
class Ours:
    """jaxplace's own solve.

    Attributes:
        gap_target: stop when the certified gap is at most this, in [0, 1) [share of objective].
    """

    gap_target: float = 1e-3

    def __post_init__(self) -> None:
        _check(self, gap_target=_SHARE)


@dataclass
class MethodSettings:
    """The settings of every method, by its name.

    Attributes:
        highs_lp: HiGHS, interior point, fractional.
        highs_simplex: HiGHS, dual simplex, fractional.
        highs_mip: HiGHS, whole units.
        ortools_pdlp: OR-Tools PDLP, fractional.
        cp_sat: OR-Tools CP-SAT, whole units.
        scip: SCIP, whole units.
        min_cost_flow: OR-Tools minimum cost flow, whole units of equal use.
        ott_sinkhorn: OTT-JAX Sinkhorn, fractional.
        pot_emd: POT network simplex, fractional.
        mpax: MPAX r2HPDHG, fractional.
        pop: POP around HiGHS, fractional.
        agd_ridge: accelerated dual ascent as in DuaLip, fractional.
        greedy: cheapest region with room.
        nearest: nearest region with room.
        local_search: greedy, then shifts and exchanges.
        jaxplace: this program.
    """

    highs_lp: HighsLp = field(default_factory=HighsLp)
    highs_simplex: HighsSimplex = field(default_factory=HighsSimplex)
    highs_mip: Exact = field(default_factory=Exact)
    ortools_pdlp: Pdlp = field(default_factory=Pdlp)
    cp_sat: CpSat = field(default_factory=CpSat)
    scip: Exact = field(default_factory=Exact)
    min_cost_flow: Flow = field(default_factory=Flow)
    ott_sinkhorn: Sinkhorn = field(default_factory=Sinkhorn)
    pot_emd: Emd = field(default_factory=Emd)
    mpax: Pdlp = field(default_factory=Pdlp)
    pop: Pop = field(default_factory=Pop)
    agd_ridge: Ridge = field(default_factory=Ridge)
    greedy: Plain = field(default_factory=Plain)
    nearest: Plain = field(default_factory=Plain)
    local_search: Plain = field(default_factory=Plain)
    jaxplace: Ours = field(default_factory=Ours)


@dataclass
class CompareSettings:
    """What a comparison may be told beside its instances and methods.

    Attributes:
        time_limit_s: each method's time from the moment it has the instance, > 0 [s].
        grace_s: beyond it, for starting, rounding and handing over, until it is killed, >= 0 [s].
        memory_limit_gb: resident memory at which a method is killed, > 0 [GB].
        gap_target: the gap whose time is reported, in [0, 1) [share of objective].
        candidates: cheapest regions per request that the common rounding considers, >= 1.
        seed: of every random choice, >= 0.
        method: the settings of each method.
    """

    time_limit_s: float = 25.0
    grace_s: float = 10.0
    memory_limit_gb: float = 8.0
    gap_target: float = 1e-3
    candidates: int = 16
    seed: int = 0
    method: MethodSettings = field(default_factory=MethodSettings)

    def __post_init__(self) -> None:
        def above(value: float) -> bool:
            return value > 0 and not math.isnan(value)

        check(
            "",
            {
                "time_limit_s": (above(self.time_limit_s), "above 0 s", self.time_limit_s),
                "grace_s": (self.grace_s >= 0, ">= 0 s", self.grace_s),
                "memory_limit_gb": (above(self.memory_limit_gb), "above 0", self.memory_limit_gb),
                "gap_target": (0 <= self.gap_target < 1, "a share in [0, 1)", self.gap_target),
                "candidates": (self.candidates >= 1, ">= 1", self.candidates),
                "seed": (0 <= self.seed < 2**32, "an integer in [0, 2**32)", self.seed),
            },
        )
