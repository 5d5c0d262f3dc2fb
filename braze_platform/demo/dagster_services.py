"""Dagster's code server and its UI for one machine: `dagster dev` without its daemon, and with a guarded UI.

`python -m braze_platform.demo.dagster_services --port 3000 --served-workspace FILE` runs until it is interrupted. FILE
is where the daemon finds the code server. `dagster dev` starts a webserver of its own, into which nothing can be put.
"""

from __future__ import annotations

from pathlib import Path

import click
import uvicorn
import yaml
from dagster import DagsterInstance
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from braze_platform.demo.own_pages import OwnPagesOnly
from braze_platform.settings import PROJECT_ROOT

#: Milliseconds between two looks of the UI at what runs.
_LIVE_DATA_POLL_RATE = 2000
_LOG_LEVEL = "warning"


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--served-workspace", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(port: int, served_workspace: Path) -> None:
    """Serve definitions and UI; `served-workspace` is written as soon as the code server is there."""
    with (
        get_possibly_temporary_instance_for_cli("braze-platform dev") as instance,
        ProxyServerManager(
            instance, WorkspaceFileTarget([str(PROJECT_ROOT / "workspace.yaml")]), _LOG_LEVEL
        ) as servers,
    ):
        text = yaml.safe_dump({"load_from": list(servers.get_code_server_specs())})
        written = served_workspace.with_suffix(".new")
        written.write_text(text, encoding="utf-8")
        written.replace(served_workspace)
        try:
            serve_ui(instance, served_workspace, port)
        finally:
            served_workspace.unlink()


def serve_ui(instance: DagsterInstance, workspace: Path, port: int) -> None:
    """Serve the UI on loopback until interrupted; `workspace` names the code servers."""
    with WorkspaceProcessContext(
        instance,
        version=__version__,
        workspace_load_target=WorkspaceFileTarget([str(workspace)]),
        code_server_log_level=_LOG_LEVEL,
    ) as context:
        app = create_app_from_workspace_process_context(context, live_data_poll_rate=_LIVE_DATA_POLL_RATE)
        guarded = OwnPagesOnly(app, port=port)
        uvicorn.run(guarded, host="127.0.0.1", port=port, log_level=_LOG_LEVEL)


if __name__ == "__main__":
    main()
