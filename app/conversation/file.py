"""A file that a bot sends: `await chat.say("Here it is.", attachments=[File("menu.pdf")])`.

Only what the file is called and where it is to be had is kept here. The bytes are read or fetched when it is
said, once: see files_out.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from app.conversation.checks import check_text, check_url
from app.errors import BotError

MOST_FILES = 10
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, init=False)
class File:
    """A path, bytes or an http(s) address. `name` is what the user sees: of bytes it must be given.

    What it is may also be said by name: `File(path=…)`, `File(bytes=…, name=…)`, `File(url=…)`. A relative
    path is looked for from where the worker was started.
    """

    source: Path | bytes | str = field(repr=False)
    """A str is an address."""
    name: str

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        bytes: bytes | None = None,
        url: str | None = None,
        name: str | None = None,
    ) -> None:
        given = [each for each in (source, path, bytes, url) if each is not None]
        if len(given) != 1:
            raise BotError("A File is one of a path, bytes or a url.")
        found = _source(given[0], is_url=url is not None, is_path=path is not None)
        named = _named(found) if name is None else name
        object.__setattr__(self, "source", found)
        object.__setattr__(self, "name", _checked(named))

    @property
    def is_url(self) -> bool:
        """Whether it is fetched."""
        return isinstance(self.source, str)


def _source(given: object, *, is_url: bool, is_path: bool) -> Path | bytes | str:
    if isinstance(given, bytes | bytearray | memoryview):
        return bytes(given)
    if (
        isinstance(given, str)
        and not is_path
        and (is_url or given.lower().startswith(("http://", "https://")))
    ):
        check_url(given, "a file's url")
        return str.__str__(given)
    if isinstance(given, str | os.PathLike) and not is_url:
        if not os.fspath(given) or "\0" in os.fspath(given):
            raise BotError("A file's path is empty or holds NUL.")
        return Path(given)
    raise BotError(f"A File is a path, bytes or a url, not a {type(given).__name__}.")


def _named(source: Path | bytes | str) -> str:
    if isinstance(source, bytes):
        raise BotError("A File of bytes needs a name, such as name='menu.pdf'.")
    if isinstance(source, Path):
        return source.name or "file"
    return PurePath(unquote(urlsplit(source).path)).name[:LONGEST_NAME] or "file"


def _checked(name: str) -> str:
    check_text(name, "a file's name")
    if len(name) > LONGEST_NAME or not name.isprintable() or set(name) & set('/\\"'):
        raise BotError(
            f"A file's name has at most {LONGEST_NAME} characters, no slash and no quotation mark."
        )
    return str.__str__(name)


def check_files(files: Iterable[File] | None) -> tuple[File, ...]:
    """What `say(attachments=)` was given."""
    if files is None:
        return ()
    if isinstance(files, str | bytes) or not isinstance(files, Iterable):
        raise BotError("say(attachments=) takes a list of File.")
    found = tuple(files)
    for each in found:
        if not isinstance(each, File):
            raise BotError(f"say(attachments=) takes a list of File, not of a {type(each).__name__}.")
    if len(found) > MOST_FILES:
        raise BotError(f"There are more than {MOST_FILES} attachments.")
    return found
