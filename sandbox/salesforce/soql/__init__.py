"""SOQL: text -> tree (grammar) -> functions over records (plan) -> answers (run, render)."""
