"""`bqemulator`, with a record of what it ran, without DuckDB's cache of files, and with Avro files loaded by name.

It reads Avro files with DuckDB's `read_avro` as that comes, which takes the `key=value` folders of a path for columns,
in place of a file's own fields of that name (`version=6/`), and puts columns into the table by their position. BigQuery
does so only when a job asks for it, and matches by name ("hivePartitioningOptions: Optional. When set, configures hive
partitioning support", https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad).

The emulator reads `gs://` objects as files through one DuckDB that lives as long as the process. That cache takes a
file for unchanged while its size and the second of its last change are the same, so an object that a test rewrites
within a second gave the rows of the one before. Cloud Storage has no such window: an object's generation changes.

Run by the Python of `.venv-emulators`, with the arguments of `bqemulator`. Statements are written down in the file that
STATEMENT_LOG names (see `statement_log`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bqemulator.api.routes import jobs
from bqemulator.cli import main
from bqemulator.jobs import executor
from bqemulator.storage.engine import DuckDBEngine
from statement_log import recorded

_start = DuckDBEngine.start


async def _start_without_cache(engine: DuckDBEngine) -> None:
    await _start(engine)
    engine.connection.execute("set enable_external_file_cache = false")


def _load_avro_by_name(path: str, target_ref: str, ctx: Any) -> None:
    ctx.engine.execute(
        f"insert into {target_ref} by name select * from read_avro(?, hive_partitioning = false)", [path]
    )


if __name__ == "__main__":
    DuckDBEngine.start = _start_without_cache
    executor._LOAD_FORMAT_HANDLERS["AVRO"] = _load_avro_by_name
    jobs.execute_query_job = recorded(jobs.execute_query_job, Path(os.environ["STATEMENT_LOG"]))
    main()
