"""Scenarios: folders of tables (CONTRACT section 2), checked whole, taken an hour at a time."""

from jaxplace.scenario.demo import demo_folder
from jaxplace.scenario.scenario import Scenario, load_scenario


__all__ = ["Scenario", "demo_folder", "load_scenario"]
