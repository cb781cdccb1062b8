"""The demo's data and the days that pass in it; `python -m tieout.orchestration.demo.data WHAT` does one of them.

What the data are is in tieout.scenarios (demo_*.py); here is only which connections they go to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tieout.model.connection import Connection
from tieout.model.settings import Settings, load_settings
from tieout.scenarios.credentials import from_environment

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tieout.scenarios.demo_books import DemoBooks

#: The demo's link and its connections.
LINK = "demo"
CRM, LEDGER = "salesforce_demo", "xero_demo"


def connections(sandbox_url: str) -> dict[str, dict[str, Any]]:
    """Airflow connections to the sandbox; its clients are the ones that it has when new."""
    return {
        CRM: {
            "conn_type": "tieout_salesforce",
            "description": "The sandbox's Salesforce",
            "host": f"{sandbox_url}/salesforce",
            "login": "sandbox-consumer",
            "password": "sandbox-secret",
            "extra": json.dumps({"auth": "client_credentials", "allowed_hosts": "127.0.0.1"}),
        },
        LEDGER: {
            "conn_type": "tieout_xero",
            "description": "The sandbox's Xero",
            "host": f"{sandbox_url}/xero",
            "login": "sandbox-client",
            "password": "sandbox-secret",
            "extra": json.dumps({"allowed_hosts": "127.0.0.1"}),
        },
    }


def main(what: str, sandbox_url: str) -> int:
    """`seed` fills CRM and ledger once, `returns-day` sends goods back, `next-day` does what finance and sales do
    between two runs, `connect` writes the connections into this Airflow (for the compose file; the demo's runner does
    it by itself).
    """
    if what == "connect":
        _connect(sandbox_url)
        return 0
    settings = load_settings()
    crm, ledger = from_environment(CRM, settings), from_environment(LEDGER, settings)
    from tieout.scenarios.demo_data import DEFAULT_SEED, generate

    today = _first_day(settings.home)
    books = generate(DEFAULT_SEED, today)
    with _store(settings) as engine:
        if what == "seed":
            done = _seed(crm, ledger, sandbox_url, books, engine)
        elif what == "returns-day":
            done = _returns_day(crm, ledger, books, today)
        else:
            done = _next_day(crm, ledger, books, today, engine)
    sys.stdout.write(json.dumps(done, default=str) + "\n")
    return 0


def _next_day(crm: Connection, ledger: Connection, books: DemoBooks, today: date, engine: Engine) -> dict[str, Any]:
    from tieout.scenarios.demo_credit import CONTROLLER, credit_day
    from tieout.scenarios.demo_days import finance_day, sales_day

    credit = credit_day(engine, crm, LINK, books)
    deeds = {"finance": finance_day(ledger, today), "sales": sales_day(crm, books)}
    told = {who: [f"{deed.number} {deed.kind.replace('_', ' ')}" for deed in done] for who, done in deeds.items()}
    told["sales"].append(f"{credit.refused} refused by the CRM: {credit.said}")
    if credit.released:
        told[CONTROLLER] = [f"{credit.released} released although it goes beyond its customer's credit"]
    return told


def _returns_day(crm: Connection, ledger: Connection, books: DemoBooks, today: date) -> dict[str, Any]:
    from tieout.scenarios.demo_returns import returns_day

    return {"customers": [f"{one.number} back {one.kind}" for one in returns_day(crm, ledger, books, today)]}


def _seed(crm: Connection, ledger: Connection, sandbox_url: str, books: DemoBooks, engine: Engine) -> dict[str, Any]:
    from tieout.scenarios.demo_credit import setup_credit
    from tieout.scenarios.demo_ledger import setup_ledger
    from tieout.scenarios.demo_products import setup_products
    from tieout.scenarios.demo_seed import seed

    report = seed(crm, sandbox_url, books)
    made = setup_ledger(ledger, sandbox_url, books, report.taken_order_number)
    setup_products(ledger, sandbox_url)
    limits = setup_credit(engine, LINK, books, report.ids, sandbox_url)
    return {"created": report.created, "unchanged": report.unchanged, "items": made.items, "contacts": made.contacts,
            "limits": limits}  # fmt: skip


@contextmanager
def _store(settings: Settings) -> Iterator[Engine]:
    from tieout.store.engine import connect

    engine = connect(settings.require_database_url())
    try:
        yield engine
    finally:
        engine.dispose()


def _first_day(home: Path) -> date:
    """The day of this home's first demo: another day would make other books of the same seed."""
    file = home / "first_day"
    if not file.is_file():
        file.write_text(datetime.now(UTC).date().isoformat())
    return date.fromisoformat(file.read_text().strip())


def _connect(sandbox_url: str) -> None:
    from tempfile import NamedTemporaryFile

    from tieout.orchestration.initialise import airflow_command

    with NamedTemporaryFile("w", suffix=".json") as file:  # mode 0600
        json.dump(connections(sandbox_url), file)
        file.flush()
        airflow_command("connections", "import", file.name, "--overwrite")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
