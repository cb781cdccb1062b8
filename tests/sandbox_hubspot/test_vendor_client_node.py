"""HubSpot's own Node client, unchanged, where Node and the package are.

TIEOUT_NODE_PEERS names a folder with node_modules/@hubspot/api-client.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sandbox_hubspot.conftest import TOKEN, HubSpot

PEERS = Path(os.environ.get("TIEOUT_NODE_PEERS", "no such folder")) / "node_modules"
SCRIPT = Path(__file__).with_name("vendor_client.js")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(
    not (PEERS / "@hubspot" / "api-client").is_dir(),
    reason="TIEOUT_NODE_PEERS names no folder with node_modules/@hubspot/api-client",
)
def test_the_node_client_creates_pages_searches_links_and_archives(hubspot: HubSpot) -> None:
    environment = dict(os.environ, NODE_PATH=str(PEERS))
    command = ["node", str(SCRIPT), hubspot.root, TOKEN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "made": 12,
        "pages": [10, 2],
        "amount": "0.123456789012345678",
        "linked": 2,
        "found": 1,
        "isNew": True,
        "gone": 404,
    }
