"""Lists as 8x8 gives them: a page of `_embedded`, with `page` and `_links`."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from app.sandbox.model import JsonObject
from app.sandbox.rest.problems import general

T = TypeVar("T")
DEFAULT_SIZE = 20
LARGEST = 1000


def page(
    name: str,
    items: Sequence[T],
    render: Callable[[T], object],
    query: Mapping[str, str],
    path: str,
) -> JsonObject:
    """The page that `size` and `page` (from 0) of the query ask for; only its items are rendered.

    Raises Problem (400) for a size or page that is no whole number or out of range.
    """
    size = _number(query, "size", DEFAULT_SIZE, 1, LARGEST)
    number = _number(query, "page", 0, 0, 2**31 - 1)
    chosen = items[number * size : (number + 1) * size]
    return {
        "_embedded": {name: [render(item) for item in chosen]},
        "_links": {"self": {"href": path}},
        "page": {
            "size": size,
            "number": number,
            "totalElements": len(items),
            "totalPages": math.ceil(len(items) / size),
        },
    }


def direction(query: Mapping[str, str], field: str, default: str) -> bool:
    """Whether `sort` (`field:asc` or `field:desc`) asks for descending order. Raises Problem (400)."""
    given = query.get("sort", f"{field}:{default}")
    name, _, order = given.partition(":")
    if name != field or order not in ("asc", "desc"):
        raise general(400, f"Sorting by {given} is not supported, only {field}", "invalid_sort")
    return order == "desc"


def _number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    given = query.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) <= 10 and low <= int(given) <= high):
        raise general(400, f"{name} has to be a whole number from {low} to {high}", "invalid_parameter")
    return int(given)
