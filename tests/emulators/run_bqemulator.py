"""`bqemulator`, with a record of what it ran, without DuckDB's cache of files, and with Avro files loaded by name.

It reads Avro files with DuckDB's `read_avro` as that comes, which takes the `key=value` folders of a path for columns,
in place of a file's own fields of that name (`version=6/`), and puts columns into the table by their position. BigQuery
does so only when a job asks for it, and matches by name ("hivePartitioningOptions: Optional. When set, configures hive
partitioning support", https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad).

The emulator reads `gs://` objects as files through one DuckDB that lives as long as the process. That cache takes a
file for unchanged while its size and the second of its last change are the same, so an object that a test rewrites
within a second gave the rows of the one before. Cloud Storage has no such window: an object's generation changes.

It parses each statement some twenty times, to tell its kind and for each of its rewritings, which takes most of its
time. What was parsed is kept and handed out as copies.

Run by the Python of `.venv-emulators`, with the arguments of `bqemulator`. Statements are written down in the file that
STATEMENT_LOG names (see `statement_log`).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from copy import deepcopy
from pathlib import Path
from threading import local
from typing import Any

from bqemulator.api.routes import jobs
from bqemulator.cli import main
from bqemulator.jobs import executor
from bqemulator.storage.engine import DuckDBEngine
from sqlglot.dialects.dialect import Dialect
from sqlglot.expressions import core
from statement_log import recorded

#: How many texts are kept parsed: those of the latest statements, and the pieces that the rewritings are made of.
_PARSED = 100
_ATOMS = (int, str, bool, type(None))
_start = DuckDBEngine.start


async def _start_without_cache(engine: DuckDBEngine) -> None:
    await _start(engine)
    engine.connection.execute("set enable_external_file_cache = false")


def _load_avro_by_name(path: str, target_ref: str, ctx: Any) -> None:
    ctx.engine.execute(
        f"insert into {target_ref} by name select * from read_avro(?, hive_partitioning = false)", [path]
    )


def _parse_once() -> None:
    """Let sqlglot keep what it parsed last, by dialect and text.

    It makes a generator for each text that it writes, and a compiled generator parses its templates each time. They are
    copied where they are used.
    """
    parse, generator = Dialect.parse, Dialect.generator
    known: OrderedDict[tuple[Any, ...], list[Any]] = OrderedDict()
    of_thread = local()

    def parse_once(dialect: Dialect, sql: str, **options: Any) -> list[Any]:
        if options:
            return parse(dialect, sql, **options)
        key = (type(dialect), str(dialect.settings), dialect.normalization_strategy, sql)
        trees = known.get(key)
        if trees is None:
            trees = known[key] = parse(dialect, sql)
            if len(known) > _PARSED:
                known.popitem(last=False)
        else:
            known.move_to_end(key)
        if getattr(of_thread, "makes_generator", False):
            return trees
        return [tree and tree.copy() for tree in trees]

    def make_generator(dialect: Dialect, **options: Any) -> Any:
        of_thread.makes_generator = True
        try:
            return generator(dialect, **options)
        finally:
            of_thread.makes_generator = False

    Dialect.parse, Dialect.generator = parse_once, make_generator


def _copy_flat(value: Any, memo: Any = None) -> Any:
    """As `deepcopy`, at once where nothing is nested, as in the positions that sqlglot notes with each name."""
    if type(value) is dict and all(type(one) in _ATOMS for one in value.values()):
        return value.copy()
    return deepcopy(value, memo)


if __name__ == "__main__":
    _parse_once()
    core.deepcopy = _copy_flat
    DuckDBEngine.start = _start_without_cache
    executor._LOAD_FORMAT_HANDLERS["AVRO"] = _load_avro_by_name
    jobs.execute_query_job = recorded(jobs.execute_query_job, Path(os.environ["STATEMENT_LOG"]))
    main()
