"""Xero's Accounting API. README.md says how to set an organisation up and what was checked against what."""
