"""The one place where HTTP clients are made: outward through the environment's proxy, to this machine never.

The environment is read as httpx reads it (https://www.python-httpx.org/environment_variables/): `HTTPS_PROXY`,
`HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, small letters too, and `SSL_CERT_FILE` for a proxy with its own certificates.
A proxy can reach nothing on this machine, and it would read the key of a request that has no TLS.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import Mapping
from urllib.request import getproxies_environment

import aiohttp
import aiohttp.http_exceptions
import httpx
from httpx_aiohttp import HttpxAiohttpClient

from braze_platform.settings import SettingsError, is_loopback

#: Times its timeout after which an answer that still trickles in is none.
DEADLINE = 4
#: What comes in place of an answer beside httpx's own errors: aiohttp lets through a reset connection as the operating
#: system reports it, and what is no HTTP as its parser does.
NO_ANSWER = (
    OSError,
    asyncio.TimeoutError,
    ValueError,
    EOFError,
    zlib.error,
    aiohttp.ClientError,
    aiohttp.http_exceptions.HttpProcessingError,
    httpx.StreamError,
)
_LOOPBACK = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")
_VARIABLES = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"


def async_http_client(
    url: str, *, connections: int, timeout: float, headers: Mapping[str, str]
) -> httpx.AsyncClient:
    """A client for one server, used as an asynchronous context manager; `timeout` in seconds.

    Raises `SettingsError` when the environment's proxy cannot be used. httpx's own connection pool scans every
    connection for each request; aiohttp's does not.
    """
    _check_proxies(url)
    return HttpxAiohttpClient(
        base_url=url,
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        timeout=httpx.Timeout(timeout),
        headers=headers,
        follow_redirects=False,
        trust_env=not is_loopback(url),
        # reading the certificates takes longer than most of what is asked of this machine without TLS
        verify=not url.startswith("http://") or not is_loopback(url),
    )


def request_once(
    method: str,
    url: str,
    path: str = "",
    *,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    json: object = None,
) -> httpx.Response:
    """One request by a client of its own, with its whole answer; raises `httpx.TransportError` when there is none."""

    async def asking() -> httpx.Response:
        async with async_http_client(url, connections=1, timeout=timeout, headers=headers or {}) as client:
            return await asyncio.wait_for(client.request(method, path, json=json), timeout * DEADLINE)

    try:
        return asyncio.run(asking())
    except SettingsError:
        raise
    except NO_ANSWER as error:
        raise httpx.ReadError(type(error).__name__) from error


def is_proxy_fault(error: BaseException) -> bool:
    """Whether a request failed at the proxy, before anything of it went to the server."""
    cause = error.__cause__ or error.__context__
    return isinstance(error, httpx.ProxyError) or isinstance(
        cause, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)
    )


def fault_name(error: BaseException) -> str:
    """What a failed request is called in messages: without the address, the credentials and the body."""
    if not is_proxy_fault(error):
        return type(error).__name__
    cause = error.__cause__
    status = f", status {cause.status}" if isinstance(cause, aiohttp.ClientHttpProxyError) else ""
    return f"ProxyError: the proxy of {_VARIABLES} cannot be reached or refuses{status}"


def loopback_exempted(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What to add to a child process's environment so that nobody in it looks for this machine behind the proxy.

    gRPC, by which Dagster's processes talk, and Google's clients take the proxy for loopback addresses, too.

    >>> loopback_exempted({"https_proxy": "http://p:1", "NO_PROXY": "a.b"})["no_proxy"]
    'a.b,localhost,127.0.0.1,127.0.0.0/8,::1'
    >>> loopback_exempted({"NO_PROXY": "a.b"})
    {}
    """
    env = os.environ if environ is None else environ
    if not any(env.get(name) for scheme in ("http", "https", "all") for name in _cases(f"{scheme}_proxy")):
        return {}
    before = next((env[name] for name in _cases("no_proxy") if env.get(name)), "")
    hosts = [host for host in before.split(",") if host.strip()]
    return dict.fromkeys(_cases("no_proxy"), ",".join([*hosts, *(h for h in _LOOPBACK if h not in hosts)]))


def _cases(name: str) -> tuple[str, str]:
    return name, name.upper()


def _check_proxies(url: str) -> None:
    if is_loopback(url):
        return
    for scheme, proxy in getproxies_environment().items():
        if scheme not in ("http", "https", "all") or not proxy:
            continue
        name = f"{scheme.upper()}_PROXY"
        try:
            parsed = httpx.URL(proxy if "://" in proxy else f"http://{proxy}")
            usable = parsed.scheme in ("http", "https") and bool(parsed.host)
        except httpx.InvalidURL:
            usable = False
        if not usable:
            # Without its value, which may hold a password.
            raise SettingsError(
                f"{name} does not name an HTTP proxy; write it as http://host:port (SOCKS is not supported), "
                "or unset it."
            )
