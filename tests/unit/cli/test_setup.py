"""Links, mappings, generated pages, the doctor and the sandbox from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.support.crm_ledger import ledger_connection
from tests.support.sandbox import SandboxProcess
from tests.support.standings import closed, locked
from tests.unit.cli.conftest import SECRET, Command
from tieout.model.calendar import parse
from tieout.model.settings import PROJECT
from tieout.scenarios.demo_doors import CRM_SETUP, Doors
from tieout.scenarios.ledger_hand import LedgerHand

Connect = Callable[..., None]


def test_links_are_listed(command: Command) -> None:
    shown = command("links").stdout
    assert "salesforce_demo" in shown and "xero_demo" in shown and "0 * * * *" in shown
    assert "fiscal calendar" in shown and "weeks_445" in shown and "calendar_months" in shown


def test_the_shipped_mappings_have_no_errors(command: Command) -> None:
    assert command("mapping", "lint").exit_code == 0
    result = command("mapping", "lint", "--link", "demo")
    assert result.exit_code == 0 and " mappings, " in result.stdout
    assert isinstance(json.loads(command("mapping", "lint", "--json").stdout), list)


def test_the_matrix_names_both_fields_and_the_way_between(command: Command) -> None:
    result = command("mapping", "matrix", "salesforce", "xero")
    assert "| Order | OrderNumber | Invoices | InvoiceNumber | by the link's invoice_number" in result.stdout
    unknown = command("mapping", "matrix", "salesforce", "netsuite")
    assert unknown.exit_code == 65 and "no mappings for 'netsuite'" in unknown.stderr


def test_the_generated_pages_are_what_the_code_says(command: Command) -> None:
    result = command("docs", "--check")
    assert result.exit_code == 0, result.stderr


def test_a_page_that_was_edited_by_hand_is_found_and_written_anew(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "docs").mkdir(parents=True)
    for name in ("include", "dags"):
        (project / name).symlink_to(PROJECT / name)
    monkeypatch.setattr("tieout.model.settings.PROJECT", project)
    pages = ["docs/MAPPINGS.md", "docs/CLI.md", "docs/DAGS.md", "docs/SYSTEMS.md"]
    assert command("docs").stdout.split() == pages
    assert command("docs", "--check").exit_code == 0
    (project / "docs" / "CLI.md").write_text("by hand")
    result = command("docs", "--check")
    assert result.exit_code == 65 and "not what they would be: CLI.md" in result.stderr


# --- the doctor -------------------------------------------------------------------------------------------------------


def _ready(sandbox: SandboxProcess, crm_setup: Path = CRM_SETUP) -> None:
    doors = Doors(sandbox.url)
    doors.custom_fields(crm_setup)
    doors.settings("xero", base_currency="GBP", currencies=["GBP", "EUR", "USD"])


def test_the_doctor_finds_nothing_where_everything_is_there(
    command: Command, sandbox: SandboxProcess, connect_demo: Connect
) -> None:
    _ready(sandbox)
    connect_demo(sandbox)
    result = command("doctor", "demo")
    assert result.exit_code == 0, result.output
    assert "BAD" not in result.stdout
    for part in (
        "database: PostgreSQL",
        "schema at",
        "link demo",
        "mappings of salesforce",
        "xero_demo: accounts: 200",
    ):
        assert part in result.stdout


def test_the_doctor_names_the_system_that_refuses_the_credentials(
    command: Command, sandbox: SandboxProcess, connect_demo: Connect
) -> None:
    _ready(sandbox)
    connect_demo(sandbox, SECRET)
    result = command("doctor", "demo")
    assert result.exit_code == 65
    bad = [line for line in result.stdout.splitlines() if line.startswith("BAD")]
    assert [line.split()[1] for line in bad] == ["salesforce_demo:", "xero_demo:"]
    assert "put the address and the credentials of the connection right" in result.stdout


def test_the_doctor_names_the_custom_field_that_is_missing(
    command: Command, sandbox: SandboxProcess, connect_demo: Connect, tmp_path: Path
) -> None:
    setup = json.loads(CRM_SETUP.read_text())
    setup["fields"]["Order"] = [one for one in setup["fields"]["Order"] if one["name"] != "Freight__c"]
    part = tmp_path / "setup.json"
    part.write_text(json.dumps(setup))
    _ready(sandbox, part)
    connect_demo(sandbox)
    result = command("doctor", "demo")
    assert result.exit_code == 65
    bad = [line for line in result.stdout.splitlines() if line.startswith("BAD")]
    assert len(bad) == 1 and "no field Freight__c (or no right to see it)" in bad[0]


def test_the_doctor_names_the_tax_type_that_is_not_active(
    command: Command, sandbox: SandboxProcess, connect_demo: Connect
) -> None:
    _ready(sandbox)
    connect_demo(sandbox)
    with LedgerHand(ledger_connection(sandbox)) as hand:
        rate = next(one for one in hand.all("TaxRates") if one["TaxType"] == "RROUTPUT")
        hand.change("TaxRates", {**rate, "Status": "DELETED"})
    result = command("doctor", "demo")
    assert result.exit_code == 65
    bad = [line for line in result.stdout.splitlines() if line.startswith("BAD")]
    assert bad == ["BAD   xero_demo: TaxRates that do not exist or are not active: RROUTPUT"]


def test_the_doctor_holds_closed_periods_against_the_ledgers_lock_dates(
    command: Command, sandbox: SandboxProcess, connect_demo: Connect, engine: Engine
) -> None:
    _ready(sandbox)
    connect_demo(sandbox)
    months = parse("calendar_months", {"kind": "months"})
    with engine.connect() as conn:
        today = conn.execute(sa.text("select (now() at time zone 'Europe/London')::date")).scalar_one()
    last = months.before(months.period_of(today))
    assert last is not None
    assert "fiscal calendar calendar_months. The ledger has no lock date" in command("doctor", "demo").stdout
    closed(engine, last)

    def bad() -> list[str]:
        result = command("doctor", "demo")
        lines = [line.removeprefix("BAD   ") for line in result.stdout.splitlines() if line.startswith("BAD")]
        assert result.exit_code == (65 if lines else 0)
        return lines

    (one,) = bad()
    assert one.startswith(f"{last.label} is closed here, and the ledger is not locked at all")
    locked(engine, last.last)
    assert bad() == []
    # Eleven months before it are open here: no fault, and told.
    assert re.search(r"ok    11 periods from .* are not closed here", command("doctor", "demo").stdout)
    locked(engine, today + timedelta(days=1))
    (one,) = bad()
    assert one.startswith(f"the ledger is locked up to {today + timedelta(days=1)}, and today is {today}")


def test_the_doctor_goes_on_after_what_is_missing(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIEOUT_DATABASE_URL")
    result = command("doctor", "demo")
    assert result.exit_code == 65
    assert "BAD   database: no database" in result.stdout
    assert "BAD   salesforce_demo: no connection" in result.stdout and "mappings of xero" in result.stdout
    unknown = command("doctor", "nowhere")
    assert unknown.exit_code == 65 and "BAD   link: no link 'nowhere'" in unknown.stdout


# --- the sandbox ------------------------------------------------------------------------------------------------------


@pytest.fixture
def northwind(tmp_path: Path) -> Path:
    """A folder with one order of one line, and an order of nobody."""
    folder = tmp_path / "northwind"
    folder.mkdir()
    (folder / "customers.csv").write_text(
        "customerID,companyName,address,city,region,postalCode,country,phone,fax\nA,Anna,Main St,Ulm,,,Germany,,\n"
    )
    (folder / "products.csv").write_text("productID,productName,quantityPerUnit,unitPrice\n7,Chai,box,18.00\n")
    (folder / "orders.csv").write_text(
        "orderID,customerID,orderDate,freight,shipAddress,shipCity,shipRegion,shipPostalCode,shipCountry\n"
        "1,A,1996-07-04 00:00:00.000,1.00,,,,,\n2,NOBODY,1996-07-04 00:00:00.000,1.00,,,,,\n"
    )
    (folder / "order-details.csv").write_text("orderID,productID,unitPrice,quantity,discount\n1,7,5.00,1,0\n")
    return folder


def test_a_csv_folder_is_loaded_and_the_second_time_changes_nothing(
    command: Command, sandbox: SandboxProcess, connect_demo: Connect, northwind: Path, tmp_path: Path
) -> None:
    Doors(sandbox.url).custom_fields()
    connect_demo(sandbox)
    report = tmp_path / "report.json"
    arguments = ("sandbox", "load", str(northwind), "--profile", "northwind", "--report", str(report))
    assert "orders.csv: 1 x " in command(*arguments).stdout
    made = json.loads(report.read_text())
    assert made["created"]["Order"] == 1 and made["files"]["orders.csv"] == {"read": 2, "loaded": 1, "refused": 1}
    command(*arguments)
    assert not any(json.loads(report.read_text())["created"].values())


def test_an_unknown_profile_and_a_missing_file_are_told(
    command: Command, sandbox: SandboxProcess, connect_demo: Connect, northwind: Path
) -> None:
    connect_demo(sandbox)
    result = command("sandbox", "load", str(northwind), "--profile", "southwind")
    assert result.exit_code == 65 and "southwind" in result.stderr
    (northwind / "orders.csv").unlink()
    result = command("sandbox", "load", str(northwind), "--profile", "northwind")
    assert result.exit_code == 65 and "orders.csv" in result.stderr
