"""Salesforce in the registry."""

from __future__ import annotations

from tieout.connectors.capabilities import Capabilities, System
from tieout.connectors.salesforce.connector import SalesforceConnector
from tieout.connectors.salesforce.sign_in import ALLOWANCE
from tieout.connectors.salesforce.write import SHAPES

SYSTEM = System(
    Capabilities(
        "salesforce", "crm", None, tuple(SHAPES), tells_deletions=True, deletions_days=15, upserts=True,
        set_up=r"[^.]+__c",
    ),
    ALLOWANCE,
    SalesforceConnector,
)  # fmt: skip
