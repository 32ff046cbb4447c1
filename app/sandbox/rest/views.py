"""The gateway's resources as its REST interface shows them."""

from app.sandbox.model import (
    Attachment,
    Card,
    Channel,
    Conversation,
    Interaction,
    JsonObject,
    Message,
    Participant,
    Webhook,
    iso,
)


def message(stored: Message) -> JsonObject:
    """MessageResult."""
    view: JsonObject = {
        "id": stored.id,
        "text": stored.text or "",
        "createdAt": iso(stored.created_at),
        "author": {"id": stored.author_id, "removed": False, "type": stored.author_type},
        "attachments": [{"id": identifier} for identifier in stored.attachments],
        "cards": [card(each) for each in stored.cards],
    }
    if stored.external_provider is not None:
        view["externalProvider"] = stored.external_provider
    return view


def card(stored: Card) -> JsonObject:
    """One of AdaptiveCards."""
    return {
        "id": stored.id,
        "contentType": stored.content_type,
        "content": stored.content,
        "actionSubmitted": stored.submitted,
        "actionExecuted": stored.executed,
    }


def conversation(stored: Conversation) -> JsonObject:
    """ConversationResult."""
    view: JsonObject = {
        "id": stored.id,
        "channelId": stored.channel_id,
        "user": stored.user,
        "state": stored.state,
        "createdAt": iso(stored.created_at),
    }
    if stored.assignment is not None:
        view["assignment"] = stored.assignment
    return view


def participant(stored: Participant) -> JsonObject:
    """ConversationParticipant."""
    return {"id": stored.id, "removed": stored.removed, "type": stored.type}


def interaction(stored: Interaction) -> JsonObject:
    """InteractionInfo."""
    view: JsonObject = {"id": stored.id, "startTime": iso(stored.started_at)}
    if stored.ended_at is not None:
        view["endTime"] = iso(stored.ended_at)
    return view


def attachment(stored: Attachment) -> JsonObject:
    """AttachmentResult: 8x8 requires `size` and `type` but describes `sizeInBytes`; all are given."""
    return {
        "id": stored.id,
        "filename": stored.file_name,
        "size": len(stored.content),
        "sizeInBytes": len(stored.content),
        "type": stored.content_type,
        "createdAt": iso(stored.created_at),
    }


def webhook(stored: Webhook) -> JsonObject:
    """WebHookV2Result, with `notificationVersion` beside `version`, as requests name it."""
    return {
        "id": stored.id,
        "name": stored.name,
        "uri": stored.uri,
        "version": stored.version,
        "notificationVersion": stored.version,
    }


def channel(stored: Channel) -> JsonObject:
    """ChannelV2Result."""
    return {
        "id": stored.id,
        "name": stored.name,
        "type": stored.type,
        "webHookId": stored.webhook_id or "",
        "routingOptions": {"type": "queue", "id": stored.queue},
    }
