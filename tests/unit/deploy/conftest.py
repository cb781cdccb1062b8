"""Airflow gets a home of its own before anything here imports it."""

import tests.support.airflow_home  # noqa: F401
