"""The webhook events the sandbox sends, built from what it keeps."""

import msgspec

from app.sandbox.model import Attachment, Conversation, JsonObject, Message

VERIFY: JsonObject = {"notificationVersion": "Chat Gateway v1.0", "eventType": "WEB_HOOK_VERIFY"}


def event(kind: str, conversation: str, timestamp: int, data: JsonObject | None = None) -> JsonObject:
    """An event's JSON; `data` None: the event has none."""
    body: JsonObject = {"eventType": kind, "conversationId": conversation, "timestamp": timestamp}
    if data is not None:
        body["data"] = data
    return body


def encode(body: JsonObject) -> bytes:
    """The bytes that travel and are signed."""
    return msgspec.json.encode(body)


def conversation_update(conversation: Conversation) -> JsonObject:
    """`data` of CONVERSATION_UPDATE."""
    data: JsonObject = {"state": conversation.state}
    if conversation.assignment is not None:
        data["assignment"] = conversation.assignment
    data["user"] = conversation.user
    phone = conversation.user.get("phone")
    if phone:
        data["msisdn"] = phone
    data["channel"] = conversation.channel
    return data


def message(stored: Message, files: list[Attachment], links: list[str]) -> JsonObject:
    """`data` of MESSAGE; `links` are the files' pre-signed URLs, in their order."""
    data: JsonObject = {
        "isEcho": stored.author_type == "bot",
        "sender": {"id": stored.author_id, "type": stored.author_type},
    }
    if stored.text is not None:
        data["text"] = stored.text
    if files:
        data["attachments"] = [
            {"id": file.id, "type": file_type(file), "preSignedUrl": link, "fileName": file.file_name}
            for file, link in zip(files, links, strict=True)
        ]
    if stored.cards:
        data["cards"] = [{"contentType": card.content_type, "content": card.content} for card in stored.cards]
    return data


def file_type(file: Attachment) -> str:
    """What the event calls the file: image, audio, video or file."""
    kind = file.content_type.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "file"


def members_changed(member: str, change: str, member_id: str) -> JsonObject:
    """`data` of MEMBERS_CHANGED: `member` user/agent, `change` joined/left."""
    return {"memberType": member, "change": change, "id": member_id}


def queued(queue: str, name: str) -> JsonObject:
    """`data` of QUEUED."""
    return {"queueId": queue, "queueName": name}


def typing(users: list[JsonObject]) -> JsonObject:
    """`data` of the typing activity; nobody: typing stopped."""
    return {"name": "typing", "value": {"users": users}}


def activity(name: str, value: object) -> JsonObject:
    """`data` of any ACTIVITY."""
    return {"name": name, "value": value}
