"""The project's own quote_to_cash flow for airflow under chaos: links of TIEOUT_CHAOS_LINKS, three runs at once.

The flow is taken from the project's DAG file as it stands there, without that file's loop over the project's links.
"""

import ast
import os
from pathlib import Path
from typing import Any

from tieout.model.settings import PROJECT
from tieout.orchestration.dag_kit import dags_for_links

source = ast.parse((PROJECT / "dags" / "quote_to_cash.py").read_text(encoding="utf-8"))
source.body = [node for node in source.body if not isinstance(node, ast.For)]
space: dict[str, Any] = {}
exec(compile(source, "dags/quote_to_cash.py", "exec"), space)

for dag in dags_for_links(space["FLOW"], card=space["__doc__"], folder=Path(os.environ["TIEOUT_CHAOS_LINKS"])):
    # The project lets one run wait for the other; here they are to meet.
    dag.max_active_runs = 3
    globals()[dag.dag_id] = dag
