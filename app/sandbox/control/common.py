"""What the control handlers share."""

import math
import time

from litestar.exceptions import NotFoundException

from app.sandbox import schema
from app.sandbox.log import RestRecord, WebhookRecord
from app.sandbox.model import Conversation, Message
from app.sandbox.world import World

API = "/sandbox/api"
ONE = API + "/conversations/{conversation_id:str}"


def find(world: World, identifier: str) -> Conversation:
    """A conversation of any tenant; 404."""
    conversation = world.store.conversations.get(identifier)
    if conversation is None:
        raise NotFoundException(f"there is no conversation {identifier}")
    return conversation


def posted(message: Message) -> schema.Posted:
    """A stored message as what was done."""
    return schema.Posted(
        message.conversation, seq=message.seq, message=message.id, created_at=message.created_at
    )


def conversation_view(world: World, one: Conversation) -> schema.ConversationView:
    """A conversation."""
    now = time.monotonic()
    ends = [until for until in (*one.typing.values(), one.thinking_until) if until > now]
    return schema.ConversationView(
        id=one.id,
        tenant=one.tenant,
        channel=one.channel,
        channel_id=one.channel_id,
        state=one.state,
        assignment=one.assignment,
        user=one.user,
        queue=one.queue,
        agent=one.agent,
        post_agent_assignment=one.post_agent_assignment,
        is_test=one.is_test,
        created_at=one.created_at,
        typing=[who for who, until in one.typing.items() if until > now],
        thinking=one.thinking_until > now,
        indicator_ms=math.ceil((min(ends) - now) * 1000) if ends else 0,
        read_at=one.read_at,
        webhook_url=world.store.webhook_url(one),
        messages=len(one.messages),
        interactions=[interaction.id for interaction in one.interactions],
    )


def message_view(world: World, message: Message) -> schema.MessageView:
    """A message with its files and cards."""
    conversation = world.store.conversations.get(message.conversation)
    known = conversation.attachments if conversation else {}
    files = [known[identifier] for identifier in message.attachments if identifier in known]
    return schema.MessageView(
        seq=message.seq,
        id=message.id,
        conversation=message.conversation,
        author_type=message.author_type,
        author_id=message.author_id,
        text=message.text,
        attachments=[
            schema.FileView(
                file.id,
                file.file_name,
                file.content_type,
                len(file.content),
                world.store.link(message.conversation, file.id),
            )
            for file in files
        ],
        cards=[
            schema.CardView(card.id, card.content_type, card.content, card.submitted, card.executed)
            for card in message.cards
        ],
        created_at=message.created_at,
        arrived_ns=message.arrived_ns,
    )


def webhook_view(record: WebhookRecord) -> schema.WebhookView:
    """A webhook record."""
    return schema.WebhookView(
        seq=record.seq,
        event_id=record.event_id,
        conversation=record.conversation,
        tenant=record.tenant,
        url=record.url,
        event_type=record.event_type,
        created_at=record.created_at,
        body=record.body.decode(errors="replace"),
        outcome=record.outcome,
        retries=record.retries,
        headers=record.headers,
        attempts=[
            schema.AttemptView(
                attempt.retry,
                attempt.transmission_time,
                attempt.status,
                attempt.error,
                attempt.duration_ms,
            )
            for attempt in record.attempts
        ],
        faults=record.faults,
    )


def rest_view(record: RestRecord) -> schema.RestView:
    """A REST record."""
    return schema.RestView(
        seq=record.seq,
        at=record.at,
        method=record.method,
        path=record.path,
        operation=record.operation,
        conversation=record.conversation,
        tenant=record.tenant,
        request_headers=record.request_headers,
        request_body=record.request_body.decode(errors="replace"),
        status=record.status,
        response_body=record.response_body.decode(errors="replace"),
        duration_ms=record.duration_ms,
        faults=record.faults,
        refused=record.refused,
    )
