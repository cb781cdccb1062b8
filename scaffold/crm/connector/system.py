"""New System in the registry."""

from __future__ import annotations

from scaffold.both.connector.connector import NewSystemConnector
from scaffold.both.connector.sign_in import ALLOWANCE
from scaffold.crm.connector.operations import OBJECTS, SHAPES
from tieout.connectors.capabilities import Capabilities, System

SYSTEM = System(
    Capabilities(
        "newsystem",
        "crm",
        OBJECTS,
        tuple(SHAPES),
        tells_deletions=True,
        deletions_days=None,
        upserts=True,
    ),
    ALLOWANCE,
    NewSystemConnector,
)
