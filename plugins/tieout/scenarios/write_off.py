"""Writing off the cents by which a ledger's document differs from its record: a credit note, or an invoice, of them.

They go to the account that the link names, without tax, at the rate of the document; a credit note is set against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tieout.delivery.bodies import placeholder
from tieout.delivery.intents import NewIntent
from tieout.mapping.payload import bodies
from tieout.model.errors import ConfigurationFault
from tieout.model.identity import doc_uid, idempotency_key
from tieout.model.money import from_minor
from tieout.scenarios.billing import Row
from tieout.scenarios.frames import native_frame
from tieout.scenarios.making import application_body, lines_name
from tieout.scenarios.plans import STAMP
from tieout.scenarios.services import Services
from tieout.scenarios.subjects import subject_of

KIND = "write_off"
#: The key of the link's tax_codes for what bears no tax.
NO_TAX = "none"


@dataclass(frozen=True, slots=True)
class WriteOff:
    """What is written off.

    Attributes:
        source_id: the CRM's record; invoice: its document in the ledger, a row of the common model.
        amount_minor: what the ledger lacks; below 0: what it has too much.
        revision: from 1, for each write-off of the record.
    """

    source_id: str
    invoice: Row
    amount_minor: int
    revision: int
    day: date
    account: str


def intents(services: Services, off: WriteOff) -> list[NewIntent]:
    """The credit note with its allocation, or the invoice.

    Raises:
        ConfigurationFault: the ledger's mapping refuses what would be sent.
    """
    maker = _Maker(services, off)
    return maker.credit() if off.amount_minor < 0 else maker.invoice()


class _Maker:
    """Makes the intents of one write-off."""

    def __init__(self, services: Services, off: WriteOff) -> None:
        self._services, self._off = services, off
        self._object = services.crm.mappings[subject_of(services).entity].object

    def credit(self) -> list[NewIntent]:
        """A credit note of our stamp, and its allocation to the invoice."""
        off, uid = self._off, self._uid(KIND)
        head = {**self._head(), "reference": f"{STAMP}{uid}"}
        note = self._intent(
            KIND, "credit_notes.create", "credit_memo", head["reference"], self._body("credit_memo", head)
        )
        invoice_id = off.invoice["invoice_id"]
        body = application_body(self._services, {
            "credit_memo_id": placeholder(uid), "invoice_id": invoice_id, "customer_id": off.invoice["customer_id"],
            "amount_minor": -off.amount_minor, "currency": off.invoice["currency"], "date": off.day,
            "exchange_rate": off.invoice["exchange_rate"],
        })  # fmt: skip
        allocation = self._intent(
            f"{KIND}_allocation", "credit_notes.allocate", "allocation", f"{uid}:{invoice_id}", body, (uid,)
        )
        return [note, allocation]

    def invoice(self) -> list[NewIntent]:
        """An invoice of its own: what was posted is not changed."""
        off = self._off
        number = f"{off.invoice['number']}-R{off.revision}"
        head = {
            **self._head(), "number": number, "due_date": off.day, "reference": f"rounding of {off.invoice['number']}",
            "source_url": self._services.crm.record_url(off.source_id),
        }  # fmt: skip
        return [self._intent(KIND, "invoices.create", "invoice", number, self._body("invoice", head))]

    def _head(self) -> dict[str, Any]:
        off = self._off
        return {
            "_source_id": off.source_id, "_key": off.source_id, "customer_id": off.invoice["customer_id"],
            "date": off.day, "currency": off.invoice["currency"], "status": "authorised",
            "exchange_rate": off.invoice["exchange_rate"],
        }  # fmt: skip

    def _body(self, entity: str, head: Mapping[str, Any]) -> bytes:
        off, ledger = self._off, self._services.ledger
        currency, cents = off.invoice["currency"], abs(off.amount_minor)
        line = {
            "_source_id": off.source_id, "_key": off.source_id, "position": 1, "currency": currency,
            "description": f"Rounding of {off.invoice['number']}", "quantity": Decimal(1),
            "unit_price": from_minor(cents, currency), "account_code": off.account,
            "tax_code": self._no_tax(), "net_minor": cents,
        }  # fmt: skip
        native, refused, _ = native_frame(self._services, ledger, entity, [head])
        native_line, refused_line, _ = native_frame(self._services, ledger, "invoice_line", [line])
        if faults := [*refused, *refused_line]:
            raise ConfigurationFault(f"rounding of {off.invoice['number']} cannot be written off: {faults[0].message}")
        made: bytes = bodies(native, native_line, lines_name(self._services), "_key").iloc[0]
        return made

    def _no_tax(self) -> str:
        code = self._services.link.tax_codes.get(NO_TAX)
        if code is None:
            raise ConfigurationFault(
                f"rounding is written off without tax: name the ledger's code for that as tax_codes.{NO_TAX} in link "
                f"{self._services.link.name}"
            )
        return code

    def _uid(self, kind: str) -> str:
        link = self._services.link
        return doc_uid(link.name, link.crm, self._object, self._off.source_id, kind, self._off.revision)

    def _intent(
        self, kind: str, operation: str, entity: str, natural_key: str, body: bytes, depends_on: tuple[str, ...] = ()
    ) -> NewIntent:
        link, off, uid = self._services.link, self._off, self._uid(kind)
        return NewIntent(
            link=link.name, target=link.ledger, doc_uid=uid, kind=kind, operation=operation, revision=off.revision,
            source=link.crm, source_object=self._object, source_id=off.source_id,
            source_system=self._services.crm.system, source_entity=subject_of(self._services).entity,
            natural_key=natural_key, idempotency_key=idempotency_key(uid, link.ledger, operation), body=body,
            entity=entity, depends_on=depends_on, currency=off.invoice["currency"],
            amount_minor=abs(off.amount_minor),
            frozen={"mapping": self._services.mapping_hash, "write_off_of": off.invoice["invoice_id"]},
            owner=link.owners.get("invoices", "finance"), posting_date=off.day,
        )  # fmt: skip
