"""Running: all clips or videos that were named, from the first frame to the files that were asked.

Files are written whole or not at all, but for what a camera tells: it cannot be had again, so it
is kept as it comes. Nothing is ever written onto a video that is read.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from skeldistill.deploy import outputs, overlay
from skeldistill.deploy.following import Moment
from skeldistill.deploy.overlay import Kept
from skeldistill.deploy.predict import BATCH, Action, Seen, Watching, trimmed
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.segments import Stretch
from skeldistill.deploy.sources import Filmed, Origin, Skeletons, Sources
from skeldistill.deploy.wanted import Wanted, check, check_growing, file_of, is_folder, unused
from skeldistill.deploy.watching_live import FrameByFrame, Now
from skeldistill.files import whole, write_text


@dataclass(frozen=True, kw_only=True)
class Telling:
    """Whom to tell of output, failures and warnings, and how far which clip is."""

    say: Callable[[str], None]
    failed: Callable[[str], None]
    warn: Callable[[str], None]
    watch: Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What came of a run: how many videos could not be read, and how many actions were found."""

    failures: int
    actions: int


def run(recogniser: Recogniser, sources: Sources, wanted: Wanted, telling: Telling) -> Ran:
    """Go through all sources, and write what was asked for.

    A video that cannot be read is told and left out if there are others. What is wrong in the call,
    or with the disk, is not a video's fault.

    Returns:
        What came of it.

    Raises:
        OSError, ValueError: one line; nothing is left half-written.
    """
    check(recogniser, sources, wanted)
    if sources.live:
        (origin,) = sources.each
        assert isinstance(origin, Filmed)
        if wanted.out is not None:
            name = outputs.file_name(origin.name)
            check_growing(file_of(wanted.out, name, wanted.format), wanted.format)
        return Ran(failures=0, actions=_follow(recogniser, origin, wanted, telling))
    failures = actions = 0
    with ExitStack() as stack:
        put = stack.enter_context(_output(wanted, telling.say))
        used: set[str] = set()
        for origin in sources.each:
            name = unused(outputs.file_name(origin.name), used)
            telling.watch(origin.name, 0.0)
            with closing(Kept()) as kept:
                try:
                    seen, found = _watched(recogniser, origin, wanted, telling, kept)
                except (OSError, ValueError) as error:
                    if isinstance(origin, Skeletons) or not sources.several:
                        raise
                    failures += 1
                    telling.failed(" ".join(str(error).split()))
                    continue
                if wanted.film is not None:
                    path = file_of(wanted.film, name, "mp4")
                    overlay.film(path, origin.pictures(), kept, found, seen)
            actions += len(found)
            put(name, found)
            telling.watch(origin.name, 1.0)
        if failures and failures == sources.about.num_clips:
            raise ValueError(f"none of the {failures} videos could be read")
    return Ran(failures=failures, actions=actions)


Put = Callable[[str, Sequence[Action]], None]
"""Takes the name of a clip's file and what was found in it."""


def _watched(
    recogniser: Recogniser, origin: Origin, wanted: Wanted, telling: Telling, kept: Kept
) -> tuple[Seen, list[Action]]:
    """What is known of a clip or video, and what was found in it; its people are kept to draw."""
    watch = partial(telling.watch, origin.name)
    with origin.frames(watch, telling.warn) as (seen, moments):
        if wanted.film is not None:
            moments = kept.watched(moments)
        if wanted.cut:
            times: list[float] = []
            clip = origin.gathered(_timed(moments, times), seen, recogniser.sampling.persons)
            converting = wanted.rules.converting
            return seen, [trimmed(recogniser, clip, times, rate=seen.rate, converting=converting)]
        return seen, _found(_watching(recogniser, wanted, seen), moments)


def _timed(moments: Iterator[Moment], times: list[float]) -> Iterator[Moment]:
    """The same frames, their times noted as they pass by."""
    for moment in moments:
        times.append(moment.time)
        yield moment


def _deaf(who: int | None, stretch: Stretch) -> None:
    """Nobody draws what the network says at the time."""


