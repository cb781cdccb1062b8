"""The CRMs that records can be loaded into (crm_load.py), by their connectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tieout.connectors.hubspot.connector import HubSpotConnector
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.model.connection import Connection
from tieout.model.errors import ConfigurationFault
from tieout.model.staged import StagedEntity, StagedField
from tieout.scenarios.crm_load import KEYS, ConnectorCrm, Crm, Saved

#: Fields of a profile that are no properties: a record above; the stage and its pipeline by their labels.
_ABOVE, _STAGE, _PIPELINE = "associations.", "stage", "pipeline"


_NO_PROPERTIES = ("id", _STAGE, _PIPELINE)


@contextmanager
def open_crm(connection: Connection) -> Iterator[Crm]:
    """The CRM of a connection, open.

    Raises:
        ConfigurationFault: records cannot be loaded into that system.
    """
    if connection.system == "salesforce":
        salesforce = SalesforceConnector(connection)
        try:
            yield ConnectorCrm(salesforce)
        finally:
            salesforce.close()
    elif connection.system == "hubspot":
        hubspot = HubSpotConnector(connection)
        try:
            yield HubSpotCrm(hubspot)
        finally:
            hubspot.close()
    else:
        raise ConfigurationFault(f"connection {connection.name!r}: nothing can be loaded into {connection.system}")


class HubSpotCrm:
    """A Crm over the HubSpot connector: fields are properties, but for `associations.<object>` and `stage`."""

    keys = KEYS["hubspot"]

    def __init__(self, connector: HubSpotConnector) -> None:
        self._connector = connector

    def standing(self) -> Mapping[str, str]:
        """Nothing that records refer to is there before them."""
        return {}

    def rows(self, object_name: str, fields: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """See Crm."""
        paths = {name: "stage.label" if name == _STAGE else f"properties.{name}" for name in fields}
        staged = (
            StagedField("id", "id", "text"),
            *(StagedField(f"field_{at}", path, "text") for at, path in enumerate(paths.values())),
        )
        entity = StagedEntity("hubspot", object_name, object_name, "id", "properties.hs_lastmodifieddate", staged)
        for page in self._connector.changed(entity, None, datetime.now(UTC)):
            for record in page.records:
                yield {"id": record["id"], **{name: _at(record, path) for name, path in paths.items()}}

    def insert(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> Sequence[Saved]:
        """See Crm."""
        return [_saved(one) for one in self._connector.insert(object_name, [_record(each) for each in records])]

    def update(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> Sequence[Saved]:
        """See Crm."""
        return [_saved(one) for one in self._connector.update(object_name, [_record(each) for each in records])]


def _record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As connectors/hubspot/load.py takes it."""
    above = {name.removeprefix(_ABOVE): value for name, value in fields.items() if name.startswith(_ABOVE)}
    properties = {
        name: value for name, value in fields.items() if not name.startswith(_ABOVE) and name not in _NO_PROPERTIES
    }
    whole = {name: fields[name] for name in _NO_PROPERTIES if name in fields}
    return {**whole, "properties": properties, **({"associations": above} if above else {})}


def _at(record: Mapping[str, Any], path: str) -> Any:
    value: Any = record
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _saved(result: Any) -> Saved:
    return Saved(result.id, "; ".join(f"{code}: {message}" for code, message in result.errors))
