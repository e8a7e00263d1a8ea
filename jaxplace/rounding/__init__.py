"""From the relaxed plan to whole units."""

from jaxplace.rounding.alike import alike, drawn_plans
from jaxplace.rounding.decide import lead
from jaxplace.rounding.draw import systematic
from jaxplace.rounding.options import laid_out
from jaxplace.rounding.plan import RISE, Rounded, round_plan


__all__ = [
    "RISE",
    "Rounded",
    "alike",
    "drawn_plans",
    "laid_out",
    "lead",
    "round_plan",
    "systematic",
]
