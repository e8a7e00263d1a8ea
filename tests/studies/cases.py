"""Scenarios small enough to be solved by hand, and fleets with ids that try to be markup."""

import numpy as np
import pandas as pd

from jaxplace.scenario import Scenario


EVIL = "\"><script>alert('x')</script>"


def three(*, capacity=(100.0, 100.0, 100.0), requests=None, **tables):
    """One origin beside `near` (5 ms, 100 USD/MWh); `mid` (20 ms, 50) in its country; `far`
    (200 ms, 10) in another.  By default one request of ten units of 1 kWh, 1 gpu, 100 ms."""
    regions = ["near", "mid", "far"]
    one = pd.DataFrame(
        {
            "request_id": ["q"],
            "origin": ["o"],
            "energy_kwh": [1.0],
            "use_gpu": [1.0],
            "count": [10],
            "latency_budget_ms": [100.0],
        }
    )
    given = {
        "requests": one if requests is None else requests,
        "regions": pd.DataFrame(
            {
                "region": regions,
                "latitude": [0.0, 0.0, 0.0],
                "longitude": [0.0, 1.0, 90.0],
                "country": ["DE", "DE", "US"],
                "grid_zone": ["a", "b", "b"],
                "pue": [1.0, 1.0, 1.0],
                "capacity_gpu": list(capacity),
            }
        ),
        "origins": pd.DataFrame(
            {"origin": ["o"], "latitude": [0.0], "longitude": [0.0], "country": ["DE"]}
        ),
        "latency": pd.DataFrame(
            {"origin": ["o"] * 3, "region": regions, "rtt_ms": [5.0, 20.0, 200.0]}
        ),
        "signals": pd.DataFrame(
            {
                "time_utc": pd.to_datetime(["2022-07-01T12:00"] * 2, utc=True),
                "grid_zone": ["a", "b"],
                "price_usd_per_mwh": [100.0, 50.0],
                "carbon_g_per_kwh": [200.0, 400.0],
            }
        ),
    }
    given["regions"].loc[2, "grid_zone"] = "c"
    given["signals"].loc[2] = [given["signals"]["time_utc"][0], "c", 10.0, 100.0]
    return Scenario(**{**given, **tables})


def fleet(*, n=300, m=30, integer_ids=False, budgets=True, prefix="r"):
    """Requests of equal demand over a few tens of regions; current regions for half of them."""
    rng = np.random.default_rng(1)
    names = np.arange(m) + 5 if integer_ids else np.array([f"{prefix}{j}" for j in range(m)])
    origins = np.array([f"{prefix}o{k}" for k in range(5)])
    requests = pd.DataFrame(
        {
            "request_id": np.arange(n) + 1000
            if integer_ids
            else np.array([f"{prefix}q{i}" for i in range(n)]),
            "origin": origins[np.arange(n) % 5],
            "workload": [f"{prefix}w{i % 2}" for i in range(n)],
            "energy_kwh": 1.0,
            "use_gpu": 1.0,
            "count": 4,
            "egress_gb": 0.01,
        }
    )
    if budgets:
        requests["latency_budget_ms"] = np.where(np.arange(n) % 3, 120.0, np.nan)
        requests["client_rtt_ms"] = 3.0
    current = pd.Series(names[rng.integers(0, m, n)]).astype(object)
    requests["current_region"] = current.where(np.arange(n) % 2 == 0, None)
    if integer_ids:
        requests["current_region"] = requests["current_region"].astype("Int64")
    zones = [f"z{j % 7}" for j in range(m)]
    return Scenario(
        requests=requests,
        regions=pd.DataFrame(
            {
                "region": names,
                "latitude": rng.uniform(-50, 60, m),
                "longitude": rng.uniform(-150, 150, m),
                "country": [["DE", "US", "NA"][j % 3] for j in range(m)],
                "grid_zone": zones,
                "pue": 1.2,
                "capacity_gpu": 1.3 * 4 * n / m,
            }
        ),
        origins=pd.DataFrame(
            {
                "origin": origins,
                "latitude": rng.uniform(-50, 60, 5),
                "longitude": rng.uniform(-150, 150, 5),
                "country": "DE",
            }
        ),
        latency=pd.DataFrame(
            {
                "origin": np.repeat(origins, m),
                "region": np.tile(names, 5),
                "rtt_ms": rng.uniform(5, 250, 5 * m),
            }
        ),
        signals=pd.DataFrame(
            {
                "time_utc": pd.to_datetime(["2022-07-01T12:00"] * 7, utc=True),
                "grid_zone": [f"z{k}" for k in range(7)],
                "price_usd_per_mwh": rng.uniform(20, 200, 7),
                "carbon_g_per_kwh": rng.uniform(20, 600, 7),
            }
        ),
    )
