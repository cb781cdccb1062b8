"""QuickBooks Online in the registry."""

from __future__ import annotations

from tieout.connectors.capabilities import Capabilities, System
from tieout.connectors.quickbooks.connector import QuickBooksConnector
from tieout.connectors.quickbooks.operations import SHAPES
from tieout.connectors.quickbooks.read import CDC_DAYS, OBJECTS
from tieout.connectors.quickbooks.sign_in import ALLOWANCE

SYSTEM = System(
    Capabilities(
        "quickbooks", "ledger", OBJECTS, tuple(SHAPES), tells_deletions=True, deletions_days=CDC_DAYS, upserts=False,
        drafts=False, line_discounts=False, unit_decimals=5, number_length=21,
    ),
    ALLOWANCE,
    QuickBooksConnector,
)  # fmt: skip
