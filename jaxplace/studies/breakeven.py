"""The break-even table: what moving a class of requests to each region would save and cost."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from jaxplace import evaluate
from jaxplace.placement import Placement
from jaxplace.studies.variants import terms_of


BLOCK_ROWS = 1 << 20  # rows of the table that are made at a time
SUMS = ("units", "allowed_share", "saving_usd", "egress_usd", "move_usd", "dual_usd", "kwh")


def break_even(placement: Placement, home: np.ndarray) -> Iterator[pd.DataFrame]:
    """Per unit of each class (origin, workload), for every region that some of its units may use.

    Columns, as means over the class's units, USD per unit:
        saving_usd: electricity and priced carbon at home less those at the region.
        egress_usd, move_usd: the frictions: what egress and moves cost more than at home.
        dual_usd: the capacity dual paid at the region less the one given back at home.
        net_usd: saving less frictions and dual; worth_it: above 0.
        break_even_usd_per_mwh: the electricity price at the region at which net_usd is 0.
        allowed_share: share of the class's units that the region may take.

    Rows without a home have nothing to move from and are left out.
    """
    instance = placement.instance
    terms, places = terms_of(instance, "frontier"), instance.places
    assert places is not None
    k = len(terms.hosted)
    code = terms.origin.astype(np.int64) * k + terms.workload
    rows = np.flatnonzero(home >= 0)
    rows = rows[np.argsort(code[rows], kind="stable")]
    classes, first = np.unique(code[rows], return_index=True)
    edges = np.append(first, len(rows))
    per_block = max(1, BLOCK_ROWS // max(1, instance.regions))
    for a in range(0, len(classes), per_block):
        b = min(a + per_block, len(classes))
        table = _classes(placement, rows, edges[a : b + 1], home)
        kept = table["allowed_share"] > 0
        c, j = np.nonzero(kept)
        origin, workload = np.divmod(classes[a:b][c], k)
        yield pd.DataFrame(
            {
                "origin": np.asarray(places.origin_id, object).astype(str)[origin],
                "workload": np.asarray(places.workload_id, object).astype(str)[workload],
                "region": np.asarray(instance.region_id, object).astype(str)[j],
                **{name: values[kept] for name, values in table.items()},
                "worth_it": table["net_usd"][kept] > 0,
            }
        )


def _classes(
    placement: Placement, rows: np.ndarray, edges: np.ndarray, home: np.ndarray
) -> dict[str, np.ndarray]:
    """The columns [c, m] of some classes; class q has the rows edges[q] to edges[q + 1]."""
    terms, m = terms_of(placement.instance, "frontier"), placement.instance.regions
    sums = {name: np.zeros((len(edges) - 1, m)) for name in SUMS}
    step = max(1, evaluate.BLOCK_PAIRS // max(1, m))
    for start in range(edges[0], edges[-1], step):
        stop = min(start + step, edges[-1])
        q = np.searchsorted(edges, start, "right") - 1
        cuts = np.concatenate([[start], edges[(edges > start) & (edges < stop)]]) - start
        for name, values in _weighted(placement, rows[start:stop], home).items():
            sums[name][q : q + len(cuts)] += np.add.reduceat(values, cuts, axis=0)
    units, kwh = sums.pop("units"), sums.pop("kwh")
    mean = {name: values / units for name, values in sums.items()}
    net = mean["saving_usd"] - mean["egress_usd"] - mean["move_usd"] - mean["dual_usd"]
    gain = np.divide(1e3 * net * units, kwh, out=np.full_like(net, np.nan), where=kwh > 0)
    price = terms.price_usd_per_mwh + gain
    return {"units": units, **mean, "net_usd": net, "break_even_usd_per_mwh": price}


def _weighted(placement: Placement, rows: np.ndarray, home: np.ndarray) -> dict[str, np.ndarray]:
    """What each of some rows adds to its class's sums, all its units together, [b, m]."""
    instance, duals = placement.instance, placement.duals.capacity
    count, at = instance.count[rows].astype(float)[:, None], home[rows]
    here, there = evaluate.parts(instance, rows, at), evaluate.parts(instance, rows)
    more = {name: count * (there.cost[name] - here.cost[name][:, None]) for name in there.cost}
    dual = np.zeros(there.kwh.shape)
    for r in range(duals.shape[1]):
        paid = evaluate.use(instance, r, rows) * duals[:, r]
        back = evaluate.use(instance, r, rows, at) * duals[at, r]
        dual += count * (paid - back[:, None])
    return {
        "units": np.broadcast_to(count, dual.shape),
        "allowed_share": count * evaluate.allowed(instance, rows),
        "saving_usd": -(more["energy_usd"] + more["carbon_usd"]),
        "egress_usd": more["egress_usd"],
        "move_usd": more["move_usd"],
        "dual_usd": dual,
        "kwh": count * there.kwh,
    }
