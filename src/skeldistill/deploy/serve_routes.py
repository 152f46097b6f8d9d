"""Routes: what can be asked of the server, and by whom it is answered.

Each function adds some routes to an application of FastAPI, which is imported when one is made.
"""

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from skeldistill.deploy.serve_answers import (
    Begun,
    Model,
    Progress,
    Recognised,
    Refusal,
    Seeing,
    Served,
    Watched,
    said,
)
from skeldistill.deploy.serve_asked import LiveBegin, LiveFrame, Skeletons
from skeldistill.deploy.serve_guard import Refused, Stop, body, pieces
from skeldistill.deploy.serve_live import MOST_PICTURE
from skeldistill.deploy.serve_page import page
from skeldistill.deploy.serve_skeletons import (
    MOST_FILE,
    clip,
    layout_called,
    parsed,
    picture_size,
    poses,
    skeletons,
)
from skeldistill.deploy.serve_watching import Serving, watch_clip, watch_video

REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Refusal, "description": "Refused, with the reason in one line"},
    503: {"model": Refusal, "description": "Too much to do; try again"},
}

MOST_WORDS = 10_000
"""Bytes of what begins a camera."""

Name = Annotated[str, Field(max_length=200, description="what the answer calls it; never a path")]
Ticket = Annotated[
    str | None,
    Field(pattern=r"^[\w-]{8,64}$", description="a name of yours, to ask /api/progress/ for it"),
]
Seconds = Annotated[
    float | None,
    Field(ge=0, le=1e7, allow_inf_nan=False, description="when it was taken, by your clock"),
]


def add_refusals(app: Any, serving: Serving) -> None:
    """Every refusal is one line."""
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.requests import ClientDisconnect

    async def refused(request: Request, error: Any) -> JSONResponse:
        return JSONResponse({"detail": " ".join(str(error).split())}, status_code=error.status)

    async def unfit(request: Request, error: Any) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:]))
        return JSONResponse({"detail": f"{place}: {first['msg']}"}, status_code=422)

    async def gone(request: Request, error: Any) -> JSONResponse:
        # nobody hears it; without an answer it would be told as a failure of the server
        return JSONResponse({"detail": "whoever sent this went away"}, status_code=499)

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(RequestValidationError, unfit)


def add_page(app: Any, serving: Serving) -> None:
    """The page, and what it asks first."""
    from fastapi.responses import HTMLResponse

    @app.get("/", include_in_schema=False)
    async def _page() -> HTMLResponse:
        return HTMLResponse(page())

    @app.get("/api/models")
    async def models() -> Served:
        """The networks that answer here, and what is taken."""
        finder = serving.estimator
        return Served(
            models=[Model.of(name, one) for name, one in serving.models.items()],
            estimator=None if finder is None else type(finder).__name__,
            most_megabytes=serving.limits.megabytes,
            most_seconds=serving.limits.seconds,
        )


def add_skeletons(app: Any, serving: Serving) -> None:
    """Clips of skeletons."""
    from fastapi import Request

    most = min(serving.limits.bytes, MOST_FILE)
    about = {
        "responses": REFUSALS,
        "openapi_extra": _body(
            **{
                "application/json": Skeletons.model_json_schema(),
                "application/zip": {
                    "type": "string",
                    "format": "binary",
                    "description": "a file of NumPy (.npz), its arrays called as the fields",
                },
            }
        ),
    }

    @app.post("/api/recognise", **about)
    async def recognise(request: Request) -> Recognised:
        """Name the one action of a clip of skeletons, by every network."""

        def work(content: bytes, stop: Stop) -> Recognised:
            sent, _ = _clip(content, serving)
            answers = said(serving.models.items(), sent, converting=serving.converting)
            return Recognised(models=answers)

        async with app.state.turns.inside():
            content = await body(request, most)
            return await app.state.turns.work(request, partial(work, content))

    @app.post("/api/skeletons", **about)
    async def follow(request: Request) -> Watched:
        """Say who does what from when to when in a clip of skeletons, as /api/video does."""

        def work(content: bytes, stop: Stop) -> Watched:
            sent, rate = _clip(content, serving)
            return watch_clip(serving, sent, rate, stop)

        async with app.state.turns.inside():
            content = await body(request, most)
            return await app.state.turns.work(request, partial(work, content))


