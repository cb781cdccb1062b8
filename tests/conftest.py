"""Fixtures that several folders share; each lives in its own module of tests/support."""

pytest_plugins = ["tests.support.postgres", "tests.support.sandbox", "tests.support.demo"]


def pytest_configure() -> None:
    """Our own log stays quiet in tests, as it does on the command line."""
    from tieout.model import logs

    logs.configure()
