"""Airflow's side of Tieout: the only folder (with plugins/tieout_plugin.py) that imports airflow.

connections.py  an Airflow connection as the model's Connection; masking of fresh tokens
provider.py     the connection types and their forms, read by Airflow from the entry point
hooks.py        what the form's Test button runs
links.py        which links exist and when they run; cheap enough for every DAG parse
outcomes.py     what Airflow does with an error: retry, wait, fail
step.py         one step of a scenario as an Airflow task
dag_kit.py      a scenario and a link become a DAG
portless_test.py  repairs Airflow 3.3.2's Test button for connections without a port
notices.py      the message that a person gets when a step fails
roles.py        the roles that guard Tieout's pages
initialise.py   brings a deployment's databases up to date
probe.py        health check of a container
warm.py         airflow with the tasks' modules already imported
demo/           runs the whole system on one machine: `make demo`
"""
