"""The newest of what a thread goes through, its errors, and its end."""

import threading

import pytest

from skeldistill.deploy import newest
from skeldistill.deploy.newest import Newest, Pace


class Gated:
    """Items that come when the test lets them."""

    def __init__(self, *items):
        self._items, self.released = iter(items), threading.Event()
        self._open = threading.Semaphore(0)

    def __iter__(self):
        return self

    def __next__(self):
        self._open.acquire()
        item = next(self._items)
        if isinstance(item, BaseException):
            raise item
        return item

    def let(self, count):
        self._open.release(count)


def test_the_newest_takes_the_place_of_those_before():
    gated = Gated(1, 2, 3, 4)
    taken = Newest(iter(gated), gated.released.set)
    gated.let(1)
    assert next(taken) == 1
    gated.let(4)  # the last finds that there is no more
    taken.thread.join()
    assert list(taken) == [4]
    assert gated.released.is_set()


def test_an_error_of_the_thread_comes_after_what_was_there():
    gated = Gated(1, 2, ValueError("the cable"))
    taken = Newest(iter(gated), gated.released.set)
    gated.let(3)
    taken.thread.join()
    assert next(taken) == 2
    with pytest.raises(ValueError, match="the cable"):
        next(taken)
    assert list(taken) == []


def test_a_thread_ends_when_nobody_wants_more():
    gated = Gated(*range(9))
    taken = Newest(iter(gated), gated.released.set)
    gated.let(1)
    assert next(taken) == 0
    closing = threading.Timer(0.0, gated.let, (1,))
    closing.start()
    taken.close()
    taken.thread.join()
    assert gated.released.is_set()
    closing.join()


def test_closing_does_not_wait_for_a_silent_camera(monkeypatch):
    monkeypatch.setattr(newest, "LINGER", 0.01)
    gated = Gated(1, 2)
    taken = Newest(iter(gated), gated.released.set)
    taken.close()
    assert taken.thread.is_alive()
    assert taken.thread.daemon
    assert not gated.released.is_set()  # it is in use yet
    gated.let(1)
    taken.thread.join()
    assert gated.released.is_set()


@pytest.mark.parametrize(
    ("every", "said"),
    [(6, ["about 5 of 30 frames a second are looked at"]), (1, [])],
)
def test_it_is_said_once_that_frames_are_left_out(every, said):
    pace = Pace()
    lines = [pace.told(number / 30, number) for number in range(0, 900, every)]
    told = [line for line in lines if line]
    assert [line.split(",")[0] for line in told] == said


def test_frames_that_came_at_once_at_the_beginning_do_not_count():
    pace = Pace()
    numbers = [0, *range(100, 400)]
    assert not any(pace.told(number / 30, number) for number in numbers)
