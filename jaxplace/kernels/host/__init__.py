"""The kernels as compiled loops: the path on CPUs for instances whose costs are terms by class.

What XLA's tiles cannot have here: a row visits only the regions that its class may use and its
latency budget reaches, a prefix of the class's menu; the terms of the class are gathered once
for all its rows that follow each other; loads are summed in menu order, so nothing is scattered
per pair; and the exponential is a polynomial on vector registers.  Values are float32, sums
over rows float64; `xla.py` is the specification.
"""

from jaxplace.kernels.host.choose import best_regions, servable, shortlist
from jaxplace.kernels.host.curvature import curvature, draw
from jaxplace.kernels.host.respond import respond


__all__ = ["best_regions", "curvature", "draw", "respond", "servable", "shortlist"]
