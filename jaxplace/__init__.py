"""jaxplace: certified placement of AI inference over data-centre regions.

    import jaxplace
    instance = jaxplace.load_scenario(jaxplace.demo_folder()).at()
    placement = jaxplace.solve(instance)
    placement.certificate.gap, placement.assignments

The names below are loaded when they are first used, so `import jaxplace` is quick and does not
start JAX.  `jaxplace.generate` and `jaxplace.replan` are modules:
`jaxplace.generate.generate(settings, folder)`, `jaxplace.replan.replan(state=..., scenario=...)`.
"""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from jaxplace import generate, replan
    from jaxplace.errors import InputError, JaxplaceError, OutputError
    from jaxplace.generate import GenerateSettings
    from jaxplace.instance import Instance, Policy
    from jaxplace.pipeline import solve
    from jaxplace.placement import Certificate, Checkpoint, Placement
    from jaxplace.scenario import Scenario, load_scenario
    from jaxplace.scenario.demo import demo_folder
    from jaxplace.settings import Device, Method, Settings, SolverSettings
    from jaxplace.status import Status
    from jaxplace.studies.audit import audit
    from jaxplace.studies.explain import explain
    from jaxplace.studies.frontier import frontier
    from jaxplace.studies.settings import AuditSettings, By, FrontierSettings

_HOMES = {
    "Certificate": "placement",
    "Checkpoint": "placement",
    "Device": "settings",
    "GenerateSettings": "generate",
    "AuditSettings": "studies.settings",
    "By": "studies.settings",
    "FrontierSettings": "studies.settings",
    "InputError": "errors",
    "Instance": "instance",
    "JaxplaceError": "errors",
    "Method": "settings",
    "OutputError": "errors",
    "Placement": "placement",
    "Policy": "instance",
    "Scenario": "scenario",
    "Settings": "settings",
    "SolverSettings": "settings",
    "Status": "status",
    "audit": "studies.audit",
    "demo_folder": "scenario.demo",
    "explain": "studies.explain",
    "frontier": "studies.frontier",
    "load_scenario": "scenario",
    "solve": "pipeline",
}

__all__ = [
    "AuditSettings",
    "By",
    "Certificate",
    "Checkpoint",
    "Device",
    "FrontierSettings",
    "GenerateSettings",
    "InputError",
    "Instance",
    "JaxplaceError",
    "Method",
    "OutputError",
    "Placement",
    "Policy",
    "Scenario",
    "Settings",
    "SolverSettings",
    "Status",
    "__version__",
    "audit",
    "demo_folder",
    "explain",
    "frontier",
    "generate",
    "load_scenario",
    "replan",
    "solve",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name == "__version__":
        value: Any = _version()
    elif name in ("generate", "replan"):
        value = importlib.import_module(f"jaxplace.{name}")
    elif name in _HOMES:
        value = getattr(importlib.import_module(f"jaxplace.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'jaxplace' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """The installed version; only the package's metadata knows it."""
    from importlib import metadata

    try:
        return metadata.version("jaxplace")
    except metadata.PackageNotFoundError:  # a checkout on PYTHONPATH
        return "0+unknown"
