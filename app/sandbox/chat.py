"""The user at a terminal: what `parley chat` runs.

Lines are what the user says; a number picks a quick reply. `/submit name=value …` submits the newest
card, `/file path` sends a file, `/quit` leaves. With a pipe for input each line waits for its replies.
"""

import sys
import threading
from pathlib import Path
from typing import TextIO

import httpx

from app.sandbox import calls, cardtext
from app.sandbox.client import ControlError, SandboxClient
from app.sandbox.schema import Channel, MessageView, Posted

EXIT_NO_REPLY = 1
EXIT_NO_SANDBOX = 2


def chat(
    base_url: str,
    *,
    channel: Channel = "WebChat",
    tenant: str | None = None,
    user: dict[str, object] | None = None,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    patience: float = 15.0,
    settle: float = 0.7,
) -> int:
    """Chat through the sandbox at `base_url` until /quit or the end of the input.

    Piped input: a line's replies are waited for, `patience` seconds for the first, then until none came
    for `settle` seconds. Returns 0; 1 when a piped line got no reply; 2 when the sandbox is not there.
    """
    source, out = stdin or sys.stdin, stdout or sys.stdout
    piped = not source.isatty()
    try:
        with SandboxClient(base_url) as sandbox:
            conversation = sandbox(calls.start(channel=channel, tenant=tenant, user=user))
            talk = _Talk(sandbox, conversation.id, out)
            talk.write(f"Conversation {conversation.id}. Say something; /quit ends it.")
            code = _piped(talk, source, patience, settle) if piped else _live(talk, source, base_url)
            sandbox(calls.user_leaves(conversation.id))
            return code
    except httpx.HTTPError as error:
        sys.stderr.write(
            f"No sandbox answers at {base_url} ({type(error).__name__}): is `parley up` running?\n"
        )
        return EXIT_NO_SANDBOX
    except ControlError as error:
        sys.stderr.write(f"The sandbox refused: {error}\n")
        return EXIT_NO_SANDBOX


def _piped(talk: "_Talk", source: TextIO, patience: float, settle: float) -> int:
    code = 0
    talk.drain(settle)
    for line in source:
        text = line.strip()
        if text == "/quit":
            break
        if not text:
            continue
        talk.write(f"> {text}")
        if talk.take(text) is None:
            continue
        if not talk.show(patience):
            talk.write(f"(no reply within {patience:g} s)")
            code = EXIT_NO_REPLY
        talk.drain(settle)
    return code


def _live(talk: "_Talk", source: TextIO, base_url: str) -> int:
    stopped = threading.Event()

    def follow() -> None:
        with SandboxClient(base_url) as sandbox:
            while not stopped.is_set():
                try:
                    talk.show(2.0, sandbox)
                except (httpx.HTTPError, ControlError) as error:
                    talk.write(f"(the sandbox is away: {type(error).__name__})")
                    stopped.wait(2)

    follower = threading.Thread(target=follow, name="chat", daemon=True)
    follower.start()
    try:
        for line in source:
            text = line.strip()
            if text == "/quit":
                break
            if text:
                talk.take(text)
    except KeyboardInterrupt:
        talk.write("")
    finally:
        stopped.set()
        follower.join(5)
    return 0


class _Talk:
    """One conversation: what was shown so far, and which quick replies are offered."""

    def __init__(self, sandbox: SandboxClient, conversation: str, out: TextIO) -> None:
        self._sandbox = sandbox
        self._conversation = conversation
        self._out = out
        self._seen = 0
        self._options: list[tuple[str, object]] = []
        self._card: str | None = None

    def write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()

    def take(self, text: str) -> Posted | None:
        """Do what a line asks for; None when it couldn't be done."""
        command, _, rest = text.partition(" ")
        if command == "/file":
            return self._file(Path(rest).expanduser())
        if command == "/submit":
            pairs = dict(pair.partition("=")[::2] for pair in rest.split())
            return self._sandbox(calls.use_card(self._conversation, pairs, card_id=self._card))
        options, self._options = self._options, []
        if text.isdecimal() and 1 <= int(text) <= len(options):
            title, payload = options[int(text) - 1]
            return self._sandbox(calls.quick_reply(self._conversation, title=title, payload=payload))
        return self._sandbox(calls.say(self._conversation, text))

    def _file(self, path: Path) -> Posted | None:
        try:
            content = path.read_bytes()
        except OSError as error:
            self.write(f"(can't read {path}: {error.strerror})")
            return None
        return self._sandbox(calls.send_file(self._conversation, path.name, content))

    def show(self, timeout: float, sandbox: SandboxClient | None = None) -> int:
        """Wait for messages and show those that aren't the user's; returns how many."""
        ask = sandbox or self._sandbox
        shown = 0
        while not shown:
            page = ask(calls.messages(self._conversation, since=self._seen, timeout=timeout))
            if not page.messages:
                break
            for message in page.messages:
                self._seen = message.seq
                if message.author_type != "user":
                    self._show(message)
                    shown += 1
        return shown

    def drain(self, settle: float) -> None:
        """Show messages until none came for `settle` seconds."""
        while self.show(settle):
            pass

    def _show(self, message: MessageView) -> None:
        who = message.author_id if message.author_type == "agent" else message.author_type
        lines = (message.text or "").splitlines()
        lines += [line for card in message.cards for line in cardtext.lines(card)]
        lines += [f"[file {file.file_name}: {file.url}]" for file in message.attachments]
        for line in lines:
            self.write(f"{who}: {line}")
        options = [option for card in message.cards for option in cardtext.quick_replies(card)]
        for number, (title, _) in enumerate(options, start=1):
            self.write(f"  {number}. {title}")
        if options:
            self._options = options
        for card in message.cards:
            if card.content_type == cardtext.ADAPTIVE:
                self._card = card.id
