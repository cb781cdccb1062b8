"""The parts of returns.py: what customers send back becomes credit notes of the ledger."""
