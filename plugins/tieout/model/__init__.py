"""Pure data and the rules that need nothing else: no I/O, no database, no pandas at import time.

errors.py       the exception tree and `Rejection`, the record of a bad record
staged.py       how a source record is declared for staging
link.py         one CRM joined to one ledger: connections, policies
connection.py   what a connector needs to reach a system
common.py       the common model: the columns of each entity's frame
identity.py     doc_uid, idempotency keys, content hashes
money.py        minor units, rounding, apportioning
logs.py         where our log goes outside Airflow
settings.py     where things are on this machine, from the environment
"""
