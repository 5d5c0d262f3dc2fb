"""`bqemulator`, with DuckDB's cache of files outside the database switched off.

The emulator reads `gs://` objects as files through one DuckDB that lives as long as the process. That cache takes a
file for unchanged while its size and the second of its last change are the same, so an object that a test writes anew
within a second gave the rows of the one before. Cloud Storage has no such window: an object's generation changes.

Run by the Python of `.venv-emulators`, with the arguments of `bqemulator`.
"""

from __future__ import annotations

from bqemulator.cli import main
from bqemulator.storage.engine import DuckDBEngine

_start = DuckDBEngine.start


async def _start_without_cache(engine: DuckDBEngine) -> None:
    await _start(engine)
    engine.connection.execute("set enable_external_file_cache = false")


if __name__ == "__main__":
    DuckDBEngine.start = _start_without_cache
    main()
