"""Fixtures that several folders share; each lives in its own module of tests/support."""

from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.postgres", "tests.support.sandbox", "tests.support.browser", "tests.support.proven"]

#: Tests of these folders start nothing that lasts longer than one test: each may go to any worker.
SPREAD = ("tests/scenarios/", "tests/unit/")
#: These share the demo that one of them brings up.
DEMO = "tests/demo/"
#: Seconds for a test that may be the one which brings it up.
DEMO_LIMIT = 900


def pytest_configure() -> None:
    """Our own log stays quiet in tests, as it does on the command line."""
    from tieout.model import logs

    logs.configure()
    # How long an example takes says nothing of the code: the machines are shared.
    settings.register_profile("shared machines", deadline=None)
    settings.load_profile("shared machines")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who brings up the demo needs more time than a test has."""
    for item in items:
        if "demo" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(DEMO_LIMIT))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several workers, tests that share a started system go to one of them, so that it starts once.

    xdist's own groups do it by a suffix of the test's name, which pytest 9.2 does not take any more.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByWhatIsStarted(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return DEMO if file.startswith(DEMO) else nodeid if file.startswith(SPREAD) else file

    return ByWhatIsStarted(config, log)
