"""The parts of product_sync.py: items of the ledger become products and prices of the CRM."""
