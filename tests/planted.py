"""Generalized assignment problems with a known optimum: name -> (instance, optimum)."""

import numpy as np

from jaxplace.instance import Instance


N, M = 40, 8  # every instance has this shape, so that all meet the same compiled program


def permutation() -> tuple[Instance, float]:
    """As many places as requests, and one cheap place for each."""
    rng = np.random.default_rng(0)
    home = rng.permutation(np.repeat(np.arange(M), N // M))
    cost = rng.uniform(1.0, 10.0, (N, M))
    cost[np.arange(N), home] = 0.5
    return Instance.from_arrays(cost=cost, use=np.ones(N), capacity=np.full(M, N // M)), 0.5 * N


def transport() -> tuple[Instance, float]:
    """Integral supplies, demands and costs: some best plan is one of whole units."""
    rng = np.random.default_rng(1)
    cost = rng.integers(1, 40, (N, M)).astype(float)
    count = rng.integers(1, 20, N)
    capacity = np.full(M, np.ceil(count.sum() / M))
    instance = Instance.from_arrays(cost=cost, use=np.ones(N), capacity=capacity, count=count)
    from highs import lp_optimum  # of a transport problem: whole by total unimodularity

    return instance, lp_optimum(instance)


def one_region_suffices() -> tuple[Instance, float]:
    """The cheapest region has room for all."""
    cost = np.tile(np.arange(1.0, M + 1), (N, 1))
    return Instance.from_arrays(cost=cost, use=np.ones(N), capacity=np.full(M, 2.0 * N)), float(N)


def tight_knapsack() -> tuple[Instance, float]:
    """Regions that the planted plan fills to the last unit, with uses of all sizes."""
    rng = np.random.default_rng(2)
    use = rng.integers(1, 30, N).astype(float)
    home = np.arange(N) % M
    cost = rng.uniform(2.0, 10.0, (N, M))
    cost[np.arange(N), home] = 1.0
    capacity = np.bincount(home, use, M)
    return Instance.from_arrays(cost=cost, use=use, capacity=capacity), float(N)


def one_unit_short() -> tuple[Instance, float]:
    """Room for all units but one, whichever."""
    capacity = np.full(M, float(N // M))
    capacity[3] -= 1
    instance = Instance.from_arrays(
        cost=np.ones((N, M)), use=np.ones(N), capacity=capacity, unplaced=10.0
    )
    return instance, N - 1 + 10.0


def ties() -> tuple[Instance, float]:
    """Every plan that places all costs the same."""
    instance = Instance.from_arrays(
        cost=np.full((N, M), 3.0), use=np.ones(N), capacity=np.full(M, N // M), unplaced=100.0
    )
    return instance, 3.0 * N


def negative_costs() -> tuple[Instance, float]:
    """Who is paid to run, runs where he is paid most."""
    rng = np.random.default_rng(3)
    cost = -rng.uniform(1.0, 10.0, (N, M))
    instance = Instance.from_arrays(
        cost=cost, use=np.ones(N), capacity=np.full(M, float(N)), unplaced=0.0
    )
    return instance, float(cost.min(1).sum())


def nothing_used() -> tuple[Instance, float]:
    """Requests that use nothing fit into regions of no capacity."""
    rng = np.random.default_rng(4)
    cost = rng.uniform(1.0, 10.0, (N, M))
    instance = Instance.from_arrays(cost=cost, use=np.zeros(N), capacity=np.zeros(M))
    return instance, float(cost.min(1).sum())


def free_of_charge() -> tuple[Instance, float]:
    """All costs are 0 and so is the optimum."""
    instance = Instance.from_arrays(
        cost=np.zeros((N, M)), use=np.ones(N), capacity=np.full(M, float(N))
    )
    return instance, 0.0


PLANTED = {
    make.__name__: make
    for make in (
        permutation,
        transport,
        one_region_suffices,
        tight_knapsack,
        one_unit_short,
        ties,
        negative_costs,
        nothing_used,
        free_of_charge,
    )
}
