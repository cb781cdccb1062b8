"""Salesforce as the standard suite sees it: accounts are read, write-backs go to accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import httpx

from tests.connectors.vendors import DRY, LONG_AGO, Vendor, post, project, spell
from tests.connectors.wires import entity as staged
from tests.connectors.wires import item
from tieout.connectors.base import Request


class Salesforce(Vendor):
    """A new organisation with the fields that Tieout adds."""

    name = "salesforce"
    login = "sandbox-consumer"
    lacks = {"retry_after": "the allowance is that of a day, and REQUEST_LIMIT_EXCEEDED names no time"}
    page = 2000
    operation = "accounts.write_back"
    read_path = "/services/data/*/query*"
    write_path = "/services/data/*/composite/sobjects*"
    entity = staged(
        "salesforce", "Account", "Id", "SystemModstamp",
        account_id=("Id", "text"), name=("Name", "text"), revenue=("AnnualRevenue", "decimal"),
    )  # fmt: skip
    upsert_operation = "ledger_invoices.upsert"
    create_operation = "products.upsert"
    dated_entity = staged(
        "salesforce", "Order", "Id", "SystemModstamp", id=("Id", "text"), on=("EffectiveDate", "date")
    )
    dated_field = "EffectiveDate"

    def prepare(self) -> None:
        setup = json.loads((project() / "include" / "crm_setup" / "salesforce.json").read_text())
        post(f"{self.root}/_sandbox/metadata", setup)
        self.targets: list[str] = []

    def put(self, stamps: Sequence[datetime], amount: Decimal, text: str) -> list[str]:
        return self._raw(
            "Account",
            [
                {"Name": f"{text} {n}", "AnnualRevenue": amount, "SystemModstamp": f"{spell(stamp)}+0000"}
                for n, stamp in enumerate(stamps)
            ],
        )

    def touch(self, id_: str, stamp: datetime) -> None:
        self._raw("Account", [{"Id": id_, "SystemModstamp": f"{spell(stamp)}+0000"}])

    def delete(self, id_: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": self.login, "client_secret": DRY}
        token = httpx.post(f"{self.root}/services/oauth2/token", data=form).json()["access_token"]
        url = f"{self.root}/services/data/v62.0/sobjects/Account/{id_}"
        httpx.delete(url, headers={"Authorization": f"Bearer {token}"}).raise_for_status()

    def missing(self, id_: str) -> str:
        return id_[:-4] + "9AAA"

    def read_back(self, record: Mapping[str, Any]) -> tuple[Decimal, str]:
        return record["AnnualRevenue"], record["Name"].rsplit(" ", 1)[0]

    def put_dated(self, days: Sequence[date]) -> list[str]:
        (account,) = self.put([LONG_AGO], Decimal(1), "buyer")
        made = [{"AccountId": account, "EffectiveDate": day.isoformat(), "Status": "Draft"} for day in days]
        return self._raw("Order", made)

    def requests(self, count: int, bad: Sequence[int] = ()) -> list[Request]:
        self.targets = self.targets or self.put([LONG_AGO] * count, Decimal(1), "write")
        return [
            item(
                n,
                self.operation,
                {"Tieout_Ledger_Number__c": ("x" * 51 if n in bad else f"N-{n} é"), "Tieout_Ledger_Id__c": f"L-{n}"},
                id_,
            )
            for n, id_ in enumerate(self.targets[:count])
        ]

    def applied(self) -> int:
        return sum(1 for row in self._rows("Account") if row.get("Tieout_Ledger_Id__c"))

    def with_amount(self, amount: Decimal) -> Request:
        (account,) = self.put([LONG_AGO], Decimal(1), "owes")
        return self._ledger_invoice("L-amount", "N", account, amount)

    def upserts(self, count: int, text: str) -> list[Request]:
        self.targets = self.targets or self.put([LONG_AGO], Decimal(1), "owes")
        return [self._ledger_invoice(f"L-{n}", text, self.targets[0], Decimal(n)) for n in range(count)]

    def upserted(self) -> list[str]:
        return [row["Number__c"] for row in self._rows("Ledger_Invoice__c")]

    def creates(self, count: int) -> list[Request]:
        return [
            item(n, "products.upsert", {"Tieout_Item_Id__c": f"I-{n}", "Name": f"Tea {n} 🍵", "ProductCode": f"T{n}"})
            for n in range(count)
        ]

    def created(self) -> int:
        return sum(1 for row in self._rows("Product2") if row.get("Tieout_Item_Id__c"))

    def _ledger_invoice(self, key: str, number: str, account: str, total: Decimal) -> Request:
        body = {"Ledger_Invoice_Id__c": key, "Number__c": number, "Account__c": account, "Total__c": total}
        return item(int(total) % 1000, "ledger_invoices.upsert", body, key)

    def _raw(self, name: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
        found: list[str] = post(f"{self.root}/_sandbox/raw/{name}", {"records": records})["ids"]
        return found

    def _rows(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = httpx.get(f"{self.root}/_sandbox/raw/{name}", timeout=60).json()
        return rows


VENDOR = Salesforce
