"""Batches: both views of the same clips, at the same moments, and nothing where there is none."""

import numpy as np
import pytest
import torch
from stores import named, small_store

from skeldistill.data.dataset import Examples, Side, _paired_order
from skeldistill.data.pairing import SOLITARY, training_clips
from skeldistill.data.store import Store, StoreWriter
from skeldistill.layouts import COCO17, PENN13
from skeldistill.readers import Source
from skeldistill.recipe import Data, Fold, Part, Sampling, View


@pytest.fixture
def views(tmp_path):
    low = small_store(tmp_path / "low.arrow", named(30, "train") + named(3, "test", 30))
    high = small_store(tmp_path / "high.arrow", named(20, "train") + named(3, "test", 30), seed=1)
    return high, low


def examples(views, sampling=None, **changes):
    high, low = views
    sampling = sampling or Sampling(frames=8, rotation=20.0)
    clips = training_clips(low, high, Fold(), Data(high=View(store="unused")))
    sides = {"student": Side(store=low, sampling=sampling)}
    sides |= {"teacher": Side(store=high, sampling=sampling)}
    return Examples(clips=clips, **{**sides, **changes})


def test_clips_that_cannot_be_placed_in_an_image_are_told_before_training(tmp_path):
    image = Sampling(frames=8, normalisation="image")
    clips = named(4, "train") + named(1, "test", 4)
    sized = small_store(tmp_path / "sized.arrow", clips, size=(480, 640))
    unsized = small_store(tmp_path / "unsized.arrow", clips)
    metres = tmp_path / "metres.arrow"
    with StoreWriter(metres, Source(layout=PENN13, channels=2, units="metres")) as writer:
        for row in range(len(sized)):
            writer.write(sized.clip(row))
    examples((sized, sized), image)
    for views in ((unsized, sized), (sized, unsized)):
        with pytest.raises(ValueError, match=r"unsized.arrow has clips without .* size=\[height"):
            examples(views, image)
    with pytest.raises(ValueError, match=r"metres.arrow is in metres, and images are measured in"):
        examples((sized, Store.open(metres)), image)


def test_matches_are_the_same_clips_and_the_rest_has_none(views):
    for batch in examples(views).training(8, seed=0, epoch=0):
        assert batch.joints.shape == (len(batch.labels), 1, 8, 13, 3)
        assert batch.matched.sum() == len(batch.teacher_joints)
        solitary = batch.clips[~batch.matched]
        assert (solitary >= 20).all()


def test_an_epoch_shows_every_clip_once_and_depends_on_seed_and_epoch_alone(views):
    made = examples(views)
    seen = [batch.clips for batch in made.training(8, seed=3, epoch=5)]
    assert sorted(torch.cat(seen).tolist()) == list(range(30))
    again = list(made.training(8, seed=3, epoch=5))
    for a, b in zip(made.training(8, seed=3, epoch=5), again, strict=True):
        torch.testing.assert_close(a.joints, b.joints, rtol=0, atol=0)
        torch.testing.assert_close(a.teacher_joints, b.teacher_joints, rtol=0, atol=0)
    other = [batch.clips for batch in made.training(8, seed=3, epoch=6)]
    assert torch.cat(seen).tolist() != torch.cat(other).tolist()


def test_a_tiny_last_batch_is_left_out(views):
    sizes = [len(batch.labels) for batch in examples(views).training(9, seed=0, epoch=0)]
    assert sizes == [9, 9, 9]
    assert [len(b.labels) for b in examples(views).training(100, seed=0, epoch=0)] == [30]


def test_testing_shows_all_clips_in_order_without_chance(views):
    made = examples(views)
    places = torch.cat([batch.clips for batch in made.testing(7)])
    assert places.tolist() == list(range(30))
    one, two = next(made.testing(7)), next(made.testing(7))
    torch.testing.assert_close(one.joints, two.joints, rtol=0, atol=0)


def test_equal_views_give_teacher_and_student_the_same_moments_and_turns(views):
    _, low = views
    made = examples((low, low))
    for batch in made.training(8, seed=0, epoch=0):
        torch.testing.assert_close(batch.joints, batch.teacher_joints, rtol=0, atol=0)


