"""HubSpot's own Node client, unchanged, where Node and the npm registry are (tests/support/node_clients.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox_hubspot.conftest import TOKEN, HubSpot
from tests.support import node_clients

SCRIPT = Path(__file__).with_name("vendor_client.js")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_node_client_creates_pages_searches_links_archives_and_sees_errors(hubspot: HubSpot) -> None:
    assert node_clients.run(SCRIPT, hubspot.root, TOKEN) == {
        "made": 12,
        "pages": [10, 2],
        "amount": "0.123456789012345678",
        "linked": 2,
        "found": 1,
        "isNew": True,
        "conflict": [409, "CONFLICT"],
        "partly": [207, 1, 1],
        "gone": 404,
    }
