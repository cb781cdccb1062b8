"""What a person is told when a step has failed for good, when the ledger has a document twice, and how a day tied out:
in the log always, and by the link's channels.

A channel is the id of an Airflow connection named under `notify:` in the link's file:
- type `smtp`: an e-mail; the connection's extra holds `to` (a list or one address) and `from_email`;
- any other type: a chat webhook; host is the URL, password (if any) the secret last part of its path. The JSON
  `{"text": ...}` is sent, which Slack, Mattermost and Google Chat take.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseNotifier, conf

from tieout.orchestration.outcomes import StepsFailed, public_message, remedy

log = logging.getLogger(__name__)

#: Breaks that the notice of a tie-out names.
LARGEST = 5
#: Seconds that a channel may take to accept a notice.
CHANNEL_TIME_OUT = 15.0


class FailureNotice(BaseNotifier):  # type: ignore[misc]  # airflow is not followed by mypy here
    """Airflow's on_failure_callback of every task of a link.

    Args:
        link: the link's name.
        channels: connection ids.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, link: str, channels: Sequence[str] = ()) -> None:
        super().__init__()
        self.link = link
        self.channels = tuple(channels)

    def notify(self, context: Any) -> None:
        """Writes the notice to the log and hands it to each channel; one that fails is logged and stops no other."""
        error = context.get("exception")
        if isinstance(error, BaseException) and isinstance(error.__cause__, StepsFailed):
            log.error("%s", error)
            return  # the step that failed first has sent its own notice
        tell(self.channels, *in_words(self.link, context))


class DoublesNotice(BaseNotifier):  # type: ignore[misc]  # as above
    """Airflow's on_success_callback of the step that closes a run: tells of documents that the ledger has twice.

    Args:
        link: the link's name.
        channels: connection ids.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, link: str, channels: Sequence[str] = ()) -> None:
        super().__init__()
        self.link = link
        self.channels = tuple(channels)

    def notify(self, context: Any) -> None:
        """Says nothing unless the run's sweep found something (scenarios/sweep.py)."""
        ti = context["ti"]
        numbers = ti.xcom_pull(task_ids=ti.task_id)
        swept = numbers.get("sweep") if isinstance(numbers, dict) else None
        if swept and swept["found"]:
            tell(self.channels, *doubles_in_words(self.link, context, swept))


class TieOutNotice(BaseNotifier):  # type: ignore[misc]  # as above
    """Airflow's on_success_callback of the step that closes a reconciliation: the tie-out and its largest breaks.

    A report that does not tie fails its run: then FailureNotice says so, with what stays unexplained.

    Args:
        link: the link's name.
        channels: connection ids.
        always: also when there is nothing new to say.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, link: str, channels: Sequence[str] = (), always: bool = False) -> None:
        super().__init__()
        self.link = link
        self.channels = tuple(channels)
        self.always = always

    def notify(self, context: Any) -> None:
        """Says nothing where the run made no report, or its report has nothing to say and the link does not want it."""
        run_id = _sync_run(context["ti"])
        if run_id and (told := _tie_out_in_words(run_id, self.always)):
            tell(self.channels, *told, level=logging.INFO)


def _tie_out_in_words(run_id: str, always: bool) -> tuple[str, str] | None:
    """Subject and text about the report that a sync run made; None where there is nothing to be said."""
    from tieout.model.settings import load_settings
    from tieout.reconcile import reading
    from tieout.reports import tie_out
    from tieout.scenarios.periods import recount
    from tieout.store.engine import connect

    engine = connect(load_settings().require_database_url(), application_name="tieout-notice")
    try:
        with engine.connect() as conn:
            head = reading.of_run(conn, run_id)
            if head is None:
                return None
            page = reading.tie_out(conn, head)
            moved = [one.in_words for one in recount.of_run(conn, head.run_id) if one.moved]
            if not (always or moved or tie_out.has_something_to_say(page)):
                return None
            largest = reading.largest(conn, head, LARGEST)
    finally:
        engine.dispose()
    base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    where = f"{base}/tieout/tie-outs/{head.link}/{head.as_of}?report={head.report_id}" if base else ""
    subject, said = tie_out.notice(page, largest, where)
    return subject, "\n".join([said, "", *moved] if moved else [said])


def tell(channels: Sequence[str], subject: str, text: str, level: int = logging.ERROR) -> None:
    """Writes a notice to the log and hands it to each channel; one that fails is logged and stops no other."""
    log.log(level, "%s\n%s", subject, text)
    for channel in channels:
        try:
            send(channel, subject, text)
        except Exception as failure:  # noqa: BLE001 - a notice that cannot go out must not hide what it is about
            log.error("the notice could not be sent by connection %r: %s", channel, type(failure).__name__)


def doubles_in_words(link: str, context: Any, swept: Mapping[str, Any]) -> tuple[str, str]:
    """Subject and text about what a sweep found; no names and no amounts, they are behind the login."""
    base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    proposal = swept["proposal"]
    lines = [
        f"Link: {link}",
        f"Airflow run: {context['ti'].run_id}",
        f"In the ledger twice: {swept['duplicates']}",
        f"With our stamp, made by nothing of ours: {swept['orphans']}",
        f"In force although given up or refused: {swept['unaccounted']}",
        "What to do: look at the dead letters of stage sweep"
        + (f"; proposal {proposal} voids the doubles once a person approves it" if proposal else ""),
    ]
    if base:
        lines.append(f"Look at: {base}/tieout/" + (f"proposals/{proposal}" if proposal else "dead-letters"))
    return f"Tieout: {swept['found']} documents of {link} are in the ledger that should not be", "\n".join(lines)


def in_words(link: str, context: Any) -> tuple[str, str]:
    """Subject and text: link, step, sync run, what happened, what to do, where to look. Never a secret."""
    ti, error = context["ti"], context.get("exception")
    sync_run = _sync_run(ti)
    base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    lines = [
        f"Link: {link}",
        f"Step: {ti.task_id} (try {ti.try_number}) of {ti.dag_id}",
        f"Airflow run: {ti.run_id}",
        f"Sync run: {sync_run or 'not started'}",
        f"What happened: {public_message(error)}",
        f"What to do: {remedy(error)}",
    ]
    if sync_run and base:
        lines.append(f"Look at: {base}/tieout/runs/{sync_run}")
    if base:
        lines.append(f"Airflow: {base}/dags/{ti.dag_id}/runs/{ti.run_id}")
    return f"Tieout: {ti.task_id} failed for {link}", "\n".join(lines)


def send(channel: str, subject: str, text: str) -> None:
    """Sends one notice by the connection `channel`. Raises whatever the channel raises."""
    from airflow.sdk import Connection

    connection = Connection.get(channel)
    if connection.conn_type == "smtp":
        from airflow.providers.smtp.hooks.smtp import SmtpHook

        with SmtpHook(smtp_conn_id=channel) as hook:
            hook.send_email_smtp(to=connection.extra_dejson["to"], subject=subject, html_content=_as_html(text))
        return
    import httpx

    url = "/".join(part.strip("/") for part in (connection.host or "", connection.password or "") if part)
    httpx.post(url, json={"text": f"{subject}\n{text}"}, timeout=CHANNEL_TIME_OUT).raise_for_status()


def _as_html(text: str) -> str:
    from html import escape

    return f"<pre>{escape(text)}</pre>"


def _sync_run(ti: Any) -> str | None:
    pull = getattr(ti, "xcom_pull", None)  # absent where the dag processor calls for a task that was killed
    return pull(task_ids="start") if pull else None
