"""What the connectors say of the general ledger: Xero's control account and histories; a CRM has none."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import httpx
import pytest

from tests.support.crm_ledger import crm_connection, ledger_connection
from tests.support.sandbox import SandboxProcess
from tieout.connectors.base import GeneralLedger
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.connectors.xero.connector import XeroConnector
from tieout.model.errors import VendorFault
from tieout.scenarios.ledger_hand import LedgerHand


def test_who_keeps_books_says_so_by_its_methods(sandbox: SandboxProcess) -> None:
    crm, ledger = SalesforceConnector(crm_connection(sandbox)), XeroConnector(ledger_connection(sandbox))
    assert isinstance(ledger, GeneralLedger) and not isinstance(crm, GeneralLedger)
    crm.close()
    ledger.close()


@pytest.mark.proves(
    "the control account and the history of a document are read", scenario="connector", systems=("xero",)
)
def test_the_control_account_and_the_history_of_a_document(sandbox: SandboxProcess) -> None:
    connection = ledger_connection(sandbox)
    ledger = XeroConnector(connection)
    with LedgerHand(connection) as hand:
        made = hand.invoice("H-1", {"Name": "Ann Ltd"}, Decimal("100.00"), date(2026, 1, 5))
        hand.pay(made["InvoiceID"], Decimal("30.00"), date(2026, 2, 3))
    found = ledger.receivables(date(2026, 1, 31))
    assert (found.account, found.amount, found.currency) == ("Accounts Receivable (610)", Decimal("120.00"), "GBP")
    assert ledger.receivables(date(2026, 2, 28)).amount == Decimal("90.00")
    assert ledger.receivables(date(2025, 12, 31)).amount == 0
    told = ledger.history("Invoices", made["InvoiceID"])
    assert [one.what.partition(":")[0] for one in told] == ["Paid", "Created"]
    assert all(one.at is not None and one.user == "System Generated" for one in told)
    assert ledger.history("Items", made["InvoiceID"]) == []
    ledger.close()


def test_an_organisation_without_a_control_account_is_said_so(sandbox: SandboxProcess) -> None:
    url = f"{sandbox.url}/xero/_sandbox/raw/Accounts"
    [account] = [one for one in httpx.get(url).json() if one["SystemAccount"] == "DEBTORS"]
    httpx.delete(f"{url}/{account['AccountID']}").raise_for_status()
    ledger = XeroConnector(ledger_connection(sandbox))
    with pytest.raises(VendorFault, match="no account with the mark DEBTORS"):
        ledger.receivables(date(2026, 1, 31))
    ledger.close()
