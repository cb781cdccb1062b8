"""Checks of batches by Great Expectations: suites as JSON files, run inside PostgreSQL or on a frame.

suites.py   the files: loading, hash, lint
run.py      running one suite on a query's rows or on a frame
check.py    a staged entity's new rows: what fails, what passes again
docs.py     Data Docs of a run, as pages without scripts
gx.py       the one place that talks to Great Expectations

Importing Great Expectations takes seconds: it happens inside functions, and only when there are rows to check.
Nothing here imports the store: what joins the two hands functions over (check.Book).
"""
