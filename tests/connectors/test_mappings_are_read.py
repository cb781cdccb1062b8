"""Every entity that a mapping declares can be read by its connector: names, paths and order exist at the vendor's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.connectors.vendors import systems, vendor_of
from tests.connectors.wires import Time
from tests.support.sandbox import ROOT, SandboxProcess
from tieout.mapping.load import load_system

pytestmark = [
    pytest.mark.slow,
    pytest.mark.proves("every entity of its mappings is read, whole and since a time", scenario="connector"),
]
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("system", systems())
def test_every_mapped_entity_is_read_whole_and_since(system: str, sandbox: SandboxProcess) -> None:
    vendor = vendor_of(system)(sandbox, Time())
    connector = vendor.connector()
    mappings = load_system(ROOT / "include" / "mappings", vendor.name)
    entities = [mapping.staged_entity() for mapping in mappings.values() if mapping.is_staged]
    assert entities
    for entity in entities:
        for since in (None, FAR - timedelta(days=1)):
            for page in connector.changed(entity, since, FAR):
                assert all(record[entity.key] for record in page.records), entity.object
    connector.close()
