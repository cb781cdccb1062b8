"""Tieout's pages: server-rendered HTML over the store, for finance and operators. Airflow is not imported here.

app.py       puts the topics together; who may see them is decided by the function that the caller passes in
runs.py, writes.py, letters.py, proposals.py, credit.py, records.py
             the routes, a module for each topic, each with `add(app, reader, operator, pages)`
tie_outs.py, signing.py, breaks.py, break_acts.py, matches.py, receivables.py, health.py
             finance's: several rights to a page, each with `add(app, doors, pages)`
hooks.py     where vendors send their webhooks: no login, a signature
hook_inbox.py what they sent and what became of it, for operators
sending.py   files that a page sends
pages.py     what every page needs: visitor, templates, tokens
sources.py   where the pages' facts come from
safety.py    headers, CSRF tokens, paths of served files
"""
