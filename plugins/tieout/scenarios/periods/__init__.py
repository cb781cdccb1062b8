"""Fiscal periods: locks, plans, reports, the close."""
