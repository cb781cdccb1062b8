"""Xero's Accounting API. README.md says how to set an organisation up and what was checked against what."""

from tieout.connectors.xero.connector import XeroConnector

__all__ = ["XeroConnector"]
