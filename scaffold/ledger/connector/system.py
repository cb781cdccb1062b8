"""New System in the registry."""

from __future__ import annotations

from scaffold.both.connector.connector import NewSystemConnector
from scaffold.both.connector.sign_in import ALLOWANCE
from scaffold.ledger.connector.operations import OBJECTS, SHAPES
from tieout.connectors.capabilities import Capabilities, System

SYSTEM = System(
    Capabilities(
        "newsystem",
        "ledger",
        OBJECTS,
        tuple(SHAPES),
        tells_deletions=False,  # what is voided stays, and says so by its status
        deletions_days=None,
        upserts=False,
        line_discounts=True,
        number_length=40,
    ),
    ALLOWANCE,
    NewSystemConnector,
)
