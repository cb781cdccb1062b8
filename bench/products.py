"""Items of a sandbox Xero become products and prices of a sandbox Salesforce: all, 1 % changed, none, one deleted.

    python -m bench.products [--items 100000] [--quick] [--profile FOLDER]

A PostgreSQL and a sandbox of its own, without rate limits; each run is a process of its own, so that its peak memory is
its own. Between the runs the watermarks are put to the present: then the windows do not overlap, as they do not in a
schedule of some hours. The second run has to write 1 % and to read by delta; calls are counted where they arrive, in
the sandbox. The fourth is the daily whole read that sees what the ledger does not tell: that an item is gone.
"""

from __future__ import annotations

import argparse
import json
import os
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
from sqlalchemy.engine import Engine

from bench.row import Row
from tieout.connectors import exact_json
from tieout.model.connection import Connection
from tieout.scenarios.demo_doors import Doors
from tieout.scenarios.ledger_hand import LedgerHand
from tieout.store import embedded, migrate
from tieout.store.engine import connect

ROOT = Path(__file__).resolve().parents[1]
ITEMS, QUICK = 100_000, 2_000
NO_LIMITS = {"minute": None, "day": None, "concurrent": None, "app_minute": None}
#: Records in one call of Salesforce's collections.
BATCH = 200
AT_ONCE = 5_000  # items put into the sandbox in one call
#: A rule of the sandbox that never fires counts the calls that it is for.
COUNTED = {
    "ledger reads": {"system": "xero", "method": "GET"},
    "CRM reads": {"system": "salesforce", "method": "GET", "path": "*/query*"},
    "CRM writes": {"system": "salesforce", "path": "*/composite/sobjects*"},
}
Run = Mapping[str, Any]


def run(quick: bool = False) -> Sequence[Row]:
    """Measures once and gives the rows of the table."""
    items = QUICK if quick else ITEMS
    return rows(measure(items), items)


def measure(items: int, profile: Path | None = None) -> dict[str, Run]:
    """Runs four times; what each took by name, with its numbers and the calls that it made."""
    home = Path(tempfile.mkdtemp(prefix="tieout-bench-"))
    found: dict[str, Run] = {}
    try:
        server = embedded.start(home)
        engine = connect(server.url_for("tieout"))
        migrate.upgrade(engine)
        with sandbox_at(home) as (url, pid):
            ledger = _connections(home, url)
            doors = Doors(url)
            doors.custom_fields()
            doors.settings("xero", base_currency="GBP", limits=NO_LIMITS)
            ids = _put(url, (_item(number, "10.00") for number in range(items)))

            def go(name: str) -> None:
                options = ["--postgres", str(server.pid), "--sandbox", str(pid)]
                found[name] = _run(home, url, name, [*options, *_profile(profile, name)])
                later(engine)

            go("first")
            hundredth = ({**_item(number, "12.50"), "ItemID": ids[number]} for number in range(0, items, 100))
            _put(url, hundredth)
            go("1 % changed")
            go("nothing changed")
            with LedgerHand(ledger) as hand:
                hand.delete("Items", ids[1])
            with engine.begin() as conn:
                conn.execute(sa.text("update tieout.watermark set at = at - interval '25 hours' where kind = 'whole'"))
            go("one deleted")
        engine.dispose()
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    return found


