"""Cards as text, for a terminal."""

from app.sandbox.schema import CardView, JsonObject

QUICK_REPLIES = "application/8x8.quick.replies"
ADAPTIVE = "application/vnd.microsoft.card.adaptive"
DEEPEST = 20


def quick_replies(card: CardView) -> list[tuple[str, object]]:
    """Title and payload of each quick reply of a card; none for another kind."""
    options = card.content.get("options") if card.content_type == QUICK_REPLIES else None
    chosen = [option for option in options if isinstance(option, dict)] if isinstance(options, list) else []
    return [(str(option.get("title", "")), _postback(option)) for option in chosen]


def _postback(option: JsonObject) -> object:
    data = option.get("data")
    return data.get("postback", option.get("title")) if isinstance(data, dict) else option.get("title")


def lines(card: CardView) -> list[str]:
    """An adaptive card as lines of text; any other card as its type; quick replies as nothing."""
    if card.content_type == QUICK_REPLIES:
        return []
    if card.content_type != ADAPTIVE:
        return [f"[{card.content_type}]"]
    return _items(card.content.get("body"), 0) + _items(card.content.get("actions"), 0)


def _items(items: object, depth: int) -> list[str]:
    if not isinstance(items, list) or depth > DEEPEST:
        return []
    return [line for item in items if isinstance(item, dict) for line in _element(item, depth)]


def _element(element: JsonObject, depth: int) -> list[str]:
    kind = str(element.get("type", ""))
    title = str(element.get("title") or element.get("label") or element.get("placeholder") or "")
    if kind == "TextBlock":
        return [str(element.get("text", ""))]
    if kind == "RichTextBlock":
        runs = element.get("inlines")
        parts = runs if isinstance(runs, list) else []
        return ["".join(str(run.get("text", "")) if isinstance(run, dict) else str(run) for run in parts)]
    if kind == "FactSet":
        facts = element.get("facts")
        pairs = [fact for fact in facts if isinstance(fact, dict)] if isinstance(facts, list) else []
        return [f"{fact.get('title', '')}: {fact.get('value', '')}" for fact in pairs]
    if kind == "Image":
        return [f"[image {element.get('altText') or element.get('url', '')}]"]
    if kind.startswith("Input."):
        return [f"[{element.get('id', '')}: {title or kind[6:]}]"]
    if kind in ("Action.Submit", "Action.Execute"):
        return [f"({title or 'Submit'}: /submit name=value …)"]
    if kind == "Action.OpenUrl":
        return [f"({title}: {element.get('url', '')})"]
    nested = (element.get(name) for name in ("items", "columns", "actions"))
    return [line for items in nested for line in _items(items, depth + 1)]
