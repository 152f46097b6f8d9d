"""Networks frame by frame: equal to the whole clip, whoever starts, ends and resets when."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_networks import made, seasoned
from torch import Tensor, nn

from skeldistill import networks, readers
from skeldistill.cost import multiply_adds, parameters
from skeldistill.deploy.streaming import Stream
from skeldistill.deploy.streaming_step import LastFrames, SinceStart, StreamingStep
from skeldistill.layouts import JHMDB15, NTU25, PENN13
from skeldistill.networks import Network
from skeldistill.networks.livegcn import movements
from skeldistill.networks.shiftgcn import TemporalShift
from skeldistill.networks.through_time import (
    ENDLESS,
    Chunk,
    Passage,
    Timing,
    Together,
    added,
    existing,
    path,
)
from skeldistill.prediction import Prediction


def runs_frame_by_frame(name: str) -> bool:
    try:
        made(name).through_time()
    except ValueError:
        return False
    return True


STREAMING = [name for name in networks.SHELF if runs_frame_by_frame(name)]
WHOLE = [name for name in networks.SHELF if name not in STREAMING]
streaming = pytest.mark.parametrize("name", STREAMING)


def exact(name: str) -> Network:
    """A network of the shelf with weights of every kind, in double precision.

    Its layers, unlike the network itself, may be shown any number of frames.
    """
    torch.manual_seed(0)
    network = seasoned(made(name)).double().eval()
    network.frame_counts = Network.frame_counts
    return network


def clips_of(network: Network, t: int, n: int = 2) -> Tensor:
    """Clips in which somebody is not there all the time."""
    shape = (n, network.persons, t, network.layout.num_joints, network.channels)
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(t)).double()
    clips[0, -1, t // 2 :] = 0
    clips[-1, 0, : t // 3] = 0
    return clips


def pushed(stream: Stream, clips: Tensor) -> list[Prediction | None]:
    return [stream.push(clips[:, :, i]) for i in range(clips.shape[2])]


@torch.no_grad()
def whole(network: Network, clips: Tensor) -> Prediction:
    return network(clips)


def assert_same(ours: Prediction, theirs: Prediction, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=tolerance, atol=tolerance)
    scale = theirs.features.abs().max().clamp(min=1)
    torch.testing.assert_close(
        ours.features / scale, theirs.features / scale, rtol=tolerance, atol=tolerance
    )
    assert torch.equal(ours.present, theirs.present)


# ---------------------------------------------------------------- laws of every network


def test_the_networks_that_must_run_frame_by_frame_do():
    assert {
        "STGCN",
        "STsGCN",
        "ST2sGCN",
        "LiveGCN",
        "STGCNpp",
        "ResGCNB19",
        "ShiftGCN",
        "MSG3D",
        "ResTCN",
        "DeepLSTM",
    } <= (set(STREAMING))


@pytest.mark.parametrize("name", WHOLE)
def test_a_network_that_cannot_says_so_in_one_line(name):
    with pytest.raises(ValueError, match=rf"{name} cannot run frame by frame") as error:
        Stream(made(name))
    assert "\n" not in str(error.value)


@streaming
def test_equal_to_the_whole_clip(name):
    network = exact(name)
    stream = Stream(network)
    for t in (1, 6, 21):
        clips = clips_of(network, t)
        said = pushed(stream, clips)
        assert [one is None for one in said] == [i < stream.delay for i in range(t)]
        assert_same(stream.finish(), whole(network, clips))


@pytest.mark.parametrize("name", ["STGCN", "ShiftGCN", "MSG3D", "LiveGCN"])
def test_equal_in_single_precision(name):
    network = exact(name).float()
    clips = clips_of(network, 90).float()
    stream = Stream(network)
    pushed(stream, clips)
    assert_same(stream.finish(), whole(network, clips), 1e-5)


@streaming
def test_says_on_the_way_what_is_known(name):
    network = exact(name)
    stream, stride = Stream(network), network.temporal_stride
    t = stream.delay + 3 * stride
    clips = clips_of(network, t)
    said, features = pushed(stream, clips), whole(network, clips).features
    for i in range(stream.delay, t):
        newest = (i - stream.delay) // stride
        known = features[:, :, :, : newest + 1]
        logits = network.classifier(known.mean(dim=(1, 3, 4))).detach()
        torch.testing.assert_close(said[i].logits, logits, rtol=1e-9, atol=1e-9)
        scale = features.abs().max()
        torch.testing.assert_close(
            said[i].features / scale, known[:, :, :, -1:] / scale, rtol=1e-9, atol=1e-9
        )
        stands_for = clips[:, :, newest * stride : (newest + 1) * stride]
        present = (stands_for != 0).flatten(2).any(dim=2, keepdim=True)
        if clips.shape[2] >= (newest + 1) * stride:
            assert torch.equal(said[i].present, present)


@streaming
def test_delay_and_receptive_field_are_what_a_feature_really_sees(name):
    network = exact(name)
    step = StreamingStep(network)
    everything = step.receptive_field == ENDLESS
    middle = 5 if everything else -(-step.receptive_field // network.temporal_stride)
    clips = clips_of(network, 2 * middle * network.temporal_stride, n=1).requires_grad_()
    network(clips).features[:, :, :, middle].sum().backward()
    assert clips.grad is not None
    seen = clips.grad.abs().amax(dim=(0, 1, 3, 4)).nonzero().flatten()
    first, last = int(seen[0]), int(seen[-1])
    now = middle * network.temporal_stride
    assert last - now <= step.delay
    if everything:
        assert (first, last) == (0, now)
        return
    assert last - first + 1 <= step.receptive_field
    if name != "STGCNpp":  # where a sixth of 8 channels may be dead
        assert (last - now, last - first + 1) == (step.delay, step.receptive_field)


# ---------------------------------------------------------------- tracks, windows, ends


@pytest.fixture(scope="module")
def network() -> Network:
    return exact("LiveGCN")


@pytest.mark.parametrize("window", [None, 10])
@pytest.mark.parametrize("name", ["LiveGCN", "ShiftGCN", "MSG3D", "ResTCN", "DeepLSTM"])
def test_tracks_begin_and_end_when_they_like(name, window):
    network = exact(name)
    clips = clips_of(network, 190, n=3)
    stream = Stream(network, window)

    def expected(row: int, first: int, end: int) -> Prediction:
        said = whole(network, clips[row : row + 1, :, first:end])
        if window is None:
            return said
        kept = -(-window // network.temporal_stride)
        features, present = said.features[:, :, :, -kept:], said.present[:, :, -kept:]
        logits = network.classifier(features.mean(dim=(1, 3, 4))).detach()
        return Prediction(logits, features, present)

    for i in range(190):
        if i == 7:
            stream.reset([1])
        if i == 100:
            assert_same(stream.finish([1]), expected(1, 7, 100))
            said = stream.push(clips[:, :, i])
            assert said is not None
            assert said.logits[1].any() == (stream.delay == 0)
            assert said.present[1].any() == (stream.delay == 0)
            assert said.logits[0].any()
            continue
        stream.push(clips[:, :, i])
    said = stream.finish()
    for row, first in enumerate((0, 100, 0)):
        own = expected(row, first, 190)
        t = own.features.shape[3]
        mine = Prediction(
            said.logits[row : row + 1],
            said.features[row : row + 1, :, :, :t],
            said.present[row : row + 1, :, :t],
        )
        assert_same(mine, own)
        assert not said.features[row, :, :, t:].any()
        assert not said.present[row, :, t:].any()


def test_a_stream_begins_anew_after_its_end_with_any_number_of_tracks(network):
    stream = Stream(network)
    for n, t in ((2, 9), (1, 14), (3, 4)):
        clips = clips_of(network, t, n)
        pushed(stream, clips)
        assert_same(stream.finish(), whole(network, clips))
    pushed(stream, clips_of(network, 5, 1))
    stream.reset()
    clips = clips_of(network, 12, 2)
    pushed(stream, clips)
    assert_same(stream.finish(), whole(network, clips))


def test_tracks_are_answered_in_the_order_in_which_they_are_named(network):
    clips = clips_of(network, 13, n=3)
    stream = Stream(network)
    pushed(stream, clips)
    said = stream.finish([2, 0, 2])
    assert_same(said, whole(network, clips).rows(torch.tensor([2, 0])))
    stream.reset()
    pushed(stream, clips)
    said = stream.finish([1, 2, 0])
    assert_same(said, whole(network, clips).rows(torch.tensor([1, 2, 0])))


def test_without_features_memory_does_not_grow(network):
    clips = clips_of(network, 90)
    stream = Stream(network, features=False)
    pushed(stream, clips[:, :, :60])
    before = [part.shape for part in stream._state]
    pushed(stream, clips[:, :, 60:])
    assert [part.shape for part in stream._state] == before
    assert all(len(past.maps) == 1 and not past.seen for past in stream._past)
    said, expected = stream.finish(), whole(network, clips)
    torch.testing.assert_close(said.logits, expected.logits)
    torch.testing.assert_close(said.features, expected.features[:, :, :, -1:])


def test_earlier_answers_do_not_change(network):
    clips = clips_of(network, 80)
    stream = Stream(network)
    said = pushed(stream, clips[:, :, :60])[-1]
    assert said is not None
    kept = [part.clone() for part in said[:3]]
    stream.reset([0])
    pushed(stream, clips[:, :, 60:])
    for now, before in zip(said[:3], kept, strict=True):
        assert torch.equal(now, before)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda stream, frame: stream.push(frame[:, :1]), r"expects a frame of shape .* got shape"),
        (lambda stream, frame: stream.push(frame[:1]), "has 2 tracks, got a frame of 1"),
        (lambda stream, frame: stream.reset([2]), "there are 2 tracks"),
        (lambda stream, frame: stream.finish([-1]), "there are 2 tracks"),
        (lambda stream, frame: (stream.reset([1]), stream.finish()), "without frames"),
        (lambda stream, frame: (stream.reset(), stream.finish()), "without frames"),
        (lambda stream, frame: Stream(stream.step.network, 0), "window must be at least 1"),
    ],
)
def test_a_mistake_is_one_clear_line(network, act, words):
    stream = Stream(network)
    frame = clips_of(network, 1)[:, :, 0]
    stream.push(frame)
    with pytest.raises(ValueError, match=words) as error:
        act(stream, frame)
    assert "\n" not in str(error.value)


def test_a_real_clip(real_data):
    source = real_data("jhmdb/jhmdb14_mediapipe15.pkl")
    clip = next(iter(readers.find("pyskl", layout="jhmdb15").read(source)))
    joints = np.concatenate([clip.joints, clip.scores[..., None]], axis=-1)[:1]
    joints[..., :2] = (joints[..., :2] - joints[..., :2].mean()) / joints[..., :2].std()
    clips = torch.from_numpy(joints[None].astype(np.float32))
    for name in ("STGCN", "LiveGCN"):
        network = made(name, JHMDB15, persons=1, classes=14, width=0.5).eval()
        stream = Stream(network)
        pushed(stream, clips)
        assert_same(stream.finish(), whole(network, clips), 1e-5)


# ---------------------------------------------------------------- one step


def test_a_step_changes_nothing_but_what_it_returns(network):
    step = StreamingStep(network)
    state = step.start(2)
    kept = [part.clone() for part in state]
    frames = clips_of(network, step.frames)
    with torch.no_grad():
        first, after = step(frames, state)
        again, _ = step(frames, state)
    assert len(state) == len(after) == len(step.state_names)
    for old, part, new in zip(kept, state, after, strict=True):
        assert torch.equal(old, part)
        assert (new.shape, new.dtype) == (old.shape, old.dtype)
        assert len(new) == 2
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)


def test_steady_steps_say_the_same(network):
    step = StreamingStep(network)
    clips = clips_of(network, step.frames * (step.warm + 3))
    state = step.start(2)
    with torch.no_grad():
        for number, frames in enumerate(clips.split(step.frames, dim=2)):
            said, after = step(frames, state)
            if number >= step.warm:
                steady, _ = step(frames, state, steady=True)
                for one, other in zip(said, steady, strict=True):
                    assert torch.equal(one, other)
            state = after


def test_a_running_mean_stays_exact():
    drawn = torch.randn(2000, 1, 1, 3, generator=torch.Generator().manual_seed(0)) + 100
    for pooling, last in ((SinceStart(), 2000), (LastFrames(7), 7)):
        kept, mean = pooling.start(drawn[0]), drawn[0]
        for i, x in enumerate(drawn):
            count, exists = torch.tensor([i + 1]), torch.ones(1, dtype=torch.bool)
            kept, mean = pooling.add(kept, x, count, exists)
        expected = drawn[-last:].double().mean(dim=0).float()
        torch.testing.assert_close(mean, expected, rtol=3e-6, atol=0)


# ---------------------------------------------------------------- layers


layers = st.sampled_from(["conv", "apart", "strided", "point", "largest", "grouped", "relu"])


def layer(kind: str) -> nn.Module:
    return {
        "conv": nn.Conv2d(4, 4, (5, 1), padding=(2, 0)),
        "apart": nn.Conv2d(4, 4, (3, 1), padding=(3, 0), dilation=(3, 1)),
        "strided": nn.Conv2d(4, 4, (5, 1), (2, 1), (2, 0)),
        "point": nn.Conv2d(4, 4, 1, (2, 1)),
        "largest": nn.MaxPool2d((3, 1), (1, 1), (1, 0)),
        "grouped": nn.Conv2d(4, 4, (3, 1), (2, 1), (1, 0), groups=4),
        "relu": nn.ReLU(),
    }[kind].double()


class Beside(nn.Module):
    """Two sequences of layers, added."""

    def __init__(self, kinds: list[str]) -> None:
        super().__init__()
        self.one = nn.Sequential(*(layer(kind) for kind in kinds))
        stride = 2 ** sum(kind in ("strided", "point", "grouped") for kind in kinds)
        self.other = nn.Conv2d(4, 4, 1, (stride, 1)).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) + self.other(x)

    def through_time(self) -> Together:
        return Together(path(self.one), path(self.other), combine=added)


@settings(max_examples=15, deadline=None)
@given(
    kinds=st.lists(st.lists(layers, min_size=1, max_size=2), min_size=1, max_size=3),
    t=st.integers(1, 40),
    phase=st.integers(0, 7),
)
@torch.no_grad()
def test_any_chain_of_layers_is_equal_to_the_whole(kinds, t, phase):
    torch.manual_seed(0)
    module = nn.Sequential(*(Beside(some) for some in kinds))
    flat = [kind for some in kinds for kind in some]
    stride = 2 ** sum(kind in ("strided", "point", "grouped") for kind in flat)
    phase %= stride
    x = torch.randn(2, 4, t, 3).double()
    expected = module(x)
    way, length = path(module), torch.tensor([t])
    padded = nn.functional.pad(x, (0, 0, phase, 8 * stride + 200))
    past, ends = None, []
    for number, frames in enumerate(padded.split(stride, dim=2)):
        if frames.shape[2] < stride:
            break
        position = torch.tensor([number])
        passage = Passage(past, position, length)
        if past is None:  # the first step begins with what layers hold before any frame
            way(Chunk(frames, Timing(frames=stride, lag=phase)), passage)
            passage = Passage(passage.initial, position, length)
        end = way(Chunk(frames, Timing(frames=stride, lag=phase)), passage)
        past = passage.kept
        if existing(position, length, end.timing).all():
            ends.append(end.x)
    torch.testing.assert_close(torch.cat(ends, dim=2), expected)


def test_which_frames_exist_by_hand():
    timing = Timing(frames=2, lag=3, stride=2)
    exist = existing(torch.tensor([0, 2, 3, 9]), torch.tensor([ENDLESS, ENDLESS, 7, 7]), timing)
    # first frames -3, 1, 3, 15 of which a clip of 7 has 0 to 3 (at 0, 2, 4 and 6)
    assert exist.tolist() == [[False, False], [True, True], [True, False], [False, False]]


def test_what_cannot_be_streamed_is_one_clear_line():
    with pytest.raises(ValueError, match="changes the number of frames; pad with 2 to"):
        path(nn.Conv2d(1, 1, (5, 1)))
    with pytest.raises(ValueError, match="LSTM does not say how it treats time"):
        path(nn.Sequential(nn.LSTM(2, 2)))


# ---------------------------------------------------------------- ShiftGCN


def shifts(network: Network) -> list[tuple[TemporalShift, int]]:
    """All shifts over time, and how many frames of the clip are one of theirs."""
    found, stride = [], 1
    for module in network.modules():
        if isinstance(module, TemporalShift):
            found.append((module, stride))
            stride *= module.stride
    return found


@pytest.mark.parametrize(
    ("least", "most"),
    [(0.0, 0.0), (-1.0, 2.0), (1.2, 3.7), (-4.4, -2.6), (-0.5, 0.4)],
    ids=["nowhere", "whole frames", "later", "earlier", "both ways"],
)
@torch.no_grad()
def test_a_stream_sees_as_far_as_the_shifts_have_learned_to_reach(least, most):
    network = exact("ShiftGCN")
    delay = 0
    for shift, stride in shifts(network):
        shift.position.uniform_(least, most)
        shift.position[:2] = torch.tensor([least, most])
        delay += stride * max(0, math.ceil(most + (0.5 if shift.stride > 1 else 0)))
    stream = Stream(network)
    assert stream.delay == max(delay, network.temporal_stride - 1)
    for t in (1, 7, 30):
        clips = clips_of(network, t)
        pushed(stream, clips)
        assert_same(stream.finish(), whole(network, clips))


@torch.no_grad()
def test_a_stream_keeps_the_shifts_that_it_was_made_with():
    network = exact("ShiftGCN")
    clips = clips_of(network, 9)
    before, stream = whole(network, clips), Stream(network)
    for shift, _ in shifts(network):
        shift.position.mul_(3)
    pushed(stream, clips)
    assert_same(stream.finish(), before)
    assert Stream(network).delay > stream.delay


def test_a_stream_may_end_after_any_frame_where_whole_clips_may_not():
    network = made("ShiftGCN").eval()
    clips = clips_of(network, 6).float()
    with pytest.raises(ValueError, match="needs a multiple of 4 frames, got 6"):
        network(clips)
    stream = Stream(network)
    pushed(stream, clips)
    assert stream.finish().features.shape[3] == 2


# ---------------------------------------------------------------- LiveGCN


def test_movements_and_bones_of_joints_that_were_not_found_are_none():
    network = networks.LiveGCN(PENN13, classes=2, persons=1)
    joints = torch.randn(1, 1, 3, 13, 3)
    wrist, elbow = PENN13.index("left_wrist"), PENN13.index("left_elbow")
    joints[:, :, 1, elbow] = 0
    x = joints.flatten(0, 1).permute(0, 3, 1, 2)
    bones = network._joints_and_bones(x)[:, 3:]
    torch.testing.assert_close(
        bones[0, :, 0, wrist], (joints[..., 0, wrist, :] - joints[..., 0, elbow, :])[0, 0]
    )
    assert not bones[0, :, 1, wrist].any()
    assert not bones[0, :, 1, elbow].any()
    moved = movements(nn.functional.pad(x, (0, 0, 1, 0)))
    assert not moved[0, :, 0].any()
    assert not moved[0, :, 1:, elbow].any()
    torch.testing.assert_close(moved[0, :, 1, wrist], x[0, :, 1, wrist] - x[0, :, 0, wrist])


@pytest.mark.parametrize("reach", [2, 4, 6])
def test_the_delay_of_the_small_student_is_a_choice(reach):
    network = made("LiveGCN", reach=reach).double().eval()
    stream = Stream(network)
    assert stream.delay == 12 * reach
    clips = clips_of(network, 11)
    pushed(stream, clips)
    assert_same(stream.finish(), whole(network, clips))


def test_an_odd_reach_is_refused():
    with pytest.raises(ValueError, match="reach must be an even number of frames, at least 2"):
        made("LiveGCN", reach=3)


def test_the_small_student_is_small():
    small, full = (made(name, NTU25, width=1.0, classes=60) for name in ("LiveGCN", "STGCN"))
    assert parameters(small) <= 300_000
    assert 10 * multiply_adds(small, 32) <= multiply_adds(full, 32)
