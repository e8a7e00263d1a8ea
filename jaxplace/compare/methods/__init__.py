"""The methods, an adapter each: a function from a `Task` to an `Answer`.

An adapter states the instance in its solver's form, runs it for the time that the task has left,
and hands back what the solver says.  It imports its package inside, so that a missing one can be
told from a failing one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """Where a method is.

    Attributes:
        module: with the adapter; function: its name there.
        packages: what it needs: name to import -> name to install.
        words: what it is.
    """

    module: str
    function: str
    words: str
    packages: tuple[tuple[str, str], ...] = ()


_HERE = "jaxplace.compare.methods"
_HIGHS = (("highspy", "highspy"),)
_ORTOOLS = (("ortools", "ortools"),)

METHODS: dict[str, Method] = {
    "jaxplace": Method(f"{_HERE}.ours", "jaxplace", "this program"),
    "highs_lp": Method(f"{_HERE}.highs", "relaxation", "HiGHS IPX, fractional", _HIGHS),
    "highs_simplex": Method(f"{_HERE}.highs", "relaxation", "HiGHS simplex, fractional", _HIGHS),
    "highs_mip": Method(f"{_HERE}.highs", "whole", "HiGHS branch and cut", _HIGHS),
    "ortools_pdlp": Method(f"{_HERE}.pdlp", "relaxation", "OR-Tools PDLP, fractional", _ORTOOLS),
    "cp_sat": Method(f"{_HERE}.cp_sat", "whole", "OR-Tools CP-SAT", _ORTOOLS),
    "scip": Method(f"{_HERE}.scip", "whole", "SCIP", (("pyscipopt", "pyscipopt"),)),
    "min_cost_flow": Method(f"{_HERE}.flow", "whole", "OR-Tools min-cost flow", _ORTOOLS),
    "ott_sinkhorn": Method(
        f"{_HERE}.transport", "sinkhorn", "OTT-JAX Sinkhorn", (("ott", "ott-jax"),)
    ),
    "pot_emd": Method(f"{_HERE}.transport", "emd", "POT network simplex", (("ot", "pot"),)),
    "mpax": Method(f"{_HERE}.mpax_lp", "relaxation", "MPAX r2HPDHG", (("mpax", "mpax"),)),
    "pop": Method(f"{_HERE}.pop", "parts", "POP around HiGHS", _HIGHS),
    "agd_ridge": Method(f"{_HERE}.ridge", "ascent", "ridge dual ascent, as DuaLip"),
    "greedy": Method(f"{_HERE}.ours", "greedy", "cheapest region with room"),
    "nearest": Method(f"{_HERE}.ours", "nearest", "nearest region with room"),
    "local_search": Method(f"{_HERE}.ours", "local_search", "greedy, shifts, exchanges"),
}
