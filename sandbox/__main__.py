"""`python -m sandbox` is `tieout-sandbox`."""

from sandbox.cli import main

main()
