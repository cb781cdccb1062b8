"""HubSpotConnector: base.Connector put together from sign-in, reading, writing and examining."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from tieout.connectors.base import Answer, Finding, Found, Operation, Page, Record, Request
from tieout.connectors.hubspot import archived, doctor, load, prices, read, setup, write
from tieout.connectors.hubspot.needs import STANDARD
from tieout.connectors.hubspot.objects import VIRTUAL
from tieout.connectors.hubspot.operations import operations
from tieout.connectors.hubspot.pipelines import Pipelines
from tieout.connectors.hubspot.read import INDEX_LAG, MOST_INDEX_LAG, Reader
from tieout.connectors.hubspot.sign_in import sign_in
from tieout.connectors.hubspot.write import Writer
from tieout.connectors.outside import Outside
from tieout.connectors.requirements import Required
from tieout.connectors.saved import SaveResult
from tieout.connectors.vendor import VendorConnector, check_size
from tieout.connectors.wire import number_from
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.staged import StagedEntity


class HubSpotConnector(VendorConnector):
    """One HubSpot portal, by one private app or one installation of an OAuth app.

    Args:
        connection: `extra` may have `auth` (private_app, oauth), `refresh_token`, `token_url`, `allowed_hosts`,
            and numbers of seconds: `time_out` (one exchange), `latest_apply`, `look_up_lag` (see base.Operation),
            `index_lag`, `look_back` (see read.Reader).
        outside: by default it stands alone.

    Raises:
        ConfigurationFault: the connection's form is not filled in as it must be.
    """

    label = "HubSpot"
    look_up_lag = 5.0

    def __init__(self, connection: Connection, outside: Outside | None = None) -> None:
        self._session = sign_in(connection, outside or Outside())
        self.pipelines = Pipelines(self._session)
        self._reader = Reader(
            self._session,
            self.pipelines,
            timedelta(seconds=number_from(connection, "index_lag", INDEX_LAG, 0.0, MOST_INDEX_LAG)),
            timedelta(seconds=number_from(connection, "look_back", 0.0, 0.0, 86_400.0)),
        )
        self._writer = Writer(self._session)
        super().__init__(connection, self._session.raw.http, operations)

    def changed(self, entity: StagedEntity, since: datetime | None, upto: datetime) -> Iterator[Page]:
        """See base.Source."""
        if entity.object in VIRTUAL:
            return prices.changed(self._reader, entity, since, upto)
        return read.changed(self._reader, entity, since, upto)

    def dated(
        self, entity: StagedEntity, field: str, first: date, last: date, parent: str | None = None
    ) -> Iterator[Page]:
        """See base.Source; a `parent` is `associations.<object>`."""
        if entity.object in VIRTUAL:
            raise ConfigurationFault(f"HubSpot: {entity.object} cannot be chosen by a date")
        return read.dated(self._reader, entity, field, first, last, parent)

    def deleted(self, entity: StagedEntity, since: datetime, upto: datetime) -> Iterator[Sequence[str]]:
        """See base.Source; at most 90 days back. Records that were merged into another are among them."""
        if entity.object in VIRTUAL:
            return prices.deleted(self._reader, entity, since, upto)
        return archived.deleted(self._reader, entity, since, upto)

    def fetch(self, entity: StagedEntity, ids: Sequence[str]) -> Iterator[Page]:
        """See base.Source."""
        if entity.object in VIRTUAL:
            return prices.fetch(self._reader, entity, ids)
        return read.fetch(self._reader, entity, ids)

    def send(self, operation: Operation, requests: Sequence[Request]) -> Sequence[Answer]:
        """See base.Target. A body is `{"id", "properties", "associations": {object: id}}`, without an id for an upsert,
        with `object` where it is another than the operation's; that of a price `{"id" or "product_id", "currency",
        "unit_price", "active"}`."""
        check_size(operation, requests)
        return write.send(self._writer, operation, requests)

    def look_up(self, operation: Operation, requests: Sequence[Request]) -> Mapping[str, Sequence[Found]]:
        """See base.Target."""
        return write.look_up(self._writer, operation, requests)

    def findings(self, required: Required | None = None) -> Sequence[Finding]:
        """See base.Connector; `required` replaces what needs.py lists. Names may be paths (`properties.x`)."""
        return list(doctor.findings(self._session, STANDARD if required is None else required))

    def set_up(self, wanted: Mapping[str, object], *, optional: bool = False) -> list[str]:
        """Makes what include/crm_setup/hubspot.json lists and the portal does not have; see setup.set_up."""
        return setup.set_up(self._session, wanted, optional=optional)

    def insert(self, object_name: str, records: Sequence[Record]) -> list[SaveResult]:
        """Creates records, for loaders of data; see load.save."""
        return load.save(self._session, self.pipelines, "create", object_name, records)

    def update(self, object_name: str, records: Sequence[Record]) -> list[SaveResult]:
        """Changes records by their `id`, for loaders of data; see load.save."""
        return load.save(self._session, self.pipelines, "update", object_name, records)

    def upsert(self, object_name: str, unique: str, records: Sequence[Record]) -> list[SaveResult]:
        """Creates or changes records by a unique property, for loaders of data; see load.save."""
        return load.save(self._session, self.pipelines, "upsert", object_name, records, unique=unique)

    def archive(self, object_name: str, ids: Sequence[str]) -> None:
        """Archives records, for loaders and tests."""
        load.archive(self._session, object_name, ids)
