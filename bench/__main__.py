"""Every bench, one after the other, in one table beside peers and limits; the figures go to bench/results/.

    python -m bench [NAME ...] [--quick]

Ratios of one run on one machine: absolute seconds say nothing elsewhere. --quick measures a tenth or less, to see that
everything works; its ratios suffer from what a start costs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.row import Row, table

RESULTS = Path(__file__).parent / "results"
#: Modules with `run(quick: bool) -> Sequence[Row]`, in the order of a record's way.
NAMES = (
    "extract", "connectors", "staging_load", "delivery", "ledger_calls", "pace", "quote_to_cash", "products", "credit",
    "returns", "reconcile", "period_report", "periods", "pages",
)  # fmt: skip


def main() -> int:
    """Runs, prints, writes; 1 when an aim is not reached."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all when none is named")
    options.add_argument("--quick", action="store_true")
    given = options.parse_args()
    if unknown := sorted(set(given.names) - set(NAMES)):
        options.error(f"no bench {unknown[0]!r}; there are {', '.join(NAMES)}")
    rows: list[Row] = []
    for name in given.names or NAMES:
        print(f"# {name}", flush=True)
        found: Sequence[Row] = importlib.import_module(f"bench.{name}").run(given.quick)
        rows += [Row(f"{name}:"), *found]
    print(table(rows))
    _keep(rows, given.quick)
    return 0 if all(row.met is not False for row in rows) else 1


def _keep(rows: Sequence[Row], quick: bool) -> None:
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    content = {"at": now.isoformat(timespec="seconds"), "quick": quick, "rows": [_plain(row) for row in rows]}
    file = RESULTS / f"{now:%Y-%m-%dT%H%M%S}.json"
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _plain(row: Row) -> dict[str, Any]:
    plain = asdict(row) | {"met": row.met}
    return plain | {"ratio": None if math.isnan(row.ratio) else row.ratio}


if __name__ == "__main__":
    raise SystemExit(main())
