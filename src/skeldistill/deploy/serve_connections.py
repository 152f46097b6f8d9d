"""Connections: those whose other end says nothing are let go, so that there is room for others."""

import asyncio
from typing import Any


def patient(seconds: float) -> Any:
    """The protocol (of uvicorn) that hangs up on whoever asks for nothing in so many seconds.

    What is waited for is the whole head of a request, however many pieces it comes in, or the end
    of one that was refused before all of it had come. While an answer is made nobody is hurried.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._look()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._forget()

        def _look(self) -> None:
            if self.cycle is not None and not self.cycle.response_complete:
                self._forget()
            elif self._waiting is None:
                self._waiting = self.loop.call_later(seconds, self.transport.close)

        def _forget(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

    return Patient
