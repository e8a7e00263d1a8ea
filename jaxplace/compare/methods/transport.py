"""Optimal transport, exact and entropic: rows send use to regions, a dummy row sends the slack.

Mass is use, so a cost is per use.  "Unplaced" is one more target that takes everything.  This is
the relaxation itself where there is one resource and no region changes what a unit uses.

References:
    Cuturi, Sinkhorn distances, NeurIPS 2013; Cuturi et al., Optimal Transport Tools, 2022.
    Flamary et al., POT: Python Optimal Transport, JMLR 22 (2021).
"""

from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from jaxplace.compare.answer import Answer, Fraction, NotApplicable, Task
from jaxplace.compare.model import Model
from jaxplace.compare.settings import Emd, Sinkhorn
from jaxplace.instance import NOWHERE, DenseTerms, Instance
from jaxplace.placement import Duals


FORBIDDEN = 1e3  # times the largest cost per use
FIRST = 0.1  # temperature of the first stage [share of the mean cost]
CHUNK = 50  # Sinkhorn's steps between looks at the clock
MARGIN = 1.0  # seconds kept for handing over


@dataclass(frozen=True)
class _Transport:
    """Masses and costs; the last row is the dummy's, the last column "unplaced".

    Attributes:
        model: the program it is made from.
        size: [k] use of one unit of a row.
        open: regions with capacity, the columns.
        cost: [k + 1, open + 1] per use, in `model.usd`.
        supply: [k + 1]; demand: [open + 1]; equal sums.
    """

    model: Model
    size: np.ndarray
    open: np.ndarray
    cost: np.ndarray
    supply: np.ndarray
    demand: np.ndarray

    @classmethod
    def of(cls, instance: Instance) -> "_Transport":
        model = Model.of(instance)
        small = model.merged.instance
        _check(small)
        size = small.use[:, 0].copy()
        size[size == 0] = size[size > 0].min(initial=1.0) * 1e-9  # it has to go somewhere
        capacity = small.capacity[:, 0]
        usable = np.nonzero(capacity > 0)[0]
        column = np.full(small.regions + 1, -1)
        column[usable] = np.arange(len(usable))
        column[-1] = len(usable)  # NOWHERE
        per_use = model.cost / size[model.row]
        cost = np.full((small.rows + 1, len(usable) + 1), FORBIDDEN * np.abs(per_use).max())
        cost[model.row, column[model.region]] = per_use
        cost[-1] = 0.0
        mass = small.count * size
        supply = np.append(mass, capacity[usable].sum())
        demand = np.append(capacity[usable], mass.sum())
        return cls(model, size, usable, cost, supply, demand)

    def fraction(self, moved: np.ndarray) -> Fraction:
        """Mass moved [k + 1, open + 1] as units."""
        least = 1e-6 * self.supply[:-1, None]
        i, c = np.nonzero((moved[:-1] > least) & (self.cost[:-1] < self.cost.max()))
        region = np.append(self.open, NOWHERE)[c]
        return Fraction(self.model.merged.first[i], region, moved[i, c] / self.size[i])

    def duals(self, potential: np.ndarray) -> Duals:
        """Potentials of the columns, in `model.usd` per use, as duals: 0 at "unplaced"."""
        full = np.zeros(self.model.merged.instance.capacity.shape)
        full[self.open, 0] = np.maximum(potential[-1] - potential[:-1], 0.0) * self.model.usd
        return Duals(full)


def _check(instance: Instance) -> None:
    """Refuse what is no transport problem."""
    terms, policy = instance.terms, instance.policy
    factor = terms.use_factor
    plain = factor is None if isinstance(terms, DenseTerms) else bool(np.all(factor == 1))
    if len(instance.resources) > 1 or not plain:
        raise NotApplicable("transport has one resource, and use that no region changes")
    if policy.max_moves is not None or policy.carbon_cap_kg is not None:
        raise NotApplicable("transport has no fleet budgets")


def emd(task: Task) -> Answer:
    """Exact transport by POT's network simplex."""
    import ot

    settings: Emd = task.settings
    problem = _Transport.of(task.instance)
    supply = problem.supply / problem.supply.sum()
    demand = problem.demand / problem.demand.sum()
    moved, log = ot.lp.emd(
        supply, demand, problem.cost, numItermax=settings.max_iterations, log=True
    )
    mass = problem.supply.sum()
    usd = float(log["cost"]) * mass * problem.model.usd
    done = log["warning"] is None
    return Answer(
        fraction=problem.fraction(moved * mass),
        duals=problem.duals(np.asarray(log["v"])),
        claimed_usd=usd,
        claimed_bound_usd=usd if done else None,
        done=done,
        versions={"pot": metadata.version("pot")},
    )


def sinkhorn(task: Task) -> Answer:
    """Entropic transport by OTT-JAX, from warm to cold, as far as the time goes."""
    import jax
    import jax.numpy as jnp
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn as ott

    settings: Sinkhorn = task.settings
    jax.config.update("jax_enable_x64", True)
    problem = _Transport.of(task.instance)
    mass = problem.supply.sum()
    a, b, cost = (
        jnp.asarray(x) for x in (problem.supply / mass, problem.demand / mass, problem.cost)
    )
    near = problem.cost[:-1, :-1][problem.cost[:-1, :-1] < problem.cost.max()]
    mean = float(np.abs(near).mean()) if len(near) else 1.0
    make: Any = geometry.Geometry  # its annotation knows no traced temperature
    solver: Any = ott.Sinkhorn(
        threshold=settings.threshold, max_iterations=CHUNK, inner_iterations=10
    )

    @jax.jit
    def steps(f: jax.Array, g: jax.Array, epsilon: jax.Array) -> tuple[jax.Array, ...]:
        geom = make(cost_matrix=cost, epsilon=epsilon)
        out = solver(linear_problem.LinearProblem(geom, a, b), init=(f, g))
        return out.f, out.g, out.converged

    f, g = jnp.zeros(len(a)), jnp.zeros(len(b))
    share, done = max(FIRST, settings.epsilon), False
    while task.left() > MARGIN:
        f, g, settled = steps(f, g, jnp.asarray(share * mean))
        if bool(settled):
            done = share <= settings.epsilon
            if done:
                break
            share = max(share * settings.cooling, settings.epsilon)
    moved = np.asarray(jnp.exp((f[:, None] + g[None] - cost) / (share * mean))) * mass
    return Answer(
        fraction=problem.fraction(moved),
        duals=problem.duals(np.asarray(g)),
        claimed_usd=float((moved * problem.cost)[:-1].sum()) * problem.model.usd,
        done=done,
        versions={"ott-jax": metadata.version("ott-jax"), "jax": jax.__version__},
    )
