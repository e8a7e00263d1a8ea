"""A scenario of a few hours whose prices turn round, small enough to solve in milliseconds."""

import numpy as np
import pandas as pd


HOURS = [f"2022-07-01T{h:02d}:00" for h in range(24)]


def tables(requests=30, hours=HOURS, *, room=1.5, seed=0):
    """DataFrames of a scenario with three regions, whose prices change from hour to hour."""
    rng = np.random.default_rng(seed)
    names = ["eu", "us", "as"]
    where = {"latitude": [50.0, 40.0, 1.0], "longitude": [8.0, -75.0, 103.0]}
    countries = {"country": ["DE", "US", "SG"]}
    count = rng.integers(1, 20, requests)
    return {
        "requests": pd.DataFrame(
            {
                "request_id": [f"r{k}" for k in range(requests)],
                "origin": rng.choice(names, requests),
                "energy_kwh": rng.uniform(0.5, 2.0, requests),
                "use_gpu": rng.uniform(0.5, 2.0, requests),
                "count": count,
                "state_gb": 0.01,
            }
        ),
        "regions": pd.DataFrame(
            {
                "region": names,
                **where,
                **countries,
                "grid_zone": ["z0", "z1", "z2"],
                "pue": [1.1, 1.2, 1.3],
                "capacity_gpu": room * 1.25 * count.sum() / 3,
            }
        ),
        "origins": pd.DataFrame({"origin": names, **where, **countries}),
        "latency": pd.DataFrame(
            [(a, b, 1.0 + 80.0 * (a != b)) for a in names for b in names],
            columns=["origin", "region", "rtt_ms"],
        ),
        "signals": pd.DataFrame(
            {
                "time_utc": np.repeat(hours, 3),
                "grid_zone": ["z0", "z1", "z2"] * len(hours),
                "price_usd_per_mwh": rng.uniform(20, 300, 3 * len(hours)),
                "carbon_g_per_kwh": rng.uniform(50, 700, 3 * len(hours)),
            }
        ),
    }


def write(folder, **frames):
    """The tables as CSV files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in {**tables(), **frames}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder
