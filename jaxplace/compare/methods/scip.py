"""SCIP: whole units by branch, cut and price.

References:
    Bolusani et al., The SCIP Optimization Suite 9.0, 2024.
"""

import numpy as np

from jaxplace.compare.answer import Answer, Task
from jaxplace.compare.model import Model
from jaxplace.compare.settings import Exact


def whole(task: Task) -> Answer:
    """Whole units; the bound of the tree is claimed, for no duals certify it."""
    import pyscipopt

    settings: Exact = task.settings
    model = Model.of(task.instance)
    scip = pyscipopt.Model()
    scip.hideOutput()
    x = [scip.addVar(vtype="I", lb=0, obj=c) for c in model.cost.tolist()]
    for i, count in enumerate(model.count.tolist()):
        here = x[model.start[i] : model.start[i + 1]]
        scip.addCons(pyscipopt.quicksum(here) == count)
    rows = model.entries.tocsr()
    for k, limit in enumerate(model.limit.tolist()):
        at = slice(rows.indptr[k], rows.indptr[k + 1])
        pairs = zip(rows.data[at].tolist(), rows.indices[at].tolist(), strict=True)
        if at.stop > at.start:
            scip.addCons(pyscipopt.quicksum(use * x[v] for use, v in pairs) <= limit)
    scip.setParam("limits/gap", settings.mip_gap)
    scip.setParam("limits/time", task.left())
    scip.setParam("numerics/feastol", 1e-9)
    scip.setParam("randomization/randomseedshift", task.seed % 2**31)
    scip.optimize()
    found = scip.getNSols() > 0
    bound = scip.getDualbound() * model.usd
    best = scip.getBestSol() if found else None
    values = np.array([best[v] for v in x]) if best is not None else None
    return Answer(
        plan=None if values is None else model.plan(values),
        claimed_usd=scip.getObjVal() * model.usd if found else None,
        claimed_bound_usd=bound if abs(bound) < 1e19 * model.usd else None,
        done=scip.getStatus() in ("optimal", "gaplimit"),
        versions={"pyscipopt": pyscipopt.__version__, "scip": str(scip.version())},
    )
