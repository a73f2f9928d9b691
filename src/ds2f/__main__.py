"""`python -m ds2f` is `ds2f`."""

import sys

from ds2f.cli import main

if __name__ == "__main__":
    sys.exit(main())
