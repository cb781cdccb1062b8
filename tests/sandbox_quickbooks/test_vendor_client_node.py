"""node-quickbooks, unchanged, where Node and the npm registry are (tests/support/node_clients.py).

The package knows Intuit's hosts by two properties of its own, V3_ENDPOINT_BASE_URL and TOKEN_URL: they are set to the
sandbox's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox_quickbooks.conftest import NO_LIMITS, US
from tests.support import node_clients
from tests.support.sandbox import SandboxProcess

SCRIPT = Path(__file__).with_name("vendor_client.js")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_node_client_bills_credits_pays_back_and_sees_faults(sandbox: SandboxProcess) -> None:
    sandbox.settings("quickbooks", limits=NO_LIMITS)
    assert node_clients.run(SCRIPT, f"{sandbox.url}/quickbooks", US) == {
        "open": [0, 0, 0],
        "found": [True],
        "count": 2,
        "paged": ["Two", "Zoë & Søn 日本"],
        "batch": ["Customer", "6240", "QueryResponse"],
        "stale": ["5010"],
        "twice": ["6140"],
        "gone": ["610"],
        "deleted": ["Deleted"],
        "notes": "pays on time",
        "report": "TrialBalance",
    }
