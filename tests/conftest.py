"""What every test shares: shapes must match as written, and float64 where a test asks for it."""

from collections.abc import Iterator

import jax
import pytest

from jaxplace import runtime


runtime.count_compilations()
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64() -> Iterator[None]:
    """Float64 on the device, as kernels turn it on for themselves (so no test does it globally)."""
    with jax.enable_x64(True):
        yield
