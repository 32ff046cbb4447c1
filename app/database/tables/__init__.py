"""Every table, so that one import knows the whole schema."""

from sqlmodel import SQLModel

from app.database.tables.access import ApiToken
from app.database.tables.analytics import (
    Interaction,
    Mark,
    RollupHour,
    RollupLatency,
    RollupPart,
    RollupProgress,
    Uncounted,
)
from app.database.tables.conversation import Contact, Conversation, Session
from app.database.tables.delivery import Delivery, DeliveryAttempt
from app.database.tables.dialog import Dialog, Journal, Timer
from app.database.tables.event import Event, Message
from app.database.tables.file import File
from app.database.tables.handover import Handover, HandoverTransition
from app.database.tables.operations import EndpointState, Incident, SessionRun, Worker

metadata = SQLModel.metadata

__all__ = [
    "ApiToken",
    "Contact",
    "Conversation",
    "Delivery",
    "DeliveryAttempt",
    "Dialog",
    "EndpointState",
    "Event",
    "File",
    "Handover",
    "HandoverTransition",
    "Incident",
    "Interaction",
    "Journal",
    "Mark",
    "Message",
    "RollupHour",
    "RollupLatency",
    "RollupPart",
    "RollupProgress",
    "Session",
    "SessionRun",
    "Timer",
    "Uncounted",
    "Worker",
    "metadata",
]
