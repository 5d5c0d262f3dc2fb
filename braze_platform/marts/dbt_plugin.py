"""What dbt does before it opens the DuckDB file: it waits for its turn, as all of the platform does.

dbt-duckdb gives up at once, or with its own retries waits ever longer without a word. It loads this module by the
profile's `plugins`, and asks it before each time that it opens the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin

from braze_platform.warehouse.duckdb_lock import connect_waiting


class Plugin(BasePlugin):
    """Waits until no other process has the file open; raises `FileLocked`, naming that process, after a while."""

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Called by dbt-duckdb right before it connects."""
        path = Path(creds.path)
        if not path.is_file():
            return
        try:
            connect_waiting(path, config, say=lambda text: print(text, flush=True)).close()
        except duckdb.ConnectionException:
            return  # this very process has it open
