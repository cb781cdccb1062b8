"""The fiscal calendar of the link that a step works for."""

from __future__ import annotations

from tieout.mapping.load import load_calendar
from tieout.model.calendar import Calendar
from tieout.scenarios.services import Services


def calendar_of(services: Services) -> Calendar:
    """The link's calendar, as its file says it now.

    Raises:
        ConfigurationFault: there is none of that name, or it does not hold; with file:line.
    """
    return load_calendar(services.settings.include, services.link.calendar)
