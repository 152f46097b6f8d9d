"""Serve: a page and JSON endpoints that say what is done in videos, skeletons and cameras.

Nothing of what is sent is kept: a video lies in a folder of this process's own, under a name of
its own, until it is answered. What other sites' pages ask is refused (see `serve_guard`).
"""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from skeldistill import __version__
from skeldistill.deploy import serve_routes
from skeldistill.deploy.serve_connections import patient
from skeldistill.deploy.serve_guard import Guard, Turns, names
from skeldistill.deploy.serve_live import Lives
from skeldistill.deploy.serve_page import headers
from skeldistill.deploy.serve_watching import Serving
from skeldistill.estimators.at_work import AtWork
from skeldistill.extras import require

CONNECTIONS = 64
"""Open at the same time; more are sent away."""

SILENCE = 10.0
"""Seconds after which a connection over which nothing is asked is closed."""

LOOK = 5.0
"""Seconds after which it is looked up whether a camera has fallen silent."""


def application(serving: Serving, *, hosts: tuple[str, ...] = names("127.0.0.1")) -> Any:
    """The application (ASGI) that a server runs.

    Args:
        serving: the networks, and who finds people for them.
        hosts: the names that it goes by, besides addresses.

    Raises:
        ValueError: FastAPI is not installed.
    """
    fastapi = require("fastapi", extra="serve")

    @asynccontextmanager
    async def alive(app: Any) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix="skeldistill-") as folder:
            app.state.folder, app.state.turns = Path(folder), Turns(serving.limits)
            app.state.lives, app.state.shares = Lives(serving), {}
            looking = asyncio.create_task(_let_go(app.state.lives))
            yield
            looking.cancel()
            app.state.lives.close()

    app = fastapi.FastAPI(
        title="skeldistill",
        version=__version__,
        description="Names actions in videos and skeletons. A network's answer is a guess; "
        "its confidence is not calibrated.",
        docs_url=None,  # its page would be fetched from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=alive,
    )
    app.add_middleware(Guard, hosts=hosts, headers=headers())
    for add in (
        serve_routes.add_refusals,
        serve_routes.add_page,
        serve_routes.add_skeletons,
        serve_routes.add_video,
        serve_routes.add_live,
    ):
        add(app, serving)
    return app


async def _let_go(lives: Lives) -> None:
    """Let silent cameras go, even if nobody begins another."""
    while True:
        await asyncio.sleep(LOOK)
        await asyncio.to_thread(lives.let_go)


def server(app: Any) -> Any:
    """The server (of uvicorn) that runs an application, with bounds on who is connected."""
    uvicorn = require("uvicorn", extra="serve")
    config = uvicorn.Config(
        app,
        http=patient(SILENCE),
        ws="none",
        log_level="warning",
        limit_concurrency=CONNECTIONS,
        server_header=False,
    )
    return uvicorn.Server(config)


def run(serving: Serving, host: str, port: int, say: Callable[[str], None]) -> None:
    """Listen until Ctrl-C.

    Args:
        serving: the networks, and who finds people for them.
        host: the address to listen on; 127.0.0.1 is heard on this computer alone.
        port: 0 takes a free one.
        say: told where the page is, once it is there.

    Raises:
        OSError, ValueError: one line, if the address is taken, or an estimator or package lacks.
    """
    require("uvicorn", extra="serve")
    app = application(serving, hosts=names(host))
    if serving.estimator is not None:
        AtWork(serving.estimator).close()  # what lacks is told now, not to the first video
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ValueError(
            f"cannot listen on {host}, port {port} ({error.strerror}); take another --port"
        ) from None
    with closing(listening):
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{listening.getsockname()[1]}")
        with suppress(KeyboardInterrupt):
            server(app).run(sockets=[listening])
