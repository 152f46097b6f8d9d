"""Guard: who may ask, how much they may send, and how much is worked on at once."""

import asyncio
import ipaddress
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

PATIENCE = 300.0
"""Seconds in which what is sent has to arrive."""

SILENCE = 30.0
"""Seconds in which something of it has to arrive."""

WORK = 900.0
"""Seconds after which a video is given up, at least; see `Limits.work`."""

SLOWEST = 7.5
"""Seconds of work on a second of video that are waited for."""

LOOK = 0.5
"""Seconds after which it is looked up whether somebody still waits for the answer."""

LOCAL = ("127.0.0.1", "localhost", "::1")

T = TypeVar("T")


class Refused(ValueError):
    """A request that is not answered: its status (4xx or 503), and why in one line."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is taken.

    Args:
        megabytes: of a file, at most.
        seconds: of a video or clip, at most.
        at_once: videos and clips that are worked on at the same time.
        waiting: that may wait for their turn; more are sent away.
        cameras: that are watched at the same time.

    Raises:
        ValueError: one of them allows nothing.
    """

    megabytes: float = 200.0
    seconds: float = 120.0
    at_once: int = 2
    waiting: int = 8
    cameras: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.megabytes <= 100_000:
            raise ValueError(f"--max-mb is {self.megabytes}; give megabytes, more than 0")
        if not 0 < self.seconds <= 3600:
            raise ValueError(f"--max-seconds is {self.seconds}; give more than 0, at most 3600")
        if min(self.at_once, self.cameras) < 1 or self.waiting < 0:
            raise ValueError("one request at least must be worked on at once")

    @property
    def bytes(self) -> int:
        """The megabytes as bytes."""
        return int(self.megabytes * 1e6)

    @property
    def work(self) -> float:
        """Seconds after which a video is given up: longer, where longer ones are taken."""
        return max(WORK, SLOWEST * self.seconds)


@dataclass(eq=False)
class Stop:
    """Tells work in another thread that nobody waits for it any more, or that it took too long.

    most: seconds that it may take.
    """

    most: float = WORK
    begun: float = field(default_factory=time.monotonic)
    event: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Called now and then by the work.

        Raises:
            Refused: it is to be given up.
        """
        if self.event.is_set():
            raise Refused(499, "nobody waits for the answer any more")
        if time.monotonic() - self.begun > self.most:
            minutes = f"{self.most / 60:.0f} minutes"
            raise Refused(503, f"this took more than {minutes}; cut it, or take a smaller video")


class Turns:
    """Who is inside, some at work in threads, some waiting; whoever comes then is sent away."""

    def __init__(self, limits: Limits) -> None:
        self._free = asyncio.Semaphore(limits.at_once)
        self._inside, self._most = 0, limits.at_once + limits.waiting
        self._work = limits.work

    @asynccontextmanager
    async def inside(self) -> AsyncIterator[None]:
        """Around all that is done for a request, from reading what is sent.

        Raises:
            Refused: there are too many already.
        """
        if self._inside >= self._most:
            raise Refused(503, "too much is being worked on; try again in a moment")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def work(self, request: Any, do: Callable[[Stop], T]) -> T:
        """Do it in a thread when its turn comes; it is told to stop if the asker goes away."""
        async with self._free:
            stop = Stop(most=self._work)
            task = asyncio.create_task(asyncio.to_thread(do, stop))
            try:
                while not task.done():
                    await asyncio.wait([task], timeout=LOOK)
                    if not task.done() and await request.is_disconnected():
                        stop.event.set()
            finally:
                stop.event.set()
            return task.result()


async def pieces(request: Any, most: int) -> AsyncIterator[bytes]:
    """What is sent, piece by piece, never more than `most` bytes.

    Raises:
        Refused: it is larger (413), empty (400), or does not come (408).
    """
    too_large = Refused(413, f"that is larger than {most / 1e6:g} MB, the most that is taken here")
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise too_large
    count = 0
    try:
        async with asyncio.timeout(PATIENCE), asyncio.timeout(SILENCE) as silence:
            async for piece in request.stream():
                silence.reschedule(asyncio.get_running_loop().time() + SILENCE)
                count += len(piece)
                if count > most:
                    raise too_large
                yield piece
    except TimeoutError:
        raise Refused(
            408, f"nothing came for {SILENCE:.0f} seconds, or not all within {PATIENCE:.0f}"
        ) from None
    if not count:
        raise Refused(400, "nothing was sent; send the file itself as the body of the request")


async def body(request: Any, most: int) -> bytes:
    """All that is sent, as `pieces`."""
    return b"".join([piece async for piece in pieces(request, most)])


class Guard:
    """Lets in only who asks for this server by its own name, from its own page or no page.

    A page of another site can make a browser ask any address, this computer's included, and a
    name that its owner points to this computer makes the answers readable there. Both tell their
    site's name, in Origin and in Host. Addresses (192.168.1.5) belong to nobody who could point
    them elsewhere: whoever asks by one has come to this server.

    Args:
        app: what is guarded (ASGI).
        hosts: the names that this server goes by, besides addresses.
        headers: that every answer bears.
    """

    def __init__(self, app: Any, hosts: Collection[str], headers: dict[str, str]) -> None:
        self._app, self._hosts = app, hosts
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, or refuse with 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await send(message)

        why = self._refusal(dict(scope["headers"]))
        if why is None:
            await self._app(scope, receive, told)
            return
        head = [(b"content-type", b"application/json")]
        await told({"type": "http.response.start", "status": 403, "headers": head})
        await send({"type": "http.response.body", "body": b'{"detail":"%s"}' % why.encode()})

    def _refusal(self, headers: dict[bytes, bytes]) -> str | None:
        host = headers.get(b"host", b"").decode("latin-1")
        name = _name(f"//{host}")
        if name not in self._hosts and not _is_address(name):
            return "this server does not go by that name; ask it by its address"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            return "only the page of this server itself may ask it"
        return None


def names(host: str) -> tuple[str, ...]:
    """By which names a server that listens on `host` goes, besides addresses."""
    if host in LOCAL:
        return ("localhost",)
    own = socket.gethostname().lower()
    known = ("localhost", host.lower(), own, f"{own.partition('.')[0]}.local")
    return tuple(dict.fromkeys(name for name in known if name))


@contextmanager
def in_one_line(name: str, hidden: Path | None = None) -> Iterator[None]:
    """Refuse (422) what troubles an estimator, a file or a network, told in one line.

    Args:
        name: of what is looked at, with which the line begins.
        hidden: a file that whoever asks does not know of.
    """
    try:
        yield
    except Refused:
        raise
    except (ValueError, OSError) as error:
        told = str(error) if hidden is None else str(error).replace(f"{hidden}: ", "")
        line = " ".join(told.split())
        raise Refused(422, f"{name}: {without_paths(line)}") from None


def without_paths(line: str) -> str:
    """A line that tells nothing of where things are on this computer."""
    return re.sub(r"(?:\bfile:|(?<![\w.:/]))/(?:[^\s/:'\"]+/)*[^\s:'\",;)]+", "(a file)", line)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # half an IPv6 address, for example
        return ""
