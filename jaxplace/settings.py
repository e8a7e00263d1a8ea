"""What a solve may be told beside the instance: how good, how long, where, and by which method.

The classes are plain dataclasses, so that each is at once the Python interface, the schema of the
command line (`config`) and, through its docstring, the text of `--help`.  There is no second
definition of an option anywhere.
"""

import enum
import math
from dataclasses import dataclass, field

from jaxplace.errors import InputError


class Device(enum.Enum):
    """Where the arithmetic runs."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Method(enum.Enum):
    """How the relaxation finds the capacity duals."""

    newton = "newton"
    first_order = "first_order"


def check(owner: str, rules: dict[str, tuple[bool, str, object]]) -> None:
    """Raise one `InputError` that names every rule that does not hold.

    Args:
        owner: prefix of the option's name, such as "solver.", or "".
        rules: option -> (whether it holds, the rule in words, what came).

    Raises:
        InputError: at least one rule does not hold.
    """
    faults = [
        f"`{owner}{name}` must be {rule}. Got {got}"
        for name, (holds, rule, got) in rules.items()
        if not holds
    ]
    if faults:
        raise InputError(*faults)


@dataclass
class SolverSettings:
    """How the solver works; the defaults suit everything that was measured.

    Attributes:
        method: newton, or first_order where regions x resources is above some thousand.
        max_steps: most steps of the relaxation, >= 1 [steps].
        sample_rows: rows on which the first duals are found, >= 1 [rows].
        candidates: cheapest regions that are kept per row for rounding and repair, >= 1 [regions].
        attempts: at a plan good enough, >= 0, after a hasty one; one at least where none is made:
            with few or very many requests.
    """

    method: Method = Method.newton
    max_steps: int = 2000
    sample_rows: int = 16_384
    candidates: int = 16
    attempts: int = 4

    def __post_init__(self) -> None:
        names = ("max_steps", "sample_rows", "candidates")
        rules = {n: (getattr(self, n) >= 1, ">= 1", getattr(self, n)) for n in names}
        check("solver.", {**rules, "attempts": (self.attempts >= 0, ">= 0", self.attempts)})


@dataclass
class Settings:
    """What a solve may be told beside the instance.

    Attributes:
        gap_target: stop when the certified gap is at most this, in [0, 1) [share of objective].
        time_limit_s: stop after this long with the best plan so far, > 0 [s].
        seed: of every random choice, >= 0; the same seed gives the same plan.
        device: where the arithmetic runs: auto takes a GPU if there is one.
        solver: how the solver works.
    """

    gap_target: float = 1e-3
    time_limit_s: float = 600.0
    seed: int = 0
    device: Device = Device.auto
    solver: SolverSettings = field(default_factory=SolverSettings)

    def __post_init__(self) -> None:
        gap, limit = self.gap_target, self.time_limit_s
        check(
            "",
            {
                "gap_target": (0 <= gap < 1, "a share in [0, 1)", gap),
                "time_limit_s": (limit > 0 and not math.isnan(limit), "above 0 s", limit),
                "seed": (0 <= self.seed < 2**32, "an integer in [0, 2**32)", self.seed),
            },
        )