def rows(found: Mapping[str, Run], items: int) -> list[Row]:
    """The aims beside what was found."""
    first, second, third, fourth = (found[name] for name in found)
    changed = -(-items // 100)
    ended = [each["steps"]["summarise"]["numbers"] for each in found.values()]
    posted = [(numbers["posted"], numbers["cancelled"]) for numbers in ended]
    if posted != [(items, 0), (changed, 0), (0, 0), (0, 1)]:
        raise SystemExit(f"posted and deactivated {posted}")
    least = 2 * -(-items // BATCH)  # a product and a price each
    read = _read(second)
    return [
        Row(f"{items:,} items, first run", f"{first['seconds']:.1f} s", "", items / first["seconds"] * 3600,
            "(items an hour)"),
        *_steps(first, items),
        Row("  calls that write", str(first["calls"]["CRM writes"]), f"batch minimum {least}",
            first["calls"]["CRM writes"] / least, "1.05", most=1.05),
        Row("  peak memory of the run", f"{first['peak_mib']:,.0f} MiB"),
        Row(f"second run, {changed:,} changed", f"{second['seconds']:.1f} s", f"first {first['seconds']:.1f} s",
            second["seconds"] / first["seconds"]),
        *_steps(second, changed),
        Row("  peak memory of the run", f"{second['peak_mib']:,.0f} MiB"),
        Row("  records written", str(_sent(second)), f"{changed:,} changed", _sent(second) / changed, "1", most=1),
        Row("  records read", str(read), f"{changed:,} changed", read / changed, "2", most=2),
        Row("  bytes read of the ledger", f"{_bytes(second):,}", f"1 % of the first: {_bytes(first) // 100:,}",
            _bytes(second) / (_bytes(first) / 100), "1.2", most=1.2),
        *(Row(f"  {what}", str(second["calls"][what]), f"first {first['calls'][what]}") for what in COUNTED),
        Row("third run, none changed", f"{third['seconds']:.1f} s", "", third["seconds"] / first["seconds"]),
        Row("  records written", str(_sent(third)), "", float(_sent(third)), "0", most=0),
        Row("fourth run, items read whole, one deleted", f"{fourth['seconds']:.1f} s", "",
            fourth["seconds"] / first["seconds"]),
        Row("  records written", str(_sent(fourth)), "", float(_sent(fourth)), "1", most=1),
        Row("  peak memory of the run", f"{fourth['peak_mib']:,.0f} MiB"),
    ]  # fmt: skip


def _steps(run: Run, records: int) -> Iterator[Row]:
    for name, took in run["steps"].items():
        cpu = " + ".join(f"{took[which]:.1f}" for which in ("cpu", "postgres_cpu", "sandbox_cpu"))
        yield Row(f"  {name}", f"{took['seconds']:.1f} s", f"{cpu} CPU s: ours, PostgreSQL, sandbox",
                  took["seconds"] / records * 1e3, "(ms an item)")  # fmt: skip


def _read(run: Run) -> int:
    """Records that the step `extract` read of both systems."""
    sides = run["steps"]["extract"]["numbers"].values()
    return sum(each["read"] for side in sides if isinstance(side, dict) for each in side.values())


def _bytes(run: Run) -> int:
    """Bytes of all answers of the ledger to the first step."""
    return int(run["steps"]["extract"]["bytes_received"]["xero"])


def _sent(run: Run) -> int:
    """Records that were sent into the CRM."""
    return sum(int(run["steps"][name]["numbers"]["sent"]) for name in ("deliver", "write_back"))


def _item(number: int, price: str) -> dict[str, Any]:
    return {
        "Code": f"ITEM-{number:06d}", "Name": f"Item {number}", "Description": f"The item of number {number}",
        "SalesDetails": {"UnitPrice": Decimal(price)}, "QuantityOnHand": Decimal(number % 500),
    }  # fmt: skip


def _put(url: str, items: Iterator[Mapping[str, Any]]) -> list[str]:
    """Items into the sandbox's Xero as they are; their ids."""
    put, ids = list(items), []
    for start in range(0, len(put), AT_ONCE):
        body = exact_json.dumps(put[start : start + AT_ONCE])
        answer = httpx.post(f"{url}/xero/_sandbox/raw/Items", content=body, timeout=300)
        answer.raise_for_status()
        ids += answer.json()["ids"]
    return ids


def _run(home: Path, url: str, name: str, options: Sequence[str]) -> Run:
    rules = [{"fault": "slow", "probability": 0, **rule} for rule in COUNTED.values()]
    httpx.post(f"{url}/_sandbox/faults", json={"seed": 1, "rules": rules}).raise_for_status()
    command = [sys.executable, "-m", "bench.scenario_run", "--scenario", "product_sync", *options]
    environment = {**os.environ, "TIEOUT_HOME": str(home), "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["seconds"] = time.perf_counter() - started
    told = httpx.get(f"{url}/_sandbox/faults", timeout=30).json()["rules"]
    found["calls"] = {what: rule["matches"] for what, rule in zip(COUNTED, told, strict=True)}
    steps = ", ".join(f"{step} {took['seconds']:.1f} s" for step, took in found["steps"].items())
    print(f"{name}: {found['seconds']:.1f} s, {found['cpu']:.1f} s CPU, {found['peak_mib']:.0f} MiB, "
          f"{found['calls']}: {steps}", file=sys.stderr, flush=True)  # fmt: skip
    return found


def _profile(folder: Path | None, name: str) -> list[str]:
    return [] if folder is None else ["--profile", str(folder / f"{name}.prof".replace(" ", "_")), "--statements"]


def connections(url: str) -> dict[str, Connection]:
    """The demo link's connections to a sandbox."""
    extra = {"allowed_hosts": "127.0.0.1", "time_out": "120"}  # the ledger gives all items in one answer
    return {
        "salesforce_demo": Connection(
            "salesforce_demo", "salesforce", f"{url}/salesforce", "sandbox-consumer", "sandbox-secret",
            {"auth": "client_credentials", **extra},
        ),
        "xero_demo": Connection("xero_demo", "xero", f"{url}/xero", "sandbox-client", "sandbox-secret", extra),
    }  # fmt: skip


def _connections(home: Path, url: str) -> Connection:
    """Both in the file where the runs find them; the ledger's."""
    both = connections(url)
    file = home / "connections.json"
    told = {
        one.name: {"conn_type": f"tieout_{one.system}", "host": one.host, "login": one.login, "password": one.password,
                   "extra": dict(one.extra)}
        for one in both.values()
    }  # fmt: skip
    file.write_text(json.dumps(told), encoding="utf-8")
    file.chmod(0o600)
    return both["xero_demo"]


def later(engine: Engine) -> None:
    """The windows of the next run begin now."""
    with engine.begin() as conn:
        conn.execute(sa.text("update tieout.watermark set at = clock_timestamp() where kind = 'extract'"))


@contextmanager
def sandbox_at(home: Path) -> Iterator[tuple[str, int]]:
    """URL and process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "serve", "--state", str(home / "sandbox")],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=home,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measures and prints the table."""
    from bench.row import table

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--items", type=int, default=ITEMS)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--profile", type=Path, help="folder for a cProfile of each run")
    given = options.parse_args()
    items = QUICK if given.quick else given.items
    print(table(rows(measure(items, given.profile), items)))


if __name__ == "__main__":
    main()
