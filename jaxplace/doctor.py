"""What is installed, what is used, whether it works: for the first minute and bug reports."""

import os
import platform
import time
from typing import Any

import numpy as np

from jaxplace import runtime
from jaxplace.errors import JaxplaceError
from jaxplace.instance import Instance
from jaxplace.settings import Device, Settings


BEST_USD = 8.0  # optimum of `_tiny`: 1 + 2 + 5, with the third request kept out of region 0


def examine(device: Device = Device.auto) -> dict[str, Any]:
    """Versions, devices, folders and a self-test, as plain values.

    Raises:
        InputError: the device asked for is not there.
    """
    name = runtime.device_name(device)
    import jax  # `runtime.prepare` has been called by now

    from jaxplace.scenario.demo import demo_folder

    demo = demo_folder()
    return {
        "versions": runtime.versions(),
        "platform": platform.platform(),
        "device": name,
        "devices": [str(found) for found in jax.devices()],
        "kernel": kernel(),
        "demo_scenario": str(demo),
        "demo_there": demo.is_dir(),
        "compile_cache": os.environ.get("JAX_COMPILATION_CACHE_DIR") or "none (not writable)",
        "self_test": self_test(device),
    }


def kernel() -> str:
    """Which implementation of the kernels this device gets."""
    import jax

    from jaxplace.kernels import api

    chosen = getattr(api, "backend", None)
    return str(chosen()) if callable(chosen) else f"xla ({jax.default_backend()})"


def self_test(device: Device = Device.auto) -> dict[str, Any]:
    """Solve three requests on two regions, whose optimum is known, and certify the plan."""
    from jaxplace.pipeline import solve

    started = time.perf_counter()
    try:
        placement = solve(_tiny(), Settings(device=device, time_limit_s=60.0))
    except JaxplaceError as error:
        return {"passed": False, "seconds": time.perf_counter() - started, "found": str(error)}
    proof = placement.certificate
    right = (
        proof.feasible
        and abs(proof.objective_usd - BEST_USD) <= 1e-6
        and proof.lower_bound_usd <= BEST_USD + 1e-9
    )
    found = f"objective {proof.objective_usd:g} USD (best {BEST_USD:g}), gap {proof.gap:.2g}"
    return {"passed": bool(right), "seconds": time.perf_counter() - started, "found": found}


def _tiny() -> Instance:
    """Three unit requests; region 0 is cheaper for all of them and takes two."""
    return Instance.from_arrays(
        cost=np.array([[1.0, 9.0], [2.0, 9.0], [3.0, 5.0]]),
        use=np.ones(3),
        capacity=np.array([2.0, 3.0]),
    )


def in_words(findings: dict[str, Any]) -> str:
    """The findings as lines."""
    test = findings["self_test"]
    verdict = "passed" if test["passed"] else "FAILED"
    there = "" if findings["demo_there"] else " (missing: reinstall jaxplace)"
    lines = [f"{name:<16}{version}" for name, version in findings["versions"].items()]
    lines += [
        f"{'platform':<16}{findings['platform']}",
        f"{'device':<16}{findings['device']}",
        f"{'devices':<16}{', '.join(findings['devices'])}",
        f"{'kernel':<16}{findings['kernel']}",
        f"{'demo scenario':<16}{findings['demo_scenario']}{there}",
        f"{'compile cache':<16}{findings['compile_cache']}",
        f"{'self-test':<16}{verdict} in {test['seconds']:.1f} s: {test['found']}",
    ]
    return "\n".join(lines) + "\n"
