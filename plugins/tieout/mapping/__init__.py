"""Mapping files, and what is made of them.

spec.py              what a file may say
load.py              reads mapping and link files; errors with file:line
registry.py          what a named transform is; transforms.py, transforms_exact.py: the transforms
columns.py           the dtype of each common type, and how a column becomes it
compile.py           a mapping as a function over frames
payload.py           native frames as JSON bodies
limits.py, lint.py   what the vendors take, and whether a mapping keeps to it
matrix.py            CRM field | finance field | transformation
"""
