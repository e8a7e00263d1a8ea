"""The relaxation: capacity duals by ascent of a smoothed semi-dual."""

from jaxplace.relax.ascent import AbstractAscent
from jaxplace.relax.newton import Newton
from jaxplace.settings import Method, SolverSettings


MOST_DUALS = 10_000  # above, a matrix of them, where there is one, would take gigabytes


def choose(settings: SolverSettings, *, duals: int) -> AbstractAscent:
    """The method that the settings name, for a number of duals."""
    if settings.method is Method.first_order or duals > MOST_DUALS:
        from jaxplace.relax.first_order import FirstOrder  # optax takes a while to import

        return FirstOrder()
    return Newton(curvature_rows=settings.sample_rows)
