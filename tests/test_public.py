"""`import jaxplace`: the public names, and that they cost nothing until used."""

import subprocess
import sys
from importlib import metadata

import pytest

import jaxplace


def run(code):
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_is_light():
    """Importing jaxplace loads none of its heavy dependencies."""
    heavy = "{'jax', 'pandas', 'numpy', 'hydra', 'rich', 'pyarrow'}"
    assert run(f"import sys, jaxplace; print({heavy} & set(sys.modules))") == "set()"


def test_every_public_name_is_there():
    """Each name of __all__ loads and is listed by dir()."""
    for name in jaxplace.__all__:
        assert getattr(jaxplace, name) is not None
        assert name in dir(jaxplace)


def test_unknown_name_is_refused():
    """A misspelt name is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="solv"):
        _ = jaxplace.solv


def test_version_is_the_metadatas():
    """The version lives in the package's metadata alone."""
    try:
        wanted = metadata.version("jaxplace")
    except metadata.PackageNotFoundError:
        wanted = "0+unknown"
    assert jaxplace.__version__ == wanted


def test_generate_stays_a_module():
    """`jaxplace.generate.generate` works whatever was imported first."""
    assert callable(jaxplace.generate.generate)
