"""Clients of the control API: one that waits, one for async code.

from app.sandbox import calls
with SandboxClient("http://127.0.0.1:8088") as sandbox:
    conversation = sandbox(calls.start())
    sandbox(calls.say(conversation.id, "Hello"))
    replies = sandbox(calls.messages(conversation.id, author="bot", timeout=5)).messages
"""

from types import TracebackType
from typing import TypeVar

import httpx
import msgspec

from app.sandbox.calls import Call
from app.tls import certificates

T = TypeVar("T")
MARGIN = 10.0
"""Seconds beyond a call's own waiting before the client gives up."""


class ControlError(Exception):
    """The sandbox refused a call: `status` and its `detail`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class SandboxClient:
    """Carries out calls. Raises ControlError when refused, httpx.HTTPError when there is no answer."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, verify=certificates(trust_env=False), trust_env=False)

    def __call__(self, call: Call[T]) -> T:
        return _answer(call, self._http.send(_request(self._http, call)))

    def __enter__(self) -> "SandboxClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncSandboxClient:
    """The same for async code: `await sandbox(call)`."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url, verify=certificates(trust_env=False), trust_env=False
        )

    async def __call__(self, call: Call[T]) -> T:
        return _answer(call, await self._http.send(_request(self._http, call)))

    async def __aenter__(self) -> "AsyncSandboxClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _request(http: httpx.Client | httpx.AsyncClient, call: Call[T]) -> httpx.Request:
    content = b"" if call.body is None else msgspec.json.encode(call.body)
    return http.build_request(
        call.method,
        call.path,
        params=call.query,
        content=content,
        headers={"content-type": "application/json"} if content else {},
        timeout=call.wait + MARGIN,
    )


def _answer(call: Call[T], response: httpx.Response) -> T:
    if response.is_success:
        return msgspec.json.decode(response.content, type=call.answer)
    try:
        detail = str(response.json().get("detail", response.text))
    except ValueError:
        detail = response.text
    raise ControlError(response.status_code, detail)
