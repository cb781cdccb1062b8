"""Tieout joins a CRM to a ledger, posts each document exactly once and proves that the two agree."""

__version__ = "0.1.0"
