"""The user's language, as the channel told it."""

from __future__ import annotations

import re
from typing import Any

_LOCALE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z0-9]{2,8}))*")


def languages(told: Any) -> tuple[str | None, str | None]:
    """(language, locale) of what the channel told: ("de", "de-CH") of "de_ch"; None where it is neither."""
    if not isinstance(told, str) or _LOCALE.fullmatch(told.strip()) is None:
        return None, None
    parts = re.split("[-_]", told.strip())
    language = parts[0].lower()
    rest = [part.upper() if len(part) == 2 else part for part in parts[1:]]
    return language, "-".join([language, *rest])
