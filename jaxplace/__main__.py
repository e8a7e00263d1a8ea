"""`python -m jaxplace` is the command line."""

import sys

from jaxplace.cli import main


if __name__ == "__main__":
    sys.exit(main())
