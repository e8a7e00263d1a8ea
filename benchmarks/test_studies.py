"""Studies against one cold solve, in this process, compiled programs warm.

pytest benchmarks/test_studies.py --benchmark-json=benchmarks/results/studies.json
"""

import statistics
import time

from jaxplace import Settings, load_scenario, solve
from jaxplace.studies.audit import audit
from jaxplace.studies.frontier import frontier
from jaxplace.studies.settings import AuditSettings, FrontierSettings


RUNS = 3
SETTINGS = Settings()


def seconds(work, *words):
    """What `work` gives, and its seconds."""
    begun = time.perf_counter()
    found = work(*words)
    return found, time.perf_counter() - begun


def test_six_budgets_against_a_cold_solve(benchmark, scenarios):
    scenario = load_scenario(scenarios.get("medium"))
    instance, rows = scenario.at(scenario.hours[0]), []
    solve(instance, SETTINGS)

    def run():
        for _ in range(RUNS):
            _, cold_s = seconds(solve, instance, SETTINGS)
            found, frontier_s = seconds(frontier, instance, SETTINGS, FrontierSettings())
            rows.append({"cold_s": cold_s, "frontier_s": frontier_s, "ratio": frontier_s / cold_s})
        return found

    found = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info |= {
        "kind": "frontier",
        "scenario": "medium",
        "budgets": len(found.plans),
        "gaps": [plan.certificate.gap for plan in found.plans],
        "runs": rows,
        "median": {name: statistics.median(row[name] for row in rows) for name in rows[0]},
        "command": "pytest benchmarks/test_studies.py",
    }


def test_every_region_of_the_demo_closed(benchmark, scenarios):
    scenario = load_scenario(scenarios.get("demo"))
    instance = scenario.at(scenario.hours[0])
    plan = solve(instance, SETTINGS)
    _, audit_s = benchmark.pedantic(
        lambda: seconds(lambda: audit(instance, SETTINGS, AuditSettings(), plan=plan)), rounds=1
    )
    benchmark.extra_info |= {
        "kind": "audit",
        "scenario": "demo",
        "closed": instance.regions,
        "audit_s": audit_s,
        "command": "pytest benchmarks/test_studies.py",
    }
