"""Gauges of writes that are not settled, sent through Airflow's own metrics (StatsD, OpenTelemetry, Datadog).

    tieout.intents.<state>          how many, for ready, claimed, in_flight, unknown, held, rejected
    tieout.oldest_unknown_seconds   age of the oldest; 0 where there is none
    tieout.oldest_held_seconds

and a counter, tieout.hooks.refused, of webhooks that were not taken, for a connection and a reason.

Each for a link and a target: as tags where the backend keeps tags, else at the end of the name (`.<link>.<target>`),
for plain StatsD drops tags and the last gauge would stand for all. Sent after a step whether it ended well or not;
whatever goes wrong here is logged and never fails a step. Whether and where to is Airflow's section [metrics].
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from tieout.delivery import uncertain
from tieout.delivery.states import State
from tieout.model.errors import Retriable

log = logging.getLogger(__name__)

#: The ages that are told, by the state that they are of.
AGES = (State.UNKNOWN, State.HELD)


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number to send."""

    name: str
    value: float
    tags: Mapping[str, str]


def report(engine: Engine, link: str, targets: Sequence[str]) -> None:
    """Sends the gauges of a link.

    Args:
        targets: connection names of the systems that the link writes into; a gauge is sent for each of them, 0 too.
    """
    try:
        with engine.connect() as conn:
            found = list(gauges(conn, link, targets))
    except (SQLAlchemyError, Retriable) as error:
        log.warning("no metrics of link %s: the store does not answer (%s)", link, type(error).__name__)
        return
    tagged = _tags_are_kept()
    for gauge in found:
        if tagged:
            stats.gauge(gauge.name, gauge.value, tags=dict(gauge.tags))
        else:
            stats.gauge(".".join((gauge.name, *map(_word, gauge.tags.values()))), gauge.value)


def gauges(conn: Connection, link: str, targets: Sequence[str]) -> Iterator[Gauge]:
    """What is sent, read from the store."""
    standings, ages = uncertain.standings(conn, link=link), uncertain.ages(conn, link=link)
    for target in targets:
        tags = {"link": link, "target": target}
        for state in uncertain.COUNTED:
            count = sum(each.count for each in standings if (each.target, each.state) == (target, state))
            yield Gauge(f"tieout.intents.{state.lower()}", count, tags)
        for state in AGES:
            seconds = max((age.seconds for age in ages if (age.target, age.state) == (target, state)), default=0.0)
            yield Gauge(f"tieout.oldest_{state.lower()}_seconds", round(seconds), tags)


def hook_refused(connection: str, reason: str) -> None:
    """Counts a webhook that was not taken."""
    if _tags_are_kept():
        stats.incr("tieout.hooks.refused", tags={"connection": connection, "reason": reason})
    else:
        stats.incr(f"tieout.hooks.refused.{_word(connection)}.{reason}")


def _tags_are_kept() -> bool:
    """Whether the backend that Airflow is set to keeps tags; in the order in which Airflow looks."""
    if conf.getboolean("metrics", "statsd_datadog_enabled", fallback=False):
        return True
    if conf.getboolean("metrics", "statsd_on", fallback=False):
        return bool(conf.getboolean("metrics", "statsd_influxdb_enabled", fallback=False))
    return True


def _word(name: str) -> str:
    return str(stats.normalize_name_for_stats(name.replace(".", "_"), log_warning=False))
