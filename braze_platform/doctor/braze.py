"""Braze and the clock, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import httpx

from braze_platform.braze_api.client import Answer, BrazeClient
from braze_platform.braze_api.http_clients import fault_name, request_once
from braze_platform.braze_api.responses import ResponseClass, classify_response, object_in
from braze_platform.doctor.findings import Finding, missing, not_checked, ok
from braze_platform.settings import Settings, SettingsError
from braze_platform.workspace_metadata.objects import ENDPOINTS

#: Nobody has it, so the export finds nothing and changes nothing.
_NOBODY = "braze-platform-doctor-asks-for-nobody"
#: A larger difference makes the newest hours look as if they were to come.
_CLOCK_SECONDS = 60
_TIMEOUT = 15.0
#: Answers that only a key which is taken gets.
_TAKEN = (ResponseClass.SUCCESS, ResponseClass.RATE_LIMITED)
_NOT_BRAZE = (
    "it answers, and not as Braze does: a login page or a proxy may be in between. Open the URL from this machine, and "
    "set BRAZE_REST_URL to the REST endpoint that Braze's dashboard shows."
)


def check_braze(settings: Settings) -> Finding:
    """Whether Braze takes the key: an export of a user who does not exist (`POST /users/export/ids`)."""
    what = f"Braze at {settings.braze_rest_url}"
    if not settings.outward_calls_allowed:
        return not_checked(
            what,
            "outward calls are off. Set BRAZE_PLATFORM_ENVIRONMENT=production where syncs shall send, or "
            "BRAZE_REST_URL to a sandbox on this machine.",
        )
    try:
        answer = _ask(
            settings,
            "POST",
            "/users/export/ids",
            {"external_ids": [_NOBODY], "fields_to_export": ["external_id"]},
        )
    except SettingsError as error:
        return missing(what, str(error))
    if answer.status is None:
        remedy = (
            f"Let the proxy connect to {settings.braze_rest_url}, or put its host into NO_PROXY."
            if answer.at_proxy
            else "Start the sandbox: braze-platform sandbox."
            if settings.target == "local"
            else "Set BRAZE_REST_URL to the REST endpoint that Braze's dashboard shows, and let this machine reach it."
        )
        return missing(what, f"no answer ({answer.fault}). {remedy}")
    if answer.status in (401, 403):
        return missing(
            what,
            f"it refuses the key (status {answer.status}). Set BRAZE_API_KEY to a key of this workspace with the "
            "permissions users.track and users.export.ids (Braze: Settings > APIs and Identifiers).",
        )
    if classify_response(answer.status) in _TAKEN:
        return ok(what, "it takes the key.") if _is_of_braze(answer) else missing(what, _NOT_BRAZE)
    return missing(what, f"it answers with status {answer.status}; is BRAZE_REST_URL a REST endpoint?")


def check_workspace(settings: Settings) -> Iterator[Finding]:
    """Whether the key may read what Currents does not carry: the first page of each list, a finding each.

    The permissions for details and for `/users/track` are not asked for: that takes an object's id, or a change.
    """
    for endpoint in ENDPOINTS:
        what = f"Braze's {endpoint.name.replace('_', ' ')}"
        answer = _ask(settings, "GET", endpoint.list_path)
        if answer.status is None:
            yield not_checked(what, f"no answer ({answer.fault}).")
        elif answer.status in (401, 403):
            yield missing(
                what,
                f"the key may not list them (status {answer.status}). Give it {endpoint.permissions} (Braze makes "
                "a new key for that: permissions of a key cannot be changed).",
            )
        elif classify_response(answer.status) in _TAKEN:
            yield ok(what, "the key may list them.") if _is_of_braze(answer) else missing(what, _NOT_BRAZE)
        else:
            yield not_checked(what, f"status {answer.status}.")


def _is_of_braze(answer: Answer) -> bool:
    """Whether an answer is one of Braze's: each that takes a request is a JSON object with a message."""
    if classify_response(answer.status) is ResponseClass.RATE_LIMITED:
        return True
    return isinstance((object_in(answer.body) or {}).get("message"), str)


def _ask(settings: Settings, method: str, path: str, body: object = None) -> Answer:
    async def asking() -> Answer:
        client = BrazeClient(
            settings, connections=1, nothing="Nothing was asked of", timeout_seconds=_TIMEOUT
        )
        async with client:
            content = None if body is None else json.dumps(body).encode()
            return await client.request(method, path, content=content)

    return asyncio.run(asking())


def check_clock(url: str) -> Finding:
    """Whether this machine's clock agrees with the `Date` header of a server that has the right time."""
    what = "Clock"
    try:
        answer = request_once("HEAD", url, timeout=_TIMEOUT)
    except SettingsError as error:
        return not_checked(what, str(error))
    except httpx.HTTPError as error:
        return not_checked(what, f"no answer from {url} ({fault_name(error)}).")
    header = answer.headers.get("Date")
    if header is None:
        return not_checked(what, f"{url} does not tell the time.")
    seconds = (datetime.now(timezone.utc) - parsedate_to_datetime(header)).total_seconds()
    if abs(seconds) > _CLOCK_SECONDS:
        return missing(
            what,
            f"it is {abs(seconds):.0f} s {'fast' if seconds > 0 else 'slow'}. Let NTP set this machine's clock.",
        )
    return ok(what, f"it agrees with {url} within {abs(seconds) + 1:.0f} s.")
