"""Plays a scenario through a running sandbox."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.sandbox import calls, cardtext
from app.sandbox.client import ControlError, SandboxClient
from app.sandbox.scenario import model
from app.sandbox.scenario.checks import handover_mistakes, message_mistakes
from app.sandbox.scenario.reading import ScenarioFile
from app.sandbox.schema import ConversationView, MessageView

LOOK_EVERY = 0.1


@dataclass(frozen=True)
class Failure:
    """The step that went wrong: its number and line (from 1), what it is, and how."""

    step: int
    line: int
    what: str
    mistakes: list[str]


@dataclass
class Played:
    """What became of a scenario. `story` is what was said, a line each; seconds as measured."""

    file: ScenarioFile
    conversation: str = ""
    failure: Failure | None = None
    seconds: float = 0.0
    story: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The scenario's name, else its file's."""
        return self.file.scenario.name or self.file.path.stem


class NotAsExpectedError(Exception):
    """A step's expectation failed; `mistakes` are lines to read."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = list(mistakes)


def play(sandbox: SandboxClient, file: ScenarioFile, tenant: str) -> Played:
    """Play all steps until one fails. Raises httpx.HTTPError when the sandbox goes away."""
    played = Played(file)
    started = time.monotonic()
    scenario = file.scenario
    opened = sandbox(
        calls.start(tenant=tenant, channel=scenario.channel, user=dict(scenario.user), is_test=True)
    )
    played.conversation = opened.id
    player = _Player(sandbox, file, opened, played.story)
    for number, step in enumerate(scenario.steps, start=1):
        try:
            player.take(step)
        except NotAsExpectedError as error:
            mistakes = error.mistakes
        except ControlError as error:
            mistakes = [f"the sandbox refused: {error.detail}"]
        else:
            continue
        line = file.lines[number - 1] if number <= len(file.lines) else 0
        played.failure = Failure(number, line, describe(step), mistakes)
        break
    player.leave()
    played.seconds = time.monotonic() - started
    return played


def describe(step: model.Step) -> str:
    """A step in a line, as it stands in the file."""
    [(key, value)] = step.model_dump(exclude_none=True, exclude_defaults=True).items()
    if isinstance(value, dict) and list(value) in (["text"], ["queue"], ["title"]):
        [value] = value.values()
    return f"{key}: {value}"


class _Player:
    """One conversation: what of the bot's messages was looked at, and what it offered last."""

    def __init__(
        self, sandbox: SandboxClient, file: ScenarioFile, opened: ConversationView, story: list[str]
    ) -> None:
        self._sandbox = sandbox
        self._file = file
        self._id = opened.id
        self._story = story
        self._patience = file.scenario.patience
        self._seen = 0
        self._offered: list[tuple[str, object]] = []
        self._card: str | None = None

    def take(self, step: model.Step) -> None:
        """Do a step. Raises NotAsExpectedError, or ControlError when the sandbox refuses."""
        ask, one = self._sandbox, self._id
        match step:
            case model.User(user=text):
                self._tell(f"user: {text}")
                ask(calls.say(one, text))
            case model.UserClicks(click=choice):
                self._click(choice)
            case model.UserSubmits(submit=data):
                self._tell(f"user submits: {data}")
                ask(calls.use_card(one, data, card_id=self._card))
            case model.UserSendsFile(file=file):
                self._tell(f"user sends: {file.name}")
                ask(
                    calls.send_file(
                        one, file.name, self._content(file), content_type=file.type, text=file.text
                    )
                )
            case model.UserActs(activity=activity):
                self._tell(f"user acts: {activity.name}")
                ask(calls.activity(one, activity.name, activity.value))
            case model.UserLeaves():
                ask(calls.user_leaves(one))
            case model.ExpectBot(bot=expected):
                self._expect_bot(expected)
            case model.ExpectNothing(nothing=seconds):
                self._expect_nothing(seconds)
            case model.ExpectHandover(handover=expected):
                self._expect_handover(expected)
            case model.AgentJoins(agent_joins=agent):
                self._in_queue()
                ask(calls.accept(one, agent))
            case model.AgentSays(agent=text):
                self._tell(f"agent: {text}")
                ask(calls.agent_says(one, text))
            case model.AgentTransfers(agent_transfers=to):
                ask(calls.transfer(one, to.queue, transfer_first=to.order == "transfer_first"))
            case model.AgentLeaves():
                ask(calls.agent_leaves(one))
            case model.Wait(wait=seconds):
                time.sleep(seconds)

    def leave(self) -> None:
        """End the conversation, so that nothing of it is left waiting."""
        if self._sandbox(calls.conversation(self._id)).state != "idle":
            self._sandbox(calls.user_leaves(self._id))

    def _tell(self, line: str) -> None:
        self._story.append(line)

    def _click(self, choice: str | model.Click) -> None:
        if isinstance(choice, model.Click):
            title, payload = choice.title, choice.payload
        else:
            found = [(title, payload) for title, payload in self._offered if title == choice]
            if not found:
                offered = ", ".join(title for title, _ in self._offered) or "none"
                raise NotAsExpectedError(f"no quick reply {choice!r} is offered; those that are: {offered}")
            title, payload = found[0]
        self._tell(f"user clicks: {title}")
        self._sandbox(calls.quick_reply(self._id, title=title, payload=payload))

    def _content(self, file: model.File) -> bytes:
        if file.content is not None:
            return file.content.encode()
        path = self._file.path.parent / (file.path or "")
        try:
            return path.read_bytes()
        except OSError as error:
            raise NotAsExpectedError(f"can't read {path}: {error.strerror}") from error

    def _expect_bot(self, expected: model.BotSays) -> None:
        within = self._patience if expected.within is None else expected.within
        message = self._next(within)
        if message is None:
            raise NotAsExpectedError(f"the bot said nothing within {within:g} s")
        mistakes = message_mistakes(expected, message)
        if mistakes:
            raise NotAsExpectedError(*mistakes)

    def _expect_nothing(self, seconds: float) -> None:
        message = self._next(seconds)
        if message is not None:
            raise NotAsExpectedError(f"the bot said: {message.text or '(a card or a file)'}")

    def _expect_handover(self, expected: model.Handover) -> None:
        within = self._patience if expected.within is None else expected.within
        mistakes = self._until(lambda one: handover_mistakes(expected, one), within)
        if mistakes:
            raise NotAsExpectedError(*mistakes)

    def _in_queue(self) -> None:
        """An agent can only join what waits: give the bot time to hand over."""
        waits = self._until(
            lambda one: [] if one.queue else ["the conversation waits in no queue"], self._patience
        )
        if waits:
            raise NotAsExpectedError(*waits)

    def _until(self, look: Callable[[ConversationView], list[str]], within: float) -> list[str]:
        """Nothing once `look` finds no mistake; its mistakes when time is up."""
        deadline = time.monotonic() + within
        while mistakes := look(self._sandbox(calls.conversation(self._id))):
            if time.monotonic() >= deadline:
                return mistakes
            time.sleep(LOOK_EVERY)
        return []

    def _next(self, timeout: float) -> MessageView | None:
        """The bot's next message that no step has looked at."""
        page = self._sandbox(calls.messages(self._id, since=self._seen, author="bot", timeout=timeout))
        if not page.messages:
            return None
        message = page.messages[0]
        self._seen = message.seq
        for line in (message.text or ("" if message.attachments else "(a card)")).splitlines():
            self._tell(f"bot: {line}")
        for file in message.attachments:
            self._tell(f"bot: [file {file.file_name}]")
        for card in message.cards:
            if card.content_type == cardtext.ADAPTIVE:
                self._card = card.id
        self._offered = [
            pair for card in message.cards for pair in cardtext.quick_replies(card)
        ] or self._offered
        return message
