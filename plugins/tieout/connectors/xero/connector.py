"""XeroConnector: base.Connector put together from sign-in, reading, writing and examining."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from tieout.connectors.base import (
    Answer,
    ControlBalance,
    Finding,
    Found,
    HistoryEntry,
    Operation,
    Page,
    Request,
)
from tieout.connectors.outside import Outside
from tieout.connectors.requirements import Required
from tieout.connectors.vendor import VendorConnector, check_size
from tieout.connectors.xero import books, doctor, look_up, read, write
from tieout.connectors.xero.operations import operations
from tieout.connectors.xero.sign_in import sign_in
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.staged import StagedEntity


class XeroConnector(VendorConnector):
    """One Xero organisation, by one app.

    Args:
        connection: `extra` may have `tenant_id`, `token_url`, `scopes`, `allowed_hosts`; and numbers: `time_out`
            (seconds for one exchange), `latest_apply`, `look_up_lag` (seconds, see base.Operation).
        outside: by default it stands alone.

    Raises:
        ConfigurationFault: the connection's form is not filled in as it must be.
    """

    label = "Xero"

    def __init__(self, connection: Connection, outside: Outside | None = None) -> None:
        self._session = sign_in(connection, outside or Outside())
        super().__init__(connection, self._session.raw.http, operations)

    def changed(self, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
        """See base.Source."""
        return read.changed(self._session, entity, since, upto)

    def dated(
        self, entity: StagedEntity, field: str, first: date, last: date, parent: str | None = None
    ) -> Iterator[Page]:
        """See base.Source; lines stand inside their documents, so nothing has a `parent`."""
        if parent is not None:
            raise ConfigurationFault(f"Xero: {entity.object} stands alone; expected no parent, found {parent!r}")
        return read.dated(self._session, entity, field, first, last)

    def deleted(self, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
        """Nothing: in Xero a document that is deleted or voided, and a contact that is archived or merged, stay
        records and come through `changed` with their new status. Items and accounts that are gone are told by
        nobody: they are missing when the entity is read whole."""
        read.endpoint(entity)
        return iter(())

    def fetch(self, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
        """See base.Source."""
        return read.fetch(self._session, entity, ids)

    def receivables(self, day: date) -> ControlBalance:
        """See base.GeneralLedger."""
        return books.receivables(self._session, day)

    def history(self, object_name: str, id_: str) -> Sequence[HistoryEntry]:
        """See base.GeneralLedger; `object_name` such as Invoices."""
        return books.history(self._session, object_name, id_)

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        """See base.Target. A body is one element as Xero takes it, with the key that the operation goes by; that of an
        allocation has `CreditNote.CreditNoteID`, `Invoice.InvoiceID`, `Amount` and `Date`."""
        check_size(operation, requests)
        return write.send(self._session, operation, requests)

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        """See base.Target."""
        return look_up.look_up(self._session, operation, requests)

    def findings(self, required: Required | None = None) -> Sequence[Finding]:
        """See base.Connector; `required` names the currencies, accounts and tax types that a link needs."""
        return list(doctor.findings(self._session, required or Required()))
