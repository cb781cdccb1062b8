"""Items of a sandbox Xero become products and prices of a sandbox Salesforce: all, then 1 % changed, then none.

    python -m bench.products [--items 100000]

A PostgreSQL and a sandbox of its own. Between the runs the watermarks are put to the present: then the windows do not
overlap, as they do not in a schedule of some hours. The second run has to write 1 % of the prices and to read by delta.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Engine

from bench.row import Row
from tieout.connectors import exact_json
from tieout.model.connection import Connection
from tieout.scenarios import product_sync
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.services import open_services
from tieout.store import embedded, migrate
from tieout.store.engine import connect

ROOT = Path(__file__).resolve().parents[1]
ITEMS = 100_000
NO_LIMITS = {"minute": None, "day": None, "concurrent": None, "app_minute": None}
#: Records in one call of Salesforce's collections.
BATCH = 200
AT_ONCE = 5_000  # items put into the sandbox in one call

Run = Mapping[str, Any]


def run(quick: bool = False) -> Sequence[Row]:
    """Measures once and gives the rows of the table."""
    items = 10_000 if quick else ITEMS
    return rows(measure(items), items)


def measure(items: int) -> dict[str, Run]:
    """Runs three times; what each took by name, with its numbers."""
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.disable(logging.INFO)
    os.environ["TIEOUT_HOME"] = str(home)
    try:
        server = embedded.start(home)
        engine = connect(server.url_for("tieout"))
        migrate.upgrade(engine)
        with sandbox_at(home) as url:
            doors = Doors(url)
            doors.custom_fields()
            doors.settings("xero", base_currency="GBP", limits=NO_LIMITS)
            put = [_item(number, "10.00") for number in range(items)]
            for item, id_ in zip(put, _put(url, put), strict=True):
                item["ItemID"] = id_
            found = {"first": _run(url)}
            later(engine)
            hundredth = [item | {"SalesDetails": {"UnitPrice": Decimal("12.50")}} for item in put[::100]]
            _put(url, hundredth)
            found["1 % changed"] = _run(url)
            later(engine)
            found["nothing changed"] = _run(url)
        engine.dispose()
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    return found


def rows(found: Mapping[str, Run], items: int) -> list[Row]:
    """The aims beside what was found."""
    first, second, third = found["first"], found["1 % changed"], found["nothing changed"]
    changed = -(-items // 100)
    posted = first["summarise"]["posted"], second["summarise"]["posted"], third["summarise"]["posted"]
    if posted != (items, changed, 0):
        raise SystemExit(f"posted {posted}; expected {(items, changed, 0)}")
    least = 2 * -(-items // BATCH)  # a product and a price each
    read = sum(each["read"] for side in second["extract"].values() if isinstance(side, dict) for each in side.values())
    return [
        Row(f"{items:,} items, first run", f"{first['seconds']:.1f} s", "", items / first["seconds"] * 3600,
            "(items an hour)"),
        *(Row(f"  {step}", f"{first['took'][step]:.1f} s", "", first["took"][step] / items * 1e3, "(ms an item)")
          for step in product_sync.STEPS),
        Row("  calls that write", str(first["deliver"]["calls"]), f"batch minimum {least}",
            first["deliver"]["calls"] / least, "1.05", most=1.05),
        Row("  peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB"),
        Row(f"second run, {changed:,} changed", f"{second['seconds']:.1f} s", f"first {first['seconds']:.1f} s",
            second["seconds"] / first["seconds"]),
        *(Row(f"  {step}", f"{second['took'][step]:.2f} s") for step in product_sync.STEPS),
        Row("  records written", str(second["deliver"]["sent"]), f"{changed:,} changed",
            second["deliver"]["sent"] / changed, "1", most=1),
        Row("  records read", str(read), f"{changed:,} changed", read / changed, "2", most=2),
        Row("third run, none changed", f"{third['seconds']:.1f} s", "", third["seconds"] / first["seconds"]),
        Row("  records written", str(third["deliver"]["sent"]), "", float(third["deliver"]["sent"]), "0", most=0),
    ]  # fmt: skip


def _item(number: int, price: str) -> dict[str, Any]:
    return {
        "Code": f"ITEM-{number:06d}", "Name": f"Item {number}", "Description": f"The item of number {number}",
        "SalesDetails": {"UnitPrice": Decimal(price)}, "QuantityOnHand": Decimal(number % 500),
    }  # fmt: skip


def _put(url: str, items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Items into the sandbox's Xero as they are; their ids."""
    ids: list[str] = []
    for start in range(0, len(items), AT_ONCE):
        body = exact_json.dumps(list(items[start : start + AT_ONCE]))
        answer = httpx.post(f"{url}/xero/_sandbox/raw/Items", content=body, timeout=300)
        answer.raise_for_status()
        ids += answer.json()["ids"]
    return ids


def connections(url: str) -> dict[str, Connection]:
    """The demo link's connections to a sandbox."""
    extra = {"allowed_hosts": "127.0.0.1", "time_out": "120"}
    return {
        "salesforce_demo": Connection(
            "salesforce_demo", "salesforce", f"{url}/salesforce", "sandbox-consumer", "sandbox-secret",
            {"auth": "client_credentials", **extra},
        ),
        "xero_demo": Connection("xero_demo", "xero", f"{url}/xero", "sandbox-client", "sandbox-secret", extra),
    }  # fmt: skip


def _run(url: str) -> Run:
    took: dict[str, float] = {}
    told: dict[str, Any] = {"took": took}
    began = time.perf_counter()
    with open_services("demo", connections(url).__getitem__) as services:
        run_id = product_sync.start(services)
        for name in product_sync.STEPS:
            started = time.perf_counter()
            told[name] = getattr(product_sync, name)(services, run_id)
            took[name] = time.perf_counter() - started
            print(f"  {name}: {took[name]:.1f} s", file=sys.stderr, flush=True)
    return {**told, "seconds": time.perf_counter() - began}


def later(engine: Engine) -> None:
    """The windows of the next run begin now."""
    with engine.begin() as conn:
        conn.execute(sa.text("update tieout.watermark set at = clock_timestamp() where kind = 'extract'"))


@contextmanager
def sandbox_at(home: Path) -> Iterator[str]:
    """A sandbox with its state below `home`; its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "serve", "--state", str(home / "sandbox")],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=home,
    )  # fmt: skip
    try:
        assert process.stdout is not None

        yield str(json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measures and prints the table."""
    from bench.row import table

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--items", type=int, default=ITEMS)
    given = options.parse_args()
    print(table(rows(measure(given.items), given.items)))


if __name__ == "__main__":
    main()
