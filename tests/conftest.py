"""Fixtures that several folders share; each lives in its own module of tests/support."""

pytest_plugins = ["tests.support.postgres", "tests.support.sandbox", "tests.support.demo"]
