"""Handling what waits in one owned conversation: events, timers, and the bot's turns.

A turn replays the dialog's journal with the new input and goes on until the bot waits again. Input, outputs
and the event's being handled commit together; before steps run, what was said so far is committed and sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.conversation import dialog as dialogs
from app.conversation.commit import commit
from app.conversation.draft import Draft
from app.conversation.driver import Driver
from app.conversation.handover import asking
from app.conversation.handover.following import (
    due_timers,
    give_outcome,
    may_tell_bot,
    outcome_due,
    time_passed,
)
from app.conversation.inputs import (
    as_input,
    find_input,
    is_call,
    meaning_of,
    receive_timer_due,
    session_expired,
)
from app.conversation.journal import Entry
from app.conversation.needs import Diverged, Failed, RunSteps
from app.conversation.notes import keep_storage, state_change
from app.conversation.outbox import Outbox
from app.conversation.privacy.guarding import Guard
from app.conversation.quarantine import DEATHS_ALLOWED, TRIAL, alone, begin_trial, quarantine
from app.conversation.services import Host, Services
from app.conversation.state import ConversationState, TimerState, WaitingEvent
from app.conversation.steps import run_steps
from app.conversation.store import waiting_events
from app.conversation.transformers import Ready, Transforming
from app.endpoints import Endpoint
from app.errors import BotError, ConfigurationError
