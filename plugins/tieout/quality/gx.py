"""The one place that talks to Great Expectations: an ephemeral context, nothing sent out, nothing kept.

Everything here imports it inside the functions; that costs seconds, once a process.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy.engine import Engine

from tieout.quality.suites import Expected, Suite

if TYPE_CHECKING:
    import pandas as pd

#: Failing rows of one expectation that are named one by one; a batch with more is stopped, not quarantined row by row.
MAX_FAILURES = 100_000
#: Where the number of an expectation in its suite stands in `meta`: results come in another order.
NUMBER = "_number"


def validate_table(engine: Engine, suite: Suite, schema: str, table: str, key: Sequence[str]) -> Any:
    """Great Expectations' result for a table of the store.

    Its own engine is made from the same URL and given back at the end.
    """
    context = _context()
    # A dollar sign in a URL (a password) would be taken for a variable of its configuration.
    url = engine.url.render_as_string(hide_password=False).replace("$", r"\$")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would rather have its own datasource class, which takes no socket
        source = context.data_sources.add_sql(table, connection_string=url)
        try:
            asset = source.add_table_asset(table, table_name=table, schema_name=schema)
            return _validate(asset.add_batch_definition_whole_table("all").get_batch(), suite, key)
        finally:
            source.get_engine().dispose()
            context.data_sources.delete(table)


def validate_frame(frame: pd.DataFrame, suite: Suite, key: Sequence[str]) -> Any:
    """Great Expectations' result for a frame."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = f"frame_{uuid4().hex}"
        try:
            asset = _context().data_sources.add_pandas(name).add_dataframe_asset(name)
            batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
            return _validate(batch, suite, key)
        finally:
            _context().data_sources.delete(name)


def known_types() -> frozenset[str]:
    """The types of expectations that there are."""
    _import()
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    return frozenset(list_registered_expectation_implementations())


def render_page(document: dict[str, Any]) -> str:
    """Great Expectations' own page of a result (`SuiteResult.documents`). Its texts go into the page as they are:
    docs.py escapes them before."""
    _import()
    from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    result = expectationSuiteValidationResultSchema.load(document)
    page: str = _page_view().render(ValidationResultsPageRenderer().render(result))
    return page


def _validate(batch: Any, suite: Suite, key: Sequence[str]) -> Any:
    """The suite's result. What holds is only counted; what does not is asked once more, for its rows: to prepare for
    them costs as much as to count, and most batches have none. The batch must be the same both times."""
    numbered = dict(enumerate(suite.expectations))
    result = batch.validate(_built(suite.name, numbered), result_format={"result_format": "BASIC"})
    failing = {number_of(one): numbered[number_of(one)] for one in result.results if not one.success}
    if failing:
        rows = {
            "result_format": "COMPLETE",
            "unexpected_index_column_names": list(key),
            "partial_unexpected_count": MAX_FAILURES,
        }
        again = batch.validate(_built(suite.name, failing), result_format=rows)
        named = {number_of(one): one for one in again.results}
        result.results = [named.get(number_of(one), one) for one in result.results]
    return result


def number_of(one: Any) -> int:
    """Which expectation of its suite a result is about."""
    return int(one.expectation_config.meta[NUMBER])


def _built(name: str, numbered: Mapping[int, Expected]) -> Any:
    return _import().ExpectationSuite(
        name=name,
        expectations=[
            {
                "type": one.type,
                "kwargs": _kwargs(one.kwargs),
                "meta": {"severity": one.severity, "reason": one.reason, NUMBER: number},
            }
            for number, one in numbered.items()
        ],
    )


def _kwargs(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """In a query `{batch}` stands for a table that can be given an alias. Great Expectations puts in a subquery with an
    alias of its own, but none where it sees a join: inside another one both are right."""
    query = kwargs.get("unexpected_rows_query")
    if query is None:
        return dict(kwargs)
    return {**kwargs, "unexpected_rows_query": str(query).replace("{batch}", "(select * from {batch})")}


@lru_cache(maxsize=1)
def _context() -> Any:
    gx = _import()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


@lru_cache(maxsize=1)
def _page_view() -> Any:
    """One for all pages: it keeps its templates compiled, which takes longer than to fill them."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


@lru_cache(maxsize=1)
def _import() -> Any:
    # Before the import: it reads this once, and would report usage to its makers otherwise.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
    # It logs values of rows at INFO.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    return gx
