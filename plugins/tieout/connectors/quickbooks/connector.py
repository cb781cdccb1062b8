"""QuickBooksConnector: base.Connector put together from sign-in, reading, writing and examining."""

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
from tieout.connectors.quickbooks import books, doctor, look_up, read, write
from tieout.connectors.quickbooks.operations import operations
from tieout.connectors.quickbooks.sign_in import sign_in
from tieout.connectors.requirements import Required
from tieout.connectors.vendor import VendorConnector, check_size
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.staged import StagedEntity


class QuickBooksConnector(VendorConnector):
    """One company of QuickBooks Online, by one app.

    Args:
        connection: `extra` has `realm_id` and the first `refresh_token`; it may have `token_url`, `allowed_hosts`; and
            numbers: `time_out` (seconds for one exchange), `latest_apply`, `look_up_lag` (seconds, see base.Operation).
        outside: by default it stands alone.

    Raises:
        ConfigurationFault: the connection's form is not filled in as it must be.
    """

    label = "QuickBooks"

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
            raise ConfigurationFault(f"QuickBooks: {entity.object} stands alone; expected no parent, found {parent!r}")
        return read.dated(self._session, entity, field, first, last)

    def deleted(self, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
        """See base.Source: from change data capture, of what Intuit tells it of (read.TOLD). Customers, items and
        accounts are made inactive, which `changed` shows; what a merge took away comes here."""
        return read.deleted(self._session, entity, since, upto)

    def fetch(self, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
        """See base.Source."""
        return read.fetch(self._session, entity, ids)

    def receivables(self, day: date) -> ControlBalance:
        """See base.GeneralLedger."""
        return books.receivables(self._session, day)

    def history(self, object_name: str, id_: str) -> Sequence[HistoryEntry]:
        """Nothing: Intuit has no API for the audit log."""
        return ()

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        """See base.Target. A body is one entity as its endpoint takes it, without SyncToken; it names the key that
        the operation goes by."""
        check_size(operation, requests)
        return write.send(self._session, operation, requests)

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        """See base.Target."""
        return look_up.look_up(self._session, operation, requests)

    def findings(self, required: Required | None = None) -> Sequence[Finding]:
        """See base.Connector; `required` names the currencies, accounts and tax types that a link needs."""
        return list(doctor.findings(self._session, required or Required()))
