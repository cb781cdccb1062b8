"""HubSpot in the registry."""

from __future__ import annotations

from tieout.connectors.capabilities import Capabilities, System
from tieout.connectors.hubspot.archived import ARCHIVED_DAYS
from tieout.connectors.hubspot.connector import HubSpotConnector
from tieout.connectors.hubspot.operations import SHAPES
from tieout.connectors.hubspot.sign_in import ALLOWANCE

SYSTEM = System(
    Capabilities(
        "hubspot", "crm", None, tuple(SHAPES), tells_deletions=True, deletions_days=ARCHIVED_DAYS, upserts=True,
        set_up=r"properties\.tieout_\w+",
    ),
    ALLOWANCE,
    HubSpotConnector,
)  # fmt: skip
