"""SalesforceConnector: base.Connector put together from sign-in, reading, writing and examining."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from tieout.connectors.base import Answer, Finding, Found, Operation, Page, Record, Request
from tieout.connectors.outside import Outside
from tieout.connectors.requirements import Required
from tieout.connectors.salesforce import doctor, load, read, write
from tieout.connectors.salesforce.needs import STANDARD
from tieout.connectors.salesforce.sign_in import data_path, sign_in
from tieout.connectors.saved import SaveResult
from tieout.connectors.vendor import VendorConnector, check_size
from tieout.connectors.wire import number_from
from tieout.model.connection import Connection
from tieout.model.staged import StagedEntity


class SalesforceConnector(VendorConnector):
    """One Salesforce organisation, by one integration user.

    Args:
        connection: `extra` may have `auth` (client_credentials, jwt), `username`, `api_version`, `allowed_hosts`,
            `token_url`, `audience`; and numbers: `time_out` (seconds for one exchange), `latest_apply`,
            `look_up_lag` (seconds, see base.Operation), `bulk_from` (records from which reading uses a job).
        outside: by default it stands alone.

    Raises:
        ConfigurationFault: the connection's form is not filled in as it must be.
    """

    label = "Salesforce"
    look_up_lag = 5.0

    def __init__(self, connection: Connection, outside: Outside | None = None) -> None:
        self._data = data_path(connection)
        self._bulk_from = int(number_from(connection, "bulk_from", read.BULK_FROM, 1, 1e9))
        self._session = sign_in(connection, outside or Outside())
        super().__init__(connection, self._session.http, write.operations)

    def changed(self, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
        """See base.Source."""
        return read.changed(self._session, self._data, entity, since, upto, self._bulk_from)

    def dated(
        self, entity: StagedEntity, field: str, first: date, last: date, parent: str | None = None
    ) -> Iterator[Page]:
        """See base.Source."""
        return read.dated(self._session, self._data, entity, field, first, last, parent, self._bulk_from)

    def deleted(self, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
        """See base.Source; at most 15 days back. 18-character ids."""
        return read.deleted(self._session, self._data, entity, since, upto, self._session.http.clock.now())

    def fetch(self, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
        """See base.Source; ids of 15 or 18 characters."""
        return read.fetch(self._session, self._data, entity, ids)

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        """See base.Target. A body is a JSON object of fields; its record is `Id` (or the external id) in it, else the
        natural key."""
        check_size(operation, requests)
        return write.send(self._session, self._data, operation, requests)

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        """See base.Target."""
        return write.look_up(self._session, self._data, operation, requests)

    def findings(self, required: Required | None = None) -> Sequence[Finding]:
        """See base.Connector; `required` replaces what docs/architecture.md lists."""
        return list(doctor.findings(self._session, self._data, STANDARD if required is None else required))

    def query(self, soql: str) -> Iterator[Record]:
        """The records of a query that the caller wrote, for loaders and tests."""
        return iter(read.query_all(self._session, self._data, soql))

    def insert(self, object_name: str, records: Sequence[Record], bulk_from: int = load.BULK_FROM) -> list[SaveResult]:
        """Creates records, for loaders of data; see load.save."""
        return load.save(self._session, self._data, "insert", object_name, records, bulk_from=bulk_from)

    def update(self, object_name: str, records: Sequence[Record], bulk_from: int = load.BULK_FROM) -> list[SaveResult]:
        """Changes records by their `Id`, for loaders of data; see load.save."""
        return load.save(self._session, self._data, "update", object_name, records, bulk_from=bulk_from)

    def upsert(
        self, object_name: str, external_id_field: str, records: Sequence[Record], bulk_from: int = load.BULK_FROM
    ) -> list[SaveResult]:
        """Creates or changes records by an external id, for loaders of data; see load.save. By `Id` it is `update`."""
        if external_id_field == "Id":
            return self.update(object_name, records, bulk_from)
        return load.save(
            self._session,
            self._data,
            "upsert",
            object_name,
            records,
            external_id=external_id_field,
            bulk_from=bulk_from,
        )
