"""QuickBooks Online's Accounting API. README.md says how to set a company up and what was checked against what."""
