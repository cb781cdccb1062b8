"""A process that reads a system's records and throws them away: how many, and its greatest resident set.

    python -m tests.connectors.reading SYSTEM SANDBOX_URL UNTIL

Prints [{"records": n, "mb": peak}, ...]: of those that changed before UNTIL, then of all.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import datetime

import structlog

from tests.connectors.standard import FAR
from tests.connectors.vendors import DRY, Vendor, vendor_of
from tieout.connectors.registry import connect
from tieout.model.connection import Connection


def read(kind: type[Vendor], url: str, upto: datetime) -> dict[str, float]:
    """Reads what changed before `upto`."""
    fields = {"allowed_hosts": "127.0.0.1", **kind.fields}
    connector = connect(Connection("many", kind.name, f"{url}/{kind.name}", kind.login, DRY, fields))
    try:
        count = sum(len(page.records) for page in connector.changed(kind.entity, None, upto))
    finally:
        connector.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"records": count, "mb": peak / (1024 * 1024 if sys.platform == "darwin" else 1024)}


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    system, url, until = sys.argv[1:]
    kind = vendor_of(system)
    print(json.dumps([read(kind, url, datetime.fromisoformat(until)), read(kind, url, FAR)]))


if __name__ == "__main__":
    main()
