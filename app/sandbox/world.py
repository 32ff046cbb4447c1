"""A whole sandbox, put together."""

from app.sandbox.config import SandboxConfig
from app.sandbox.courier import SETTLED, Courier
from app.sandbox.customer import Customer
from app.sandbox.desk import Desk
from app.sandbox.faultbook import FaultBook
from app.sandbox.gateway import Gateway
from app.sandbox.keys import KeyRing
from app.sandbox.log import Log
from app.sandbox.signals import RESET, Signals
from app.sandbox.store import Store


class World:
    """Everything a sandbox consists of. Make it anywhere, use it within one event loop."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.keys = KeyRing(config.data)
        self.faults = FaultBook()
        self.signals = Signals()
        self.log = Log(config.limits.webhook_records, config.limits.rest_records)
        self.store = Store(config.limits, config.base_url)
        self.courier = Courier(self.keys, self.faults, self.log, self.signals, config.retry, config.limits)
        self.gateway = Gateway(self.store, self.courier, self.faults, self.log, self.signals)
        self.customer = Customer(self.gateway, self.store)
        self.desk = Desk(self.gateway, self.store)
        for tenant in config.tenants:
            self.store.put_tenant(tenant)

    async def reset(self) -> None:
        """Forget conversations, logs, faults and what is on its way; tenants and keys stay."""
        await self.courier.close()
        self.faults.clear()
        self.store.clear()
        self.log.clear()
        self.signals.wake(RESET)

    async def settled(self, timeout: float) -> bool:
        """Wait until no webhook is on its way; False if that took longer than `timeout` seconds."""

        def look() -> bool | None:
            return True if self.courier.pending == 0 else None

        return await self.signals.until(SETTLED, look, timeout) is True

    async def close(self) -> None:
        """Stop sending."""
        await self.courier.close()