def test_mixing_shows_the_high_view_of_clips_that_have_one(views):
    high, _ = views
    sampling = Sampling(frames=8)
    side = Side(store=high, sampling=sampling)
    always = examples(views, sampling, mixed=side, mix=1.0)
    never = examples(views, sampling)
    pairs = zip(
        always.training(8, seed=0, epoch=0), never.training(8, seed=0, epoch=0), strict=True
    )
    for mixed, plain in pairs:
        torch.testing.assert_close(mixed.joints[mixed.matched], mixed.teacher_joints)
        torch.testing.assert_close(mixed.joints[~mixed.matched], plain.joints[~plain.matched])
    for tested, plain in zip(always.testing(8), never.testing(8), strict=True):
        torch.testing.assert_close(tested.joints, plain.joints)


def test_clips_shown_in_their_high_view_have_noise_of_their_own(views):
    high, _ = views
    sampling = Sampling(frames=8, noise=5.0, normalisation="none")
    made = examples(views, sampling, mixed=Side(store=high, sampling=sampling), mix=0.5)
    quiet = Sampling(frames=8, normalisation="none")
    still = examples(views, quiet, mixed=Side(store=high, sampling=quiet), mix=0.5)
    batch, plainly = (next(one.training(16, seed=3, epoch=0)) for one in (made, still))
    noise = (batch.joints - plainly.joints)[..., :2].flatten(1).numpy()
    alike = np.corrcoef(noise) - np.eye(len(noise))
    assert np.abs(alike).max() < 0.5


def test_augmentation_is_drawn_anew_in_every_epoch_and_never_in_testing(views):
    _, low = views
    sampling = Sampling(frames=8)
    parts = (Part(name="JointOcclusion", probability=0.5),)
    made = examples(views, sampling, student=Side(store=low, sampling=sampling, augmentation=parts))
    lost = {}
    for epoch in (0, 1):
        for batch in made.training(30, seed=0, epoch=epoch):
            order = batch.clips.argsort()
            lost[epoch] = (batch.joints[order][..., 2] == 0).float()
    assert 0.4 < lost[0].mean() < 0.6
    assert (lost[0] != lost[1]).any()
    for batch in made.testing(30):
        assert (batch.joints[..., 2] > 0).all()


@pytest.mark.parametrize("counts", [[5, 4, 3, 1], [3, 3, 1], [2], [1]])
def test_batches_of_an_even_size_divide_no_pair(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    for seed in range(10):
        order = _paired_order(labels, np.random.default_rng(seed))
        assert sorted(order.tolist()) == list(range(len(labels)))
        twos = labels[order[: len(order) // 2 * 2]].reshape(-1, 2)
        paired = twos[twos[:, 0] == twos[:, 1]]
        assert len(paired) == sum(count // 2 for count in counts)


def test_class_aware_batches_hold_positives(views):
    made = examples(views)
    batches = list(made.training(6, seed=0, epoch=0, class_aware=True))
    assert sorted(torch.cat([batch.clips for batch in batches]).tolist()) == list(range(30))
    for batch in batches:
        for pair in batch.labels.view(-1, 2):
            assert pair[0] == pair[1]


def test_other_layouts_and_dimensions_side_by_side(tmp_path):
    low = small_store(
        tmp_path / "low.arrow", named(9, "train") + named(3, "test", 9), layout=COCO17
    )
    high = small_store(
        tmp_path / "high.arrow", named(9, "train") + named(3, "test", 9), channels=3, frames=5
    )
    batch = next(examples((high, low)).training(9, seed=0, epoch=0))
    assert batch.joints.shape[-2:] == (17, 3)
    assert batch.teacher_joints.shape[-2:] == (13, 3)
    assert batch.matched.all()


def test_solitary_means_no_row(views):
    made = examples(views)
    assert (made.clips.teacher_rows[20:] == SOLITARY).all()
    assert np.array_equal(made.clips.only_paired().rows, np.arange(20))
