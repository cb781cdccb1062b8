"""Finance's own hands in a Xero: what the demo and the tests do there that Tieout itself never does.

A few plain calls of the Accounting API, one at a time. Not for posting: that is delivery's alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from tieout.model.connection import Connection
from tieout.model.errors import AuthenticationFailed, ConfigurationFault, VendorFault

TIME_OUT = 30.0  # seconds for one call
BANK_ACCOUNT = "090"
REVENUE_ACCOUNT = "200"


class LedgerHand:
    """One signed-in user of a Xero organisation. Close it after use, or use it in `with`."""

    def __init__(self, connection: Connection) -> None:
        host = connection.host.rstrip("/")
        address = urlsplit(host)
        if address.hostname not in ("127.0.0.1", "localhost") and not address.hostname:
            raise ConfigurationFault(f"{connection.name}: no host")
        if address.hostname not in ("127.0.0.1", "localhost"):
            # It pays, voids and raises invoices for show: never in a real organisation.
            raise ConfigurationFault(f"{connection.name}: demo data goes into a sandbox on this machine only")
        self._client = httpx.Client(timeout=TIME_OUT)
        self._api = f"{host}/api.xro/2.0"
        self._headers = self._sign_in(connection, host)

    def __enter__(self) -> LedgerHand:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the socket back."""
        self._client.close()

    def all(self, what: str, **params: str) -> list[dict[str, Any]]:
        """Every record of an endpoint, all pages; `what` such as `Invoices`."""
        records: list[dict[str, Any]] = []
        for page in range(1, 1000):  # 1,000 pages of 100: more than any demo has
            found = self._call("GET", what, params={**params, "page": str(page)})[what]
            records += found
            if len(found) < 100 or what in ("Items", "Accounts", "TaxRates", "Currencies"):
                return records
        raise VendorFault(f"{what}: more than 1,000 pages")

    def one(self, what: str, key: str) -> dict[str, Any]:
        """One record by its id, with everything that hangs on it."""
        found: dict[str, Any] = self._call("GET", f"{what}/{key}")[what][0]
        return found

    def create(self, what: str, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """PUT: new records. Raises VendorFault when Xero refuses one."""
        made: list[dict[str, Any]] = self._call("PUT", what, {what.rsplit("/", 1)[-1]: list(records)})[
            what.rsplit("/", 1)[-1]
        ]
        return made

    def change(self, what: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """POST: changes one record, such as of `Items`, or `Payments/ID`. Raises VendorFault when Xero refuses it."""
        name = what.partition("/")[0]
        changed: dict[str, Any] = self._call("POST", what, {name: [record]})[name][0]
        return changed

    def delete(self, what: str, key: str) -> None:
        """DELETE: one record, where Xero deletes at all (items)."""
        self._call("DELETE", f"{what}/{key}")

    def pay(self, invoice_id: str, amount: Decimal, on: date) -> None:
        """Takes money on an invoice."""
        self._payment({"Invoice": {"InvoiceID": invoice_id}}, amount, on)

    def pay_back(self, credit_note_id: str, amount: Decimal, on: date) -> None:
        """Refunds a credit note."""
        self._payment({"CreditNote": {"CreditNoteID": credit_note_id}}, amount, on)

    def credit(
        self,
        contact_id: str,
        net: Decimal,
        on: date,
        currency: str,
        tax_type: str = "OUTPUT2",
        reference: str | None = None,
    ) -> dict[str, Any]:
        """Raises an authorised credit note of one line; `reference`: the number of the invoice that it is about."""
        return self.create("CreditNotes", [{"Type": "ACCRECCREDIT", "Status": "AUTHORISED", "CurrencyCode": currency,
            "Contact": {"ContactID": contact_id}, "Date": on.isoformat(), "LineAmountTypes": "Exclusive",
            "Reference": reference, "LineItems": [line("Goodwill", net, tax_type)]}])[0]  # fmt: skip

    def allocate(self, credit_note_id: str, invoice_id: str, amount: Decimal, on: date) -> None:
        """Sets a credit note against an invoice."""
        self.set_against("CreditNotes", credit_note_id, invoice_id, amount, on)

    def receive(self, what: Literal["overpayment", "prepayment"], contact_id: str, amount: Decimal, on: date) -> str:
        """Takes a customer's money for which there is no invoice, without tax; the overpayment's or prepayment's id."""
        paid = {"Description": "Received", "Quantity": "1", "UnitAmount": str(amount)}
        if what == "prepayment":
            paid = line("Received", amount, "NONE")
        made = self.create("BankTransactions", [{"Type": f"RECEIVE-{what.upper()}", "LineAmountTypes": "NoTax",
            "Contact": {"ContactID": contact_id}, "BankAccount": {"Code": BANK_ACCOUNT}, "Date": on.isoformat(),
            "LineItems": [paid]}])[0]  # fmt: skip
        return str(made[f"{what.capitalize()}ID"])

    def set_against(self, what: str, key: str, invoice_id: str, amount: Decimal, on: date) -> None:
        """Sets what is left of a credit against an invoice; `what`: CreditNotes, Overpayments or Prepayments."""
        self.create(
            f"{what}/{key}/Allocations",
            [{"Invoice": {"InvoiceID": invoice_id}, "Amount": str(amount), "Date": on.isoformat()}],
        )

    def void(self, invoice_id: str) -> None:
        """Voids an authorised invoice on which nothing was paid."""
        self.change("Invoices", {"InvoiceID": invoice_id, "Status": "VOIDED"})

    def invoice(
        self,
        number: str,
        contact: Mapping[str, str],
        net: Decimal,
        on: date,
        currency: str = "GBP",
        tax_type: str = "OUTPUT2",
    ) -> dict[str, Any]:
        """Raises an authorised invoice of one line by hand; `contact` is `{ContactID: ...}` or `{Name: ...}`."""
        return self.create("Invoices", [{"Type": "ACCREC", "Status": "AUTHORISED", "InvoiceNumber": number,
            "Contact": dict(contact), "Date": on.isoformat(), "DueDate": on.isoformat(), "CurrencyCode": currency,
            "LineAmountTypes": "Exclusive", "LineItems": [line("By hand", net, tax_type)]}])[0]  # fmt: skip

    def _payment(self, of: Mapping[str, Any], amount: Decimal, on: date) -> None:
        self.create(
            "Payments", [{**of, "Account": {"Code": BANK_ACCOUNT}, "Amount": str(amount), "Date": on.isoformat()}]
        )

    def _sign_in(self, connection: Connection, host: str) -> dict[str, str]:
        url = str(connection.extra.get("token_url") or f"{host}/connect/token")
        answer = self._client.post(
            url, data={"grant_type": "client_credentials"}, auth=(connection.login, connection.password)
        )
        if answer.status_code != 200:
            raise AuthenticationFailed(f"{connection.name}: HTTP {answer.status_code}: the credentials are refused")
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}", "Accept": "application/json"}
        tenants = self._client.get(f"{host}/connections", headers=headers).json()
        return {**headers, "Xero-Tenant-Id": tenants[0]["tenantId"]}

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        answer = self._client.request(
            method,
            f"{self._api}/{path}",
            headers={**self._headers, "Content-Type": "application/json"},
            content=None if body is None else json.dumps(body, default=str),
            params=params,
        )
        if answer.status_code >= 300:
            raise VendorFault(f"{method} {path}: HTTP {answer.status_code}: {answer.text[:500]}")
        content: dict[str, Any] = json.loads(answer.text or "{}", parse_float=Decimal)
        return content


def line(description: str, net: Decimal, tax_type: str) -> dict[str, Any]:
    """A line of a document that finance writes itself."""
    return {"Description": description, "Quantity": "1", "UnitAmount": str(net), "AccountCode": REVENUE_ACCOUNT,
            "TaxType": tax_type}  # fmt: skip