def add_video(app: Any, serving: Serving) -> None:
    """Videos, and how far they have been watched."""
    from fastapi import Request

    binary = {"type": "string", "format": "binary", "description": "the file itself"}

    @app.post("/api/video", responses=REFUSALS, openapi_extra=_body(**{"video/*": binary}))
    async def watch(request: Request, name: Name = "video", ticket: Ticket = None) -> Watched:
        """Find the people in a video, and say who does what from when to when."""
        if serving.estimator is None:
            raise Refused(415, "no estimator finds people here; send skeletons to /api/skeletons")
        kind = request.headers.get("content-type", "")
        if kind.startswith("multipart/"):
            raise Refused(415, "send the file itself as the body, not a form (curl -T FILE)")
        shares: dict[str, float] = app.state.shares
        tell = partial(shares.__setitem__, ticket) if ticket else lambda share: None

        def work(stop: Stop) -> Watched:
            return watch_video(serving, Path(file.name), name, stop, tell)

        tell(0.0)  # whoever waits for a turn may ask, too
        try:
            async with app.state.turns.inside():
                with tempfile.NamedTemporaryFile(dir=app.state.folder) as file:
                    async for piece in pieces(request, serving.limits.bytes):
                        file.write(piece)
                    file.flush()
                    return await app.state.turns.work(request, work)
        finally:
            shares.pop(ticket or "", None)

    @app.get("/api/progress/{ticket}", responses=REFUSALS)
    async def progress(ticket: str) -> Progress:
        """How much of a video has been watched."""
        if ticket not in app.state.shares:
            raise Refused(404, "no video of that ticket is being watched")
        return Progress(share=round(app.state.shares[ticket], 4))


def add_live(app: Any, serving: Serving) -> None:
    """Cameras."""
    from fastapi import Request, Response

    frame = {
        "image/jpeg": {"type": "string", "format": "binary", "description": "or image/png"},
        "application/json": LiveFrame.model_json_schema(),
    }

    begun = {"application/json": LiveBegin.model_json_schema()}

    @app.post("/api/live", responses=REFUSALS, openapi_extra=_body(**begun))
    async def begin(request: Request) -> Begun:
        """Begin to watch a camera, whose frames are then sent one by one."""
        how = parsed(LiveBegin, await body(request, MOST_WORDS))
        if how.layout is None and serving.estimator is not None:
            return await asyncio.to_thread(app.state.lives.begin, None)
        layout = layout_called(how.layout) if how.layout else serving.layout
        return await asyncio.to_thread(app.state.lives.begin, layout)

    @app.post("/api/live/{live}", responses=REFUSALS, openapi_extra=_body(**frame))
    async def look(request: Request, live: str, seconds: Seconds = None) -> Seeing:
        """The next frame, as a picture or as skeletons: who is in it, and what they do."""
        camera = app.state.lives.find(live)
        content = await body(request, MOST_PICTURE)
        now = time.monotonic() if seconds is None else seconds

        def work() -> Seeing:
            if not camera.lock.acquire(blocking=False):
                raise Refused(429, "the last frame is still looked at; send one after the other")
            try:
                if not content.lstrip().startswith(b"{"):
                    return camera.look(content, now)
                sent = parsed(LiveFrame, content)
                return camera.take(poses(sent, camera.layout), picture_size(sent.size), now)
            finally:
                camera.lock.release()

        return await asyncio.to_thread(work)

    @app.delete("/api/live/{live}", status_code=204, responses=REFUSALS)
    async def end(live: str) -> Response:
        """Watch a camera no longer."""
        await asyncio.to_thread(app.state.lives.end, live)
        return Response(status_code=204)


def _clip(content: bytes, serving: Serving) -> tuple[Any, float]:
    """The clip that was sent, which every network can take."""
    sent = skeletons(content)
    made, rate = clip(sent, serving.layout, serving.limits)
    told = sent.units if isinstance(sent, Skeletons) else sent.get("units")
    serving.check(made.layout, made.joints.shape[-1], made.size, told)
    return made, rate


def _body(**kinds: dict[str, Any]) -> dict[str, Any]:
    content = {kind: {"schema": schema} for kind, schema in kinds.items()}
    return {"requestBody": {"required": True, "content": content}}