def _watching(
    recogniser: Recogniser,
    wanted: Wanted,
    seen: Seen,
    *,
    batch: int = BATCH,
    listen: Callable[[int | None, Stretch], None] = _deaf,
) -> Watching | FrameByFrame:
    if wanted.live:
        return FrameByFrame(recogniser, wanted.rules, seen, listen=listen)
    return Watching(recogniser, wanted.rules, seen, batch=batch, listen=listen)


def _found(watching: Watching | FrameByFrame, moments: Iterator[Moment]) -> list[Action]:
    found = [action for moment in moments for action in watching.push(moment)]
    return found + watching.finish()


def _follow(recogniser: Recogniser, origin: Filmed, wanted: Wanted, telling: Telling) -> int:
    """Watch a camera until it ends, or the time is over, or the user has seen enough (Ctrl-C).

    What is drawn is what the network says at the time; a camera cannot be seen twice. Where it
    breaks, what was going on ends, and all outputs are finished before the error is raised.

    Returns:
        How many actions were found.
    """
    name, actions = outputs.file_name(origin.name), 0
    broken: Exception | None = None
    with ExitStack() as stack:
        seen, frames = stack.enter_context(origin.pictured(lambda _: None, telling.warn))
        draw = now = None
        if wanted.film is not None:
            now = Now(recogniser, wanted.rules.hysteresis, seen)
            film = file_of(wanted.film, name, "mp4")
            draw = stack.enter_context(overlay.filming(film, seen))
        listen = _deaf if now is None else now.hear
        watching = _watching(recogniser, wanted, seen, batch=1, listen=listen)
        write = stack.enter_context(_growing(wanted, name, telling.say))

        latest = (time.time(), 0.0)  # when the last frame was looked at, and its own time

        def put(found: list[Action]) -> None:
            nonlocal actions
            actions += len(found)
            write(name, [outputs.LiveAction.seen(one, *latest) for one in found])

        try:
            try:
                for image, moment in frames:
                    if wanted.seconds is not None and moment.time >= wanted.seconds:
                        break
                    latest = (time.time(), moment.time)
                    put(watching.push(moment))
                    if draw is not None and now is not None:
                        draw(image, moment, now.shown(moment))
            finally:
                put(watching.finish())
        except KeyboardInterrupt:
            pass
        except Exception as error:  # of the stream, of an estimator, of a full disk
            broken = error
    if broken is not None:
        raise broken
    return actions


@contextmanager
def _output(wanted: Wanted, say: Callable[[str], None]) -> Iterator[Put]:
    """Takes what was found clip by clip, and brings it to where it belongs."""
    if wanted.out is None:
        yield _together(wanted, say)
    elif is_folder(wanted.out):
        folder = wanted.out

        def put(name: str, found: Sequence[Action]) -> None:
            path = file_of(folder, name, wanted.format)
            write_text(path, outputs.text(found, wanted.format))

        yield put
    else:
        with (
            whole(wanted.out) as partial,
            partial.open("w", encoding="utf-8", newline="") as file,
        ):
            yield _together(wanted, file.write)


@contextmanager
def _growing(wanted: Wanted, name: str, say: Callable[[str], None]) -> Iterator[Put]:
    """The same for a camera, whose file holds at any time all that has been told.

    What it told before it was started again stays there.
    """
    if wanted.out is None:
        yield _together(wanted, say, outputs.LiveAction)
        return
    path = file_of(wanted.out, name, wanted.format)
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.is_file() and path.stat().st_size > 0
    with path.open("a", encoding="utf-8", newline="", buffering=1) as file:  # flushed by line
        if begun and not _ends_a_line(path):
            file.write("\n")
        yield _together(wanted, file.write, outputs.LiveAction, begun=begun)


def _ends_a_line(path: Path) -> bool:
    """Whether a file that is not empty was not cut off in the middle of a line."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _together(
    wanted: Wanted,
    tell: Callable[[str], object],
    kind: type[Action] = Action,
    *,
    begun: bool = False,
) -> Put:
    """One text of everything, which may have begun already."""
    writer = outputs.FORMATS[wanted.format](kind)
    if writer.head and not begun:
        tell(writer.head)

    def put(name: str, found: Sequence[Action]) -> None:
        for action in outputs.ordered(found):
            tell(writer.write(action))

    return put
