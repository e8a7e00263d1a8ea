"""Warm solves against cold ones: the same hour, from the same current regions, to the same gap.

    pytest benchmarks/test_replan.py --benchmark-json=benchmarks/results/NAME.json

In this process, compiled programs warm, solves by turns.  The chain goes on from the warm plans, as
the loop does.  `$JAXPLACE_HOURS` is how many hours of the demo's 168 are measured, spread evenly;
each one is preceded by a warm plan of the hour before, which is not counted.
"""

import os
import statistics
import time

from jaxplace import Settings, load_scenario, solve
from jaxplace.start import Start


SETTINGS = Settings()


def timed(instance, start):
    """A placement and its seconds."""
    begun = time.perf_counter()
    placement = solve(instance, SETTINGS, warm_start=start)
    return placement, time.perf_counter() - begun


def test_warm_against_cold(benchmark, scenarios):
    scenario = load_scenario(scenarios.get("demo"))
    wanted = int(os.environ.get("JAXPLACE_HOURS", len(scenario.hours) - 2))
    step = (len(scenario.hours) - 2) // wanted
    last = solve(scenario.at(scenario.hours[0]), SETTINGS)
    rows = []

    def run():
        nonlocal last
        for k in range(1, wanted * step, step):
            for hour in scenario.hours[k : k + 2]:  # the first leads up to the second
                instance = scenario.replace(current=last.assignments).at(hour)
                start = Start.of(last)
                last, warm_s = timed(instance, start)
            cold, cold_s = timed(instance, None)
            rows.append(
                {
                    "hour": hour,
                    "warm_s": warm_s,
                    "cold_s": cold_s,
                    "ratio": warm_s / cold_s,
                    "warm_gap": last.certificate.gap,
                    "cold_gap": cold.certificate.gap,
                    "warm_usd": last.certificate.objective_usd,
                    "cold_usd": cold.certificate.objective_usd,
                    "moves": last.certificate.moves,
                }
            )

    benchmark.pedantic(run, rounds=1)
    middle = {
        name: statistics.median(row[name] for row in rows) for name in rows[0] if name != "hour"
    }
    benchmark.extra_info |= {
        "kind": "warm against cold",
        "scenario": "demo",
        "gap_target": SETTINGS.gap_target,
        "hours": rows,
        "median": middle,
        "command": "pytest benchmarks/test_replan.py",
    }
    assert all(row["warm_gap"] <= SETTINGS.gap_target for row in rows)
