"""Placeholders for what tells who somebody is, the same one for the same thing throughout.

What is found: the contact's own name, e-mail address, telephone number, company and ids wherever they are
mentioned; and any e-mail address, telephone number or string of six digits or more, letters around it or not
(IBANs, references). A name that the contact profile doesn't hold isn't found. Dates stay, also a date of
birth: what a bot says of a day has to fit it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import cycle
from typing import Any

_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
#: Digits that may be in groups, an IBAN's country before them; or in one run, whatever stands around it.
_DIGITS = re.compile(r"(?<![\w.])(?:[A-Za-z]{2}(?=\d{2} ?\d{4}))?\+?\(?\d(?:[ \-./()]{0,2}\d){5,}|\d{6,}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}")
_NAMES = ("Alex", "Example", "Robin", "Sample", "Kim", "Placeholder")
_FREE_TEXT = {
    "company": "Example Company",
    "caseId": "CASE-1",
    "customerId": "customer-1",
    "userId": "user-1",
}


class Mask:
    """Masks one conversation. Make one from the contact, then mask everything with it."""

    def __init__(self, *profiles: Mapping[str, Any]) -> None:
        self._emails: dict[str, str] = {}
        self._numbers: dict[str, str] = {}
        self._words: dict[str, str] = {}
        for profile in profiles:
            for name, placeholder in _FREE_TEXT.items():
                self._learn(profile.get(name), placeholder)
            words = re.findall(r"[^\W\d_]{2,}", str(profile.get("name") or ""))
            for word, placeholder in zip(words, cycle(_NAMES), strict=False):
                self._learn(word, placeholder)
        longest_first = sorted(self._words, key=len, reverse=True)
        pattern = rf"(?<!\w)(?:{'|'.join(map(_pattern, longest_first))})(?!\w)"
        self._known = re.compile(pattern) if longest_first else None

    def _learn(self, word: object, placeholder: str) -> None:
        if isinstance(word, str) and word.strip():
            self._words.setdefault(word.strip().casefold(), placeholder)

    def text(self, text: str) -> str:
        """The text with its placeholders."""
        text = _EMAIL.sub(self._email, text)
        text = _DIGITS.sub(self._number, text)
        return text if self._known is None else self._known.sub(self._word, text)

    def value(self, value: Any) -> Any:
        """The same for every string in a JSON value; keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, dict):
            return {key: self.value(each) for key, each in value.items()}
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 100_000:
            return int(self.text(str(value)))
        return value

    def _email(self, found: re.Match[str]) -> str:
        number = len(self._emails) + 1
        return self._emails.setdefault(found[0].casefold(), f"person{number}@example.com")

    def _number(self, found: re.Match[str]) -> str:
        """Other digits in the same places, so that what checks a number's form still finds it good."""
        if _DATE.fullmatch(found[0]):
            return found[0]
        digits = re.sub(r"\D", "", found[0])
        wanted = f"5{len(self._numbers) + 1:0{len(digits) - 1}d}"
        new = iter(self._numbers.setdefault(digits, wanted))
        return re.sub(r"\d", lambda _: next(new), found[0])

    def _word(self, found: re.Match[str]) -> str:
        return self._words[found[0].casefold()]


def _pattern(word: str) -> str:
    """The word in any case; one of two letters only as a name is written, or "an" would be one."""
    return rf"(?i:{re.escape(word)})" if len(word) > 2 else re.escape(word.title())


class NoMask(Mask):
    """Leaves everything as it is."""

    def __init__(self) -> None:
        super().__init__()

    def text(self, text: str) -> str:
        """The text itself."""
        return text

    def value(self, value: Any) -> Any:
        """The value itself."""
        return value
