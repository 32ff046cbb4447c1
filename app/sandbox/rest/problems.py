"""Errors in 8x8's shapes. Its description has a different one for almost every case; so here too."""

import secrets

import msgspec

from app.sandbox.model import JsonObject

PROBLEM = "application/problem+json"


class Problem(Exception):
    """A request the gateway refuses: `status`, JSON `payload`, and further response headers."""

    def __init__(self, status: int, payload: JsonObject, headers: dict[str, str] | None = None) -> None:
        super().__init__(str(payload.get("message")))
        self.status = status
        self.payload = payload
        self.headers = headers or {}

    def body(self) -> bytes:
        """The response's bytes."""
        return msgspec.json.encode(self.payload)


def _reference() -> str:
    return secrets.token_hex(16)


def bad_request(message: str, code: str = "invalid_json_object") -> Problem:
    """A body that is wrong, in the shape that most calls have."""
    errors = [{"code": code, "message": message}]
    return Problem(400, {"message": message, "errors": errors, "referenceId": _reference()})


def bad_message(problem: Problem) -> Problem:
    """The same as BadRequestProblem, as `POST …/messages` answers it: `errors` is one object there."""
    errors = problem.payload.get("errors")
    if problem.status != 400 or not isinstance(errors, list):
        return problem
    return Problem(400, {**problem.payload, "errors": errors[0]}, problem.headers)


def invalid_parameter(message: str) -> Problem:
    """InvalidParameterExceptionPayload."""
    errors = [{"code": "invalid_parameter", "message": message}]
    return Problem(400, {"message": message, "errors": errors, "referenceId": _reference()})


def general(status: int, message: str, code: str) -> Problem:
    """GenericExceptionPayload."""
    return Problem(status, {"message": message, "errors": [{"code": code, "message": message}]})


def invalid_field(field: str, value: object, code: str, message: str) -> Problem:
    """ValidationExceptionPayload: one field is wrong."""
    validation = {"field": field, "value": str(value), "code": code, "message": message}
    errors = [{"code": code, "message": message}]
    return Problem(400, {"message": message, "errors": errors, "validations": [validation]})


def unauthorized() -> Problem:
    """UnauthorizedProblem."""
    errors = [{"message": "Access Denied", "code": "access_denied"}]
    return Problem(401, {"message": "Access Denied", "errors": errors, "referenceId": _reference()})


def forbidden(error: str) -> Problem:
    """ForbiddenViolationProblem: `errors` are plain strings here."""
    return Problem(403, {"message": "The tenant does not belong to customer.", "errors": [error]})


FORBIDDEN_AS_OBJECTS = (("POST", "channels"), ("POST", "attachments"))
"""The calls, by method and operation, whose 403 has errors of code and message."""


def as_objects(problem: Problem, code: str) -> Problem:
    """The same problem with each plain string of its errors made an object."""
    errors = problem.payload.get("errors")
    if not isinstance(errors, list):
        return problem
    objects = [{"code": code, "message": each} if isinstance(each, str) else each for each in errors]
    return Problem(problem.status, {**problem.payload, "errors": objects}, problem.headers)


def not_found(kind: str, identifier: str) -> Problem:
    """ResourceNotFoundProblem: `errors` are plain strings here too."""
    message = f"Resource of type {kind} with id {identifier} was not found."
    return Problem(404, {"message": message, "errors": [message]})


def entity_not_found(kind: str, identifier: str) -> Problem:
    """ResourceNotFoundExceptionPayload, which the newer calls answer."""
    message = f"Entity of type {kind} with id {identifier} was not found."
    errors = [{"code": "resource_not_found", "message": message}]
    return Problem(404, {"message": "Resource not found", "errors": errors})


def fault(status: int, retry_after: float | None = None) -> Problem:
    """What a fault makes of a request."""
    if status == 401:
        return unauthorized()
    if status == 403:
        return forbidden("The sandbox was told to refuse this request.")
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    names = {400: "bad_request", 429: "too_many_requests", 503: "service_unavailable", 504: "timeout"}
    problem = general(status, "The sandbox was told to fail.", names.get(status, "internal_error"))
    problem.headers.update(headers)
    return problem
