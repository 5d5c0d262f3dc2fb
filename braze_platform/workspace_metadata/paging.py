"""How one page of a list leads to the next. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[^,<>]*)?)")


def next_cursor(headers: Mapping[str, str]) -> str | None:
    """The cursor of the next page, from the `Link` header; None on the last page.

    Only the cursor is taken, never the address: the key must not follow a link to another machine.
    """
    link = next((value for name, value in headers.items() if name.lower() == "link"), "")
    for address, parameters in _LINK.findall(link):
        if re.search(r"rel\s*=\s*\"?next\b", parameters, re.IGNORECASE):
            found = parse_qs(urlsplit(address).query).get("cursor")
            return found[0] if found else None
    return None


def has_next_page(page_ids: set[str], earlier_ids: set[str], first_page_size: int, *, page: int) -> bool:
    """Whether a list by page number goes on after a page.

    The size of a page is Braze's business: a page that brings nothing new is the last, and so is one that is shorter
    than the first. The first page itself is always followed by a look at the second.
    """
    return bool(page_ids - earlier_ids) and (page == 0 or len(page_ids) >= first_page_size)
