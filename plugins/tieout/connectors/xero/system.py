"""Xero in the registry."""

from __future__ import annotations

from tieout.connectors.capabilities import Capabilities, System
from tieout.connectors.xero.connector import XeroConnector
from tieout.connectors.xero.operations import SHAPES
from tieout.connectors.xero.read import ENDPOINTS
from tieout.connectors.xero.sign_in import ALLOWANCE

SYSTEM = System(
    Capabilities(
        "xero", "ledger", tuple(ENDPOINTS), tuple(SHAPES), tells_deletions=False, deletions_days=None, upserts=False,
        drafts=True, line_discounts=True, number_length=255,
    ),
    ALLOWANCE,
    XeroConnector,
)  # fmt: skip
