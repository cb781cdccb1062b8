"""`python -m tests.mutants`, see hunt.py."""

from __future__ import annotations

import sys

from tests.mutants.hunt import main

if __name__ == "__main__":
    sys.exit(main())
