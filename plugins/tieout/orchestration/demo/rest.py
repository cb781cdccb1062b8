"""Airflow's REST API as far as the demo needs it: health, token, DAGs, runs, task states."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from tieout.model.errors import AuthenticationFailed, Retriable

TIME_OUT = 30.0  # seconds a call; the first ones find a server that is still importing


class AirflowApi:
    """A client with a token. Use as a context manager.

    Args:
        url: `http://127.0.0.1:8080`.
        user, password: of Airflow's auth manager; the token is asked for at the first call that needs one.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        # The demo talks to this machine: a proxy in the environment is not for it.
        self._client = httpx.Client(base_url=url, timeout=TIME_OUT, trust_env=False)

    def __enter__(self) -> AirflowApi:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._client.close()

    def health(self) -> dict[str, str]:
        """component -> `healthy` or not, for metadatabase, scheduler, dag_processor, triggerer; {} while it starts."""
        try:
            answer = self._client.get("/api/v2/monitor/health")
        except httpx.TransportError:
            return {}
        if answer.status_code != httpx.codes.OK:
            return {}
        return {name: str(part.get("status")) for name, part in answer.json().items()}

    def log_in(self) -> None:
        """Gets a token. Raises AuthenticationFailed when the login is refused."""
        answer = self._client.post("/auth/token", json=self._login)
        if answer.is_error:
            raise AuthenticationFailed(f"Airflow refuses {self._login['username']}: {answer.status_code}")
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """The DAG, None while the dag processor has not met it."""
        answer = self._client.get(f"/api/v2/dags/{dag_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return self._json(answer)

    def import_errors(self) -> list[str]:
        """What is wrong with DAG files."""
        found = self._json(self._client.get("/api/v2/importErrors"))
        return [f"{entry['filename']}: {entry['stack_trace']}" for entry in found["import_errors"]]

    def unpause(self, dag_id: str) -> None:
        """Lets its runs start."""
        self._json(self._client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}))

    def trigger(self, dag_id: str, **given: Any) -> str:
        """Starts a run now, with what is given as its params; returns its run id."""
        asked = {"logical_date": None, "conf": given}
        run = self._json(self._client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=asked))
        return str(run["dag_run_id"])

    def backfill(self, dag_id: str, start: str, end: str) -> str:
        """Runs the intervals that begin between two instants (ISO 8601); returns the first one's run id."""
        made = self._json(
            self._client.post(
                "/api/v2/backfills", json={"dag_id": dag_id, "from_date": start, "to_date": end, "max_active_runs": 1}
            )
        )
        known = self._json(self._client.get(f"/api/v2/dags/{dag_id}/dagRuns", params={"run_type": "backfill"}))
        ids = sorted(run["dag_run_id"] for run in known["dag_runs"])
        if not ids:
            raise LookupError(f"backfill {made['id']} of {dag_id} made no run between {start} and {end}")
        return str(ids[0])

    def run_ids(self, dag_id: str) -> list[str]:
        """Its runs, oldest first."""
        known = self._json(self._client.get(f"/api/v2/dags/{dag_id}/dagRuns", params={"order_by": "run_after"}))
        return [run["dag_run_id"] for run in known["dag_runs"]]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """queued, running, success or failed."""
        return str(self._json(self._client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"))["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """task id -> task instance (state, start_date, end_date, try_number, duration ...)."""
        found = self._json(self._client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"))
        return {instance["task_id"]: instance for instance in found["task_instances"]}

    def clear(self, dag_id: str, run_id: str, task_ids: list[str]) -> None:
        """Has these tasks of a run, and all after them, run again."""
        self._json(
            self._client.post(
                f"/api/v2/dags/{dag_id}/clearTaskInstances",
                json={
                    "dry_run": False,
                    "dag_run_id": run_id,
                    "task_ids": task_ids,
                    "include_downstream": True,
                    "only_failed": False,
                    "reset_dag_runs": True,
                },
            )
        )

    def page(self, path: str) -> str:
        """A page as text. Raises Retriable when it is not shown."""
        answer = self._client.get(path, follow_redirects=True)
        if answer.status_code != httpx.codes.OK:
            raise Retriable(f"Airflow: GET {path}: {answer.status_code}")
        return answer.text

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            request = answer.request
            raise Retriable(f"Airflow: {request.method} {request.url.path}: {answer.status_code} {answer.text[:500]}")
        value: dict[str, Any] = answer.json()
        return value
