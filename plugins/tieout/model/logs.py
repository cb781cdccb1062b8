"""Where our log goes outside Airflow (which sets structlog up by itself): standard error, one line an event."""

from __future__ import annotations

import logging
import os
import sys


def configure(level: str | None = None) -> None:
    """Sets structlog up for a program of ours.

    Args:
        level: debug, info, warning or error; default TIEOUT_LOG_LEVEL, else warning.
    """
    import structlog

    named = (level or os.environ.get("TIEOUT_LOG_LEVEL") or "warning").upper()
    number = logging.getLevelNamesMapping().get(named, logging.WARNING)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        # Standard output belongs to what the command answers.
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
