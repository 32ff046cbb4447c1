"""A whole sandbox, put together."""

from collections.abc import Iterable

from app.sandbox.config import SandboxConfig, TenantConfig
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
        self._set: dict[str, TenantConfig] = {}
        self.set_tenants(config.tenants)

    def set_tenants(self, tenants: Iterable[TenantConfig]) -> None:
        """Have these tenants: new and changed ones are put, those that were set before and aren't any more go
        with their conversations. What was changed over REST stays where its tenant has not changed.
        """
        wanted = {tenant.tenant: tenant for tenant in tenants}
        for name in self._set.keys() - wanted.keys():
            self.store.drop_tenant(name)
        changed = [tenant for name, tenant in wanted.items() if self._set.get(name) != tenant]
        for tenant in changed:
            self.store.put_tenant(tenant)
        news = bool(changed) or self._set.keys() != wanted.keys()
        self._set = wanted
        if news:
            self.signals.wake(RESET)

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
