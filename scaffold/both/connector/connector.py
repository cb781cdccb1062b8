"""NewSystemConnector: base.Connector put together from sign-in, reading, writing and examining."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial

from scaffold.both.connector import doctor, look_up, read, write
from scaffold.both.connector.shape import declared
from scaffold.both.connector.sign_in import sign_in
from scaffold.ledger.connector.operations import SHAPES
from tieout.connectors.base import Answer, Finding, Found, Operation, Page, Request
from tieout.connectors.outside import Outside
from tieout.connectors.requirements import Required
from tieout.connectors.vendor import VendorConnector, check_size
from tieout.model.connection import Connection
from tieout.model.staged import StagedEntity


class NewSystemConnector(VendorConnector):
    """One account of New System, by one client.

    Args:
        connection: `extra` may have `token_url`, `allowed_hosts`; and numbers: `time_out` (seconds for one exchange),
            `latest_apply`, `look_up_lag` (seconds, see base.Operation).
        outside: by default it stands alone.

    Raises:
        ConfigurationFault: the connection's form is not filled in as it must be.
    """

    label = "New System"

    def __init__(self, connection: Connection, outside: Outside | None = None) -> None:
        self._session = sign_in(connection, outside or Outside())
        super().__init__(connection, self._session.http, partial(declared, SHAPES))

    def changed(self, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
        """See base.Source."""
        return read.changed(self._session, entity, since, upto)

    def dated(
        self, entity: StagedEntity, field: str, first: date, last: date, parent: str | None = None
    ) -> Iterator[Page]:
        """See base.Source."""
        return read.dated(self._session, entity, field, first, last, parent)

    def deleted(self, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
        """See base.Source."""
        return read.deleted(self._session, entity, since, upto)

    def fetch(self, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
        """See base.Source."""
        return read.fetch(self._session, entity, ids)

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        """See base.Target. A body is one record, with the key that the operation goes by."""
        check_size(operation, requests)
        return write.send(self._session, SHAPES[operation.name], requests)

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        """See base.Target."""
        return look_up.look_up(self._session, SHAPES[operation.name], requests)

    def findings(self, required: Required | None = None) -> Sequence[Finding]:
        """See base.Connector."""
        return list(doctor.findings(self._session, required or Required()))
