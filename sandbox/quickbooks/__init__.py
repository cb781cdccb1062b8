"""QuickBooks Online's Accounting API, played."""
