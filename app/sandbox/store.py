"""What the sandbox knows, in memory: tenants, webhooks, channels, conversations, messages."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Iterator

from app.sandbox.config import ANY_CHANNEL, Limits, TenantConfig
from app.sandbox.model import Attachment, Channel, Conversation, Message, Tenant, Webhook

LINK_SECONDS = 3600


class Store:
    """Bounded: the conversation that was started longest ago goes first, and the oldest files."""

    def __init__(self, limits: Limits, base_url: str) -> None:
        self._limits = limits
        self._base_url = base_url.rstrip("/")
        self._secret = secrets.token_bytes(16)
        self._seq = 0
        self._entity = 0
        self._files: deque[tuple[str, Attachment]] = deque()
        self._file_bytes = 0
        self.tenants: dict[str, Tenant] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.channels: dict[str, Channel] = {}
        self.conversations: OrderedDict[str, Conversation] = OrderedDict()
        self.recent: deque[Message] = deque(maxlen=200_000)

    def next_seq(self) -> int:
        """The number of the next message of the sandbox."""
        self._seq += 1
        return self._seq

    @property
    def last_seq(self) -> int:
        """The number of the newest message."""
        return self._seq

    def next_entity(self) -> str:
        """An id for a webhook or channel: 8x8 numbers them."""
        self._entity += 1
        return str(self._entity)

    def put_tenant(self, config: TenantConfig) -> Tenant:
        """Add a tenant, or replace it; its webhooks named here replace those of the same channel."""
        tenant = Tenant(
            config.tenant,
            config.api_key,
            config.customer_id,
            dict(config.queues),
            config.script,
            config.label,
        )
        self.tenants[tenant.id] = tenant
        for channel, url in config.webhooks.items():
            self.set_webhook(tenant, channel, url)
        return tenant

    def drop_tenant(self, tenant_id: str) -> None:
        """Forget a tenant with its webhooks, channels and conversations."""
        self.tenants.pop(tenant_id, None)
        for kept in (self.channels, self.webhooks, self.conversations):
            for key in [key for key, each in kept.items() if each.tenant == tenant_id]:
                del kept[key]

    def with_key(self, api_key: str) -> list[Tenant]:
        """The tenants an API key is good for."""
        given = api_key.encode()
        return [t for t in self.tenants.values() if secrets.compare_digest(t.api_key.encode(), given)]

    def set_webhook(self, tenant: Tenant, channel_type: str, url: str) -> None:
        """Send events of a channel type ("*": every type without its own) to this URL."""
        channel = self.channel_of(tenant, channel_type) or self._add_channel(tenant, channel_type)
        webhook = self.webhooks.get(channel.webhook_id or "")
        if webhook is None:
            webhook = Webhook(self.next_entity(), tenant.id, f"{tenant.id} {channel_type}", url)
            self.webhooks[webhook.id] = webhook
            channel.webhook_id = webhook.id
        webhook.uri = url

    def channel_of(self, tenant: Tenant, channel_type: str) -> Channel | None:
        """The tenant's first channel of a type."""
        own = (channel for channel in self.channels.values() if channel.tenant == tenant.id)
        return next((channel for channel in own if channel.type == channel_type), None)

    def channel_for(self, tenant: Tenant, channel_type: str) -> Channel:
        """The same; made, with the webhook of "*", where there is none yet."""
        return self.channel_of(tenant, channel_type) or self._add_channel(tenant, channel_type)

    def _add_channel(self, tenant: Tenant, channel_type: str) -> Channel:
        every = self.channel_of(tenant, ANY_CHANNEL)
        queue = next(iter(tenant.queues), "")
        name = f"{tenant.id} {channel_type}"
        shared = every.webhook_id if every else None
        channel = Channel(self.next_entity(), tenant.id, name, channel_type, shared, queue)
        self.channels[channel.id] = channel
        return channel

    def webhook_url(self, conversation: Conversation) -> str | None:
        """Where the conversation's events go now."""
        channel = self.channels.get(conversation.channel_id)
        webhook_id = conversation.webhook or (channel.webhook_id if channel else None)
        webhook = self.webhooks.get(webhook_id or "")
        return webhook.uri if webhook else None

    def add_conversation(self, conversation: Conversation) -> None:
        """Keep a conversation."""
        self.conversations[conversation.id] = conversation
        while len(self.conversations) > self._limits.conversations:
            self.conversations.popitem(last=False)

    def conversations_of(self, tenant: str) -> Iterator[Conversation]:
        """The conversations of a tenant."""
        return (c for c in self.conversations.values() if c.tenant == tenant)

    def add_message(self, conversation: Conversation, message: Message) -> None:
        """Keep a message, letting the oldest of its conversation go."""
        messages = conversation.messages
        messages.append(message)
        self.recent.append(message)
        if len(messages) > self._limits.messages_per_conversation:
            del messages[: len(messages) // 10]

    def add_attachment(self, conversation: Conversation, attachment: Attachment) -> None:
        """Keep a file, letting the oldest go when all together are too big."""
        conversation.attachments[attachment.id] = attachment
        self._files.append((conversation.id, attachment))
        self._file_bytes += len(attachment.content)
        while self._file_bytes > self._limits.attachment_bytes and len(self._files) > 1:
            owner, oldest = self._files.popleft()
            self._file_bytes -= len(oldest.content)
            if owner in self.conversations:
                self.conversations[owner].attachments.pop(oldest.id, None)

    def link(self, conversation: str, attachment: str) -> str:
        """A pre-signed URL to a file's content, good for an hour."""
        expires = int(time.time()) + LINK_SECONDS
        signature = self._link_signature(conversation, attachment, expires)
        return (
            f"{self._base_url}/sandbox/files/{conversation}/{attachment}"
            f"?expires={expires}&signature={signature}"
        )

    def link_is_good(self, conversation: str, attachment: str, expires: int, signature: str) -> bool:
        """Whether a pre-signed URL was made here and is still good."""
        expected = self._link_signature(conversation, attachment, expires)
        return expires >= time.time() and hmac.compare_digest(expected.encode(), signature.encode())

    def _link_signature(self, conversation: str, attachment: str, expires: int) -> str:
        text = f"{conversation}\n{attachment}\n{expires}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def clear(self) -> None:
        """Forget conversations, messages and files; tenants, webhooks and channels stay."""
        self.conversations.clear()
        self.recent.clear()
        self._files.clear()
        self._file_bytes = 0
