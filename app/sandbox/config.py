"""What a sandbox is made with: tenants, where their webhooks go, limits and retry delays."""

from dataclasses import dataclass, field
from pathlib import Path

ANY_CHANNEL = "*"
"""Key in `TenantConfig.webhooks` for every channel type that has no URL of its own."""

CHANNEL_TYPES = ("WebChat", "WhatsApp", "SMS", "Facebook", "Viber", "RCS", "Email", "ChatAPI", "Twitter")
"""Channel types the sandbox can start a conversation on."""

DEFAULT_QUEUES = {"101": "Support", "102": "Sales", "103": "Billing"}


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """One 8x8 tenant: its API key, its webhooks by channel type, and its queues and script by id.

    `label` is what people call it: the endpoint's name.
    """

    tenant: str
    api_key: str
    customer_id: str = "sandbox-customer"
    webhooks: dict[str, str] = field(default_factory=dict)
    queues: dict[str, str] = field(default_factory=lambda: dict(DEFAULT_QUEUES))
    script: str = "2001"
    label: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept before the oldest goes, so that a long run stays small."""

    conversations: int = 20_000
    messages_per_conversation: int = 5_000
    webhook_records: int = 2_000
    rest_records: int = 2_000
    logged_body: int = 64 * 1024
    pending_webhooks: int = 200_000
    attachment_bytes: int = 256 * 1024 * 1024
    request_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a webhook that got no 2xx is sent again: delays in seconds, doubling from first to longest."""

    first: float = 0.25
    longest: float = 5.0
    timeout: float = 5.0
    give_up_after: float = 3600.0

    def delay(self, attempt: int) -> float:
        """The pause in seconds before retry number `attempt` (from 1)."""
        return min(self.longest, self.first * float(2 ** min(attempt - 1, 16)))


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """A whole sandbox. `base_url` is what links to files begin with; `data` keeps the signing key.

    `host` is the address it listens on: on a loopback one it answers only who names it so.
    """

    tenants: list[TenantConfig]
    base_url: str = "http://127.0.0.1:8088"
    host: str = "127.0.0.1"
    data: Path | None = None
    limits: Limits = field(default_factory=Limits)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
