"""Tieout's pages: server-rendered HTML over the store, for finance and operators. Airflow is not imported here.

app.py       the routes; who may see them is decided by the function that the caller passes in
sources.py   where the pages' facts come from
safety.py    headers, CSRF tokens, paths of served files
"""
