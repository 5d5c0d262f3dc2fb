"""The export endpoints over the workspace: lists by page, details by id, custom attributes by cursor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from braze_platform.sandbox.api.attribute_rules import BLOCKLISTED_ATTRIBUTES
from braze_platform.sandbox.api.contract import Contract
from braze_platform.sandbox.api.faults import Faults
from braze_platform.sandbox.api.rate_limits import RateLimit
from braze_platform.sandbox.api.track import RequestRefused
from braze_platform.sandbox.world import workspace
from braze_platform.sandbox.world.simulation import Simulation
from braze_platform.sandbox.world.workspace import Facts, SimulatedTime, WorkspaceObject

#: Attributes that the company's apps set, beside those that come by API: name, type, longest array, status.
_SET_BY_APPS = (
    ("app_theme", "String", None, "Active"),
    ("newsletter_topics", "Array", 25, "Active"),
    *((name, "Number", None, "Blocklisted") for name in sorted(BLOCKLISTED_ATTRIBUTES)),
)

Answering = Callable[[Request], Awaitable[Response]]
#: Serves a request behind key, faults and a limit: (request, limit, what answers it, what counts its outcome).
Serving = Callable[[Request, RateLimit, Answering, Callable[[str], None]], Awaitable[Response]]


class WorkspaceExport:
    """`/campaigns`, `/canvas`, `/segments` and `/custom_attributes` over one simulation."""

    def __init__(
        self,
        simulation: Simulation,
        faults: Faults,
        serve: Serving,
        contract: Contract,
    ) -> None:
        self._simulation = simulation
        self._faults = faults
        self._serve = serve
        self._contract = contract

    def routes(self) -> list[Route]:
        """All routes of the workspace's export."""
        kinds = (
            ("campaigns", "campaigns", "campaign_id", workspace.campaigns),
            ("canvas", "canvases", "canvas_id", workspace.canvases),
            ("segments", "segments", "segment_id", workspace.segments),
        )
        limit = self._contract.shared_limit
        attributes = self._route(self._custom_attributes, self._contract.attributes_limit)
        routes = [Route("/custom_attributes", attributes)]
        for path, name, parameter, objects in kinds:
            routes += [
                Route(f"/{path}/list", self._route(self._lister(name, objects), limit)),
                Route(f"/{path}/details", self._route(self._teller(parameter, objects), limit)),
            ]
        return routes

    def _route(self, answer: Callable[[Request], Response], limit: RateLimit) -> Answering:
        async def serving(request: Request) -> Response:
            def count(outcome: str) -> None:
                self._simulation.store.count_export(request.url.path, outcome)

            async def answering(request: Request) -> Response:
                response = answer(request)
                if response.status_code < 400:
                    count("accepted")
                return response

            return await self._serve(request, limit, answering, count)

        return serving

    def _objects(self, objects: Callable[[SimulatedTime], list[WorkspaceObject]]) -> list[WorkspaceObject]:
        now = self._simulation.simulated_time()
        return [] if now is None else objects(now)

    def _lister(
        self, name: str, objects: Callable[[SimulatedTime], list[WorkspaceObject]]
    ) -> Callable[[Request], Response]:
        def lists(request: Request) -> Response:
            direction = request.query_params.get("sort_direction", "asc")
            if direction not in ("asc", "desc"):
                raise RequestRefused("'sort_direction' must be asc or desc.")
            with_archived = name != "segments" and _flag(request, "include_archived")
            # ISO 8601 texts of one form and one offset sort as the moments do
            after = request.query_params.get("last_edit.time[gt]", "")
            found = [
                found.listed
                for found in self._objects(objects)
                if (with_archived or not found.archived) and str(found.listed.get("last_edited", "~")) > after
            ]
            if direction == "desc":
                found.reverse()
            start = _page(request) * self._contract.list_page
            return JSONResponse({"message": "success", name: found[start : start + self._contract.list_page]})

        return lists

    def _teller(
        self, parameter: str, objects: Callable[[SimulatedTime], list[WorkspaceObject]]
    ) -> Callable[[Request], Response]:
        def tells(request: Request) -> Response:
            wanted = request.query_params.get(parameter)
            if not wanted:
                raise RequestRefused(f"'{parameter}' is required.")
            broken = self._faults.broken_objects.get(wanted)
            if broken == "malformed":
                return Response(b'{"message": "success", "name": "cut of', media_type="application/json")
            for found in self._objects(objects):
                if found.id == wanted and broken != "missing":
                    return JSONResponse({**found.details, "message": "success"})
            return JSONResponse({"message": f"There is no object with this {parameter}."}, 404)

        return tells

    def _custom_attributes(self, request: Request) -> Response:
        start = _skip(request.query_params.get("cursor"))
        known = _described(self._simulation.store.custom_attribute_types())
        page = known[start : start + self._contract.attributes_page]
        response = JSONResponse({"message": "success", "attributes": page})
        following = start + self._contract.attributes_page
        if following < len(known):
            address = request.url.include_query_params(cursor=_cursor(following))
            response.headers["Link"] = f'<{address}>; rel="next"'
        return response


def _described(types: Sequence[tuple[str, str]]) -> list[Facts]:
    """Custom attributes by name with the type that was seen, in alphabetical order."""
    known: dict[str, Facts] = {
        name: _attribute(name, kind, length, status) for name, kind, length, status in _SET_BY_APPS
    }
    for name, kind in types:
        known[name] = _attribute(name, kind, 500 if kind == "Array" else None, "Active")
    return [known[name] for name in sorted(known)]


def _attribute(name: str, kind: str, length: int | None, status: str) -> dict[str, Any]:
    return {
        "array_length": length,
        "data_type": kind,
        "description": "",
        "name": name,
        "status": status,
        "tag_names": [],
    }


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false"):
        raise RequestRefused(f"'{name}' must be true or false.")
    return value == "true"


def _page(request: Request) -> int:
    value = request.query_params.get("page", "0")
    if not (value.isascii() and value.isdigit() and len(value) < 8):
        raise RequestRefused("'page' must be a whole number from 0.")
    return int(value)


def _cursor(skip: int) -> str:
    return base64.urlsafe_b64encode(f"skip:{skip}".encode()).decode().rstrip("=")


def _skip(cursor: str | None) -> int:
    if cursor is None:
        return 0
    refused = RequestRefused("'cursor' is not one that this endpoint has given.")
    try:
        word, _, skip = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
    except (ValueError, binascii.Error):
        raise refused from None
    if word != "skip" or not (skip.isascii() and skip.isdigit() and len(skip) < 8):
        raise refused
    return int(skip)
