"""`python -m scaffold NAME --role ledger`: writes the beginning of a new system here, and says what is next."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scaffold.making import FOLDERS, LONGEST, Naming, Refused, naming, planned, write

NEXT = """
What is next, in this order (CONTRIBUTING.md, "A new system", walks through it):
  1. sandbox/{name}/            the vendor's API as its documentation says; the sources in its README
  2. {connector}/   sign-in, pages, batches, reasons: as the vendor has them; every TODO
  3. tests/connectors/vendor_{name}.py, then
       python -m pytest tests/connectors -k "{name}"
  4. plugins/tieout/mapping/limits/{name}.py, include/mappings/{name}/, expectations/{name}/, then
       tieout mapping lint && make docs
  5. docs/guarantees.md: a row for each write of {name}
  6. python -m pytest tests/proofs/first/test_{name}.py
"""


def main() -> int:
    """The exit code: 0 made, 2 refused with nothing changed."""
    options = argparse.ArgumentParser(prog="python -m scaffold", description="The beginning of a new system.")
    options.add_argument("name", help=f"small letters, digits and _, at most {LONGEST}: acme_books")
    options.add_argument("--role", required=True, help="ledger or crm")
    options.add_argument("--label", default="", help="its name as people know it; by default 'Acme Books'")
    given = options.parse_args()
    root = Path(__file__).resolve().parents[1]
    try:
        names = naming(given.name, given.role, given.label)
        files = planned(root, names)
        write(files)
    except Refused as error:
        sys.stderr.write(f"{error}\nNothing was written.\n")
        return 2
    sys.stdout.write(_told(root, names, list(files)))
    return 0


def _told(root: Path, names: Naming, files: list[Path]) -> str:
    listed = "".join(f"  {path.relative_to(root)}\n" for path in files)
    following = NEXT.format(name=names.name, connector=names.place(FOLDERS["connector"]))
    return f"{names.label}, a {names.role}, in {len(files)} files:\n{listed}{following}"


if __name__ == "__main__":
    sys.exit(main())
