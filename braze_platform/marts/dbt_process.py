"""dbt in a process that ends when the one that started it has ended, however that came to pass.

`python -m braze_platform.marts.dbt_process PARENT ...` is `dbt ...` for the process PARENT. A run that is killed cannot
end its dbt, which would go on building, hold the DuckDB file, and overlap with the run that is started again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

#: Seconds between two looks, and seconds that dbt has to stop its queries.
_INTERVAL, _PATIENCE = 0.5, 10.0


def dbt_command() -> list[str]:
    """The words before dbt's own arguments, for a dbt that belongs to this process."""
    return [sys.executable, "-m", "braze_platform.marts.dbt_process", str(os.getpid())]


def main() -> None:
    """Run dbt, and look for the parent meanwhile."""
    parent = int(sys.argv[1])
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # `-m` puts the current folder first, and that is the dbt project, which may hold anything.
    del sys.path[0]
    # Slow to import: the parent may end meanwhile.
    from dbt.cli.main import cli

    # dbt reads its arguments from here in more than one place.
    sys.argv = ["dbt", *sys.argv[2:]]
    cli(prog_name="dbt")


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
    # As Ctrl-C: dbt cancels what runs on BigQuery, which would go on without it.
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
