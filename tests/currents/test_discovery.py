"""Which event types outside the catalogue are known when definitions load."""

from __future__ import annotations

from pathlib import Path

from currents_files import OPEN, Deliveries, currents_file, opens

from braze_platform.currents.discovery import asset_for_event_type, discovered_event_types
from braze_platform.settings import Settings


def test_the_folder_is_looked_at_on_the_local_target(settings: Settings, deliveries: Deliveries) -> None:
    assert discovered_event_types(settings) == {}
    for name in (OPEN, "users.messages.fax.Send", "users.messages.fax.send", "users.messages.email.open"):
        deliveries.put(currents_file(name), opens("a"))
    deliveries.put_bytes(f"{currents_file().prefix}/{currents_file().connector}/event_type=a b/x", b"")
    discovered = discovered_event_types(settings)
    assert discovered == {
        "users_messages_fax_send": ("users.messages.fax.Send", "users.messages.fax.send"),
        "users_messages_email_open_unknown": ("users.messages.email.open",),
    }
    assert asset_for_event_type(OPEN, discovered) == "users_messages_email_open"
    assert asset_for_event_type("users.messages.fax.send", discovered) == "users_messages_fax_send"
    assert asset_for_event_type("users.messages.telex.Send", discovered) is None


def test_elsewhere_the_environment_names_them(tmp_path: Path) -> None:
    settings = Settings(target="bigquery", state_dir=tmp_path / "state")
    assert discovered_event_types(settings) == {}
    named = settings.replace(
        currents_event_types=(OPEN, "users.messages.fax.Send", "users.messages.fax.send")
    )
    assert discovered_event_types(named) == {
        "users_messages_fax_send": ("users.messages.fax.Send", "users.messages.fax.send")
    }
    assert not settings.state_dir.exists()
