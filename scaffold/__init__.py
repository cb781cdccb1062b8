"""What the next system begins as: a small one that works, and the command that copies it under a name.

    python -m scaffold NAME --role ledger|crm [--label "Its name"]        (make new-connector NAME=... ROLE=...)

both/      what does not differ between a CRM and a ledger
ledger/    a ledger's part
crm/       a CRM's part; it has a file of its own where it differs from the ledger
making.py  which file goes where under which name, and what is refused

The template is real code: ruff and mypy read it like any other, with `newsystem`, `NewSystem` and `New System` where
the name goes, and tests/scaffold builds both roles from it and bills with them. Modules of both/ import those of
ledger/: in a CRM that is built, the same names are the CRM's.
"""
