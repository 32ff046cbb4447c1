"""Errors in OData's own shape."""

from __future__ import annotations


class ODataError(Exception):
    """A request that can't be answered: HTTP status, a code for programs and a message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def bad(message: str) -> ODataError:
    """The request is wrong."""
    return ODataError(400, "BadRequest", message)


def not_implemented(message: str) -> ODataError:
    """OData knows it, Parley doesn't."""
    return ODataError(501, "NotImplemented", message)


def not_found(message: str) -> ODataError:
    """There is no such thing."""
    return ODataError(404, "NotFound", message)


def not_allowed() -> ODataError:
    """Something other than reading."""
    return ODataError(405, "MethodNotAllowed", "The service is read-only: GET is all there is")
