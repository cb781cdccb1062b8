"""Fixtures that several folders share; each lives in its own module of tests/support."""

import pytest

pytest_plugins = ["tests.support.postgres", "tests.support.sandbox", "tests.support.demo"]

#: Slow tests of these folders start nothing that lasts longer than one test: they may go to any worker.
SPREAD = ("tests.scenarios.", "tests.unit.")


def pytest_configure() -> None:
    """Our own log stays quiet in tests, as it does on the command line."""
    from tieout.model import logs

    logs.configure()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, slow tests that share a started system go to one of them, so that it starts once."""
    for item in items:
        module = getattr(getattr(item, "module", None), "__name__", "")
        if item.get_closest_marker("slow") is None or item.get_closest_marker("xdist_group"):
            continue
        if "demo" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("demo"))
        elif not module.startswith(SPREAD):
            item.add_marker(pytest.mark.xdist_group(module))
