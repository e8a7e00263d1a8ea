"""POP: random parts of the requests, each with its share of every capacity, solved by HiGHS.

References:
    Narayanan et al., Solving large-scale granular resource allocation problems efficiently with
    POP, SOSP 2021.
"""

import numpy as np

from jaxplace.compare.answer import Answer, Fraction, Task
from jaxplace.compare.methods.highs import solve_lp, versions
from jaxplace.compare.model import Model
from jaxplace.compare.settings import Pop


def parts(task: Task) -> Answer:
    """The parts' solutions together; the mean of their duals gives a bound."""
    settings: Pop = task.settings
    model = Model.of(task.instance)
    rng = np.random.default_rng(task.seed)
    order = rng.permutation(len(model.count))
    flows, duals, usd, done = [], np.zeros(len(model.limit)), 0.0, True
    for p in range(settings.parts):
        part = model.part(np.sort(order[p :: settings.parts]), 1 / settings.parts)
        if not len(part.count):
            continue
        values, price, cost, optimal = solve_lp(
            part,
            settings.solver,
            crossover=False,
            seed=task.seed,
            seconds=task.left() / (settings.parts - p),
        )
        on = np.nonzero(values > 1e-9)[0]
        rows = np.sort(order[p :: settings.parts])[part.row[on]]
        flows.append(Fraction(model.merged.first[rows], part.region[on], values[on]))
        duals, usd, done = duals + price / settings.parts, usd + cost, done and optimal
    together = (np.concatenate([getattr(f, n) for f in flows]) for n in ("row", "region", "amount"))
    return Answer(
        fraction=Fraction(*together),
        duals=model.duals(duals),
        claimed_usd=usd,
        done=done,
        versions=versions(),
    )
