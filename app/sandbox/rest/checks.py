"""What request bodies must look like. What the real gateway would refuse raises Problem here."""

import msgspec

from app.sandbox.model import Card, JsonObject, NewMessage, new_id
from app.sandbox.rest.problems import bad_request, general, invalid_field, invalid_parameter

CARD_TYPES = frozenset(
    {
        "application/vnd.microsoft.card.adaptive",
        "application/8x8.quick.replies",
        "Interactive",
        "Location",
        "Template",
        "Suggestions",
        "Buttons",
        "Carousel",
    }
)
AUTHORS = ("user", "bot")
MAX_PROPERTIES = 30
MAX_HISTORY = 200
ADAPTIVE_VERSIONS = frozenset(f"1.{minor}" for minor in range(7))


def json_object(body: bytes) -> JsonObject:
    """The body as a JSON object."""
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise bad_request("The request body is not valid JSON.") from error
    if not isinstance(decoded, dict):
        raise bad_request("The request body has to be a JSON object.")
    return decoded


def new_message(body: JsonObject, known_files: dict[str, object] | None) -> NewMessage:
    """A message to send: an author, and at least one of text, attachments, cards, externalProvider."""
    author = body.get("authorType")
    if author not in AUTHORS:
        raise bad_request(f"Invalid authorType={author}, has to be one of user, bot")
    text = body.get("text")
    if text is not None and not isinstance(text, str):
        raise bad_request("text has to be a string")
    files = [_file(item, known_files) for item in _list(body, "attachments")]
    cards = [_card(item) for item in _list(body, "cards")]
    provider = body.get("externalProvider")
    if provider is not None:
        _check_provider(provider, text)
    if not text and not files and not cards and provider is None:
        raise bad_request("A message needs text, attachments or cards")
    return NewMessage(str(author), text, files, cards, provider if isinstance(provider, dict) else None)


def _list(body: JsonObject, name: str) -> list[object]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad_request(f"{name} has to be an array")
    return value


def _file(item: object, known: dict[str, object] | None) -> str:
    identifier = item.get("id") if isinstance(item, dict) else None
    if not isinstance(identifier, str):
        raise bad_request("Each attachment has to be an object with an id")
    if known is not None and identifier not in known:
        raise bad_request(f"Attachment with id {identifier} was not found", "invalid_attachment")
    return identifier


def _card(item: object) -> Card:
    if not isinstance(item, dict):
        raise bad_request("Each card has to be an object")
    kind = item.get("contentType", "application/vnd.microsoft.card.adaptive")
    content = item.get("content")
    if not isinstance(kind, str) or kind not in CARD_TYPES:
        raise bad_request(f"Invalid contentType={kind}")
    if not isinstance(content, dict):
        raise bad_request("The content of a card has to be an object")
    if kind == "application/8x8.quick.replies":
        _check_quick_replies(content)
    elif kind == "application/vnd.microsoft.card.adaptive":
        _check_adaptive(content)
    return Card(new_id(), kind, content)


def _check_quick_replies(content: JsonObject) -> None:
    options = content.get("options")
    if not isinstance(options, list) or not options:
        raise bad_request("Quick replies need at least one option")
    if not all(isinstance(option, dict) and isinstance(option.get("title"), str) for option in options):
        raise bad_request("Each quick reply needs a title")


def _check_adaptive(content: JsonObject) -> None:
    if content.get("type") != "AdaptiveCard":
        raise bad_request('An adaptive card has to have the type "AdaptiveCard"')
    version = content.get("version", "1.0")
    if not isinstance(version, str) or version not in ADAPTIVE_VERSIONS:
        raise bad_request("Adaptive cards are supported up to version 1.6")


def _check_provider(provider: object, text: str | None) -> None:
    if text is not None:
        raise bad_request("Both text and externalProvider cannot be provided at the same time")
    good = isinstance(provider, dict) and isinstance(provider.get("externalMessageId"), str)
    if not good or not isinstance(provider, dict) or provider.get("name") != "X":
        raise bad_request("externalProvider needs the name X and an externalMessageId")


def user_data(value: object) -> JsonObject:
    """A conversation's user: strings, and at most 30 additional properties of key and value."""
    if not isinstance(value, dict):
        raise general(400, "user has to be an object", "invalid_user")
    for name in ("name", "userId", "customerId", "email", "phone", "company", "caseId", "language"):
        if value.get(name) is not None and not isinstance(value[name], str):
            raise general(400, f"user.{name} has to be a string", "invalid_user")
    properties = value.get("additionalProperties", [])
    if not isinstance(properties, list):
        raise general(400, "additionalProperties has to be an array", "invalid_user")
    if len(properties) > MAX_PROPERTIES:
        message = f"At most {MAX_PROPERTIES} additionalProperties are allowed"
        raise general(400, message, "too_many_properties")
    for item in properties:
        pair = (item.get("key"), item.get("value")) if isinstance(item, dict) else (None, None)
        if not all(isinstance(part, str) for part in pair):
            raise general(
                400, "Each additional property needs a key and a value, both strings", "invalid_user"
            )
    return value


def assignment(value: object, queues: object, script: str) -> JsonObject:
    """An assignment to a known queue (the default type) or script."""
    if not isinstance(value, dict):
        raise general(400, "assignment has to be an object", "invalid_assignment")
    kind, identifier = value.get("type", "queue"), value.get("id")
    if kind not in ("queue", "script"):
        message = f"Invalid assignment type={kind}, has to be one of queue, script"
        raise general(400, message, "invalid_assignment")
    known = queues if kind == "queue" else {script: ""}
    if not isinstance(identifier, str) or not isinstance(known, dict) or identifier not in known:
        raise general(400, f"{str(kind).capitalize()} ID {identifier} is invalid.", f"invalid_{kind}")
    return {"type": kind, "id": identifier}


def author(body: JsonObject, allowed: tuple[str, ...], default: str | None = None) -> str:
    """`authorType` of an indicator."""
    value = body.get("authorType", default)
    if value not in allowed:
        raise invalid_parameter(f"Invalid authorType={value}, has to be one of {', '.join(allowed)}")
    return str(value)


def whole_number(body: JsonObject, name: str, low: int, high: int, default: int | None = None) -> int:
    """An integer field within bounds."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid_parameter(f"{name} has to be a whole number between {low} and {high}")
    return value


def post_agent_assignment(body: JsonObject) -> str:
    """The webhook id of a post-agent assignment whose limits are all right."""
    if body.get("type", "webhook") != "webhook":
        raise invalid_parameter("type has to be webhook")
    identifier = body.get("id")
    if not isinstance(identifier, str) or not identifier:
        raise invalid_parameter("id has to be a webhook id")
    configuration = body.get("configuration", {})
    if not isinstance(configuration, dict):
        raise invalid_parameter("configuration has to be an object")
    for name, low, high in (("maxTotalMinutes", 20, 600), ("userTimeoutInMinutes", 10, 300)):
        if name in configuration:
            whole_number(configuration, name, low, high)
    notify = configuration.get("notifyChannelWebhookIfExists", "false")
    if notify not in ("true", "false"):
        raise invalid_parameter('notifyChannelWebhookIfExists has to be the string "true" or "false"')
    return identifier


def text(body: JsonObject, name: str, longest: int = 256) -> str:
    """A string that must be there."""
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        wrong = "is not valid" if value else "may not be empty"
        raise invalid_field(name, value, f"invalid_{name}", f"{name} {wrong}")
    return value
