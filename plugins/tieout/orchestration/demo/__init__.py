"""The whole system on one machine, without Docker: `make demo`, `make stop`.

places.py     folders, ports, secrets of one demo, kept below its home
environment.py  the environment variables that every process of it gets
programs.py   starts and stops programs; knows which pid is ours
prepare.py    runs inside Airflow once: metadata schema, roles, the admin, connections
rest.py       Airflow's REST API
show.py       what a person sees: phases, progress, the closing summary
run.py        puts them in order

Nothing here imports airflow but prepare.py, which is run as a process of its own.
"""
