"""What every test shares: float64 on the device where a test asks for it."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def x64() -> Iterator[None]:
    """Float64 on the device, as `solve` turns it on for itself (so no test does it globally)."""
    with jax.enable_x64(True):
        yield
