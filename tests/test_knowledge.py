"""What a teacher knows of its clips is asked once, kept, and memory-mapped from its file."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from stores import named, small_store

from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import Clips
from skeldistill.data.store import Store
from skeldistill.data.store_writer import StoreWriter
from skeldistill.distillation import knowledge
from skeldistill.layouts import PENN13
from skeldistill.losses import LossContext, PartContrastive
from skeldistill.networks import STGCN
from skeldistill.prediction import Prediction
from skeldistill.readers.reader import Source
from skeldistill.recipe import Sampling

CLIPS = 12


@pytest.fixture
def asked(tmp_path):
    """A teacher, its training clips, and a loss of a student with the same clips."""
    store = small_store(tmp_path / "high.arrow", named(CLIPS, "train"))
    rows = np.arange(CLIPS)
    clips = Clips(rows=rows, teacher_rows=rows, labels=rows % 3)
    high = Examples(clips=clips, student=Side(store=store, sampling=Sampling(frames=8)))
    teacher = STGCN(PENN13, classes=3, persons=1, channels=3, width=0.125).eval()
    channels = teacher.feature_channels
    about = LossContext(
        student_layout=PENN13,
        teacher_layout=PENN13,
        student_channels=channels,
        teacher_channels=channels,
        classes=3,
    )
    loss = PartContrastive(about, bank=True, part_matrix=True)

    def share() -> None:
        knowledge.share_knowledge([loss], teacher, high, clips, folder=tmp_path)

    return teacher, loss, share, tmp_path / knowledge.FILE


def test_the_bank_is_memory_mapped(asked):
    if not sys.platform.startswith("linux"):
        pytest.skip("where memory is mapped from can be read on Linux alone")
    _, loss, share, file = asked
    share()
    for name in ("made", "read again"):
        place = loss.rows.bank.data_ptr()
        mapped = [
            line
            for line in Path("/proc/self/maps").read_text().splitlines()
            if line.endswith(str(file))
            and int(line.split("-")[0], 16) <= place < int(line.split()[0].split("-")[1], 16)
        ]
        assert mapped, name
        share()


def test_a_mapped_bank_takes_part_in_a_backward_pass_and_stays_as_it_is(asked):
    _, loss, share, file = asked
    share()
    kept, before = file.read_bytes(), loss.rows.bank.clone()
    loss.rows.observe(torch.arange(4))
    bank, labels, own = loss.rows(
        before[:4], torch.ones(4, 1, 1, dtype=torch.bool), torch.arange(4) % 3
    )
    student = before[:4].clone().requires_grad_()
    (student[:, None] * bank[None]).sum().backward()
    assert student.grad is not None
    assert torch.equal(own, torch.arange(4))
    assert torch.equal(labels, torch.arange(CLIPS) % 3)
    assert file.read_bytes() == kept


def test_a_high_clip_without_anybody_is_no_match_in_the_bank(asked):
    _, loss, _, _ = asked
    features = torch.randn(4, 5, loss.rows.bank.shape[2])
    loss.set_bank(features, torch.tensor([0, -1, 1, 2]), torch.arange(4))
    loss.rows.observe(torch.arange(4))
    _, labels, own = loss.rows(
        features, torch.ones(4, 1, 1, dtype=torch.bool), torch.zeros(4).long()
    )
    assert own.tolist() == [0, -1, 2, 3]
    assert labels.tolist() == [0, -1, 1, 2]


def test_who_sees_nobody_names_nothing():
    present = torch.tensor([True, False, True])[:, None, None]
    said = Prediction(torch.eye(3)[[2, 2, 1]], torch.zeros(3, 1, 1, 1, 1), present)
    assert said.named(torch.tensor([-1, -1, 0])).tolist() == [2, -1, 0]


def test_a_bank_says_what_a_batch_of_the_same_clips_does(asked, tmp_path):
    """With one of them empty in the high view."""
    store = small_store(tmp_path / "some.arrow", named(6, "train"))
    source = Source(layout=PENN13, channels=2, units="pixels", classes=store.classes)
    with StoreWriter(tmp_path / "empty.arrow", source, provenance={}) as writer:
        for row in range(6):
            clip = store.clip(row)
            there = np.float32(row > 0)
            writer.write(clip.with_joints(there * clip.joints, there * clip.scores))
    teacher, loss, _, _ = asked
    rows = np.arange(6)
    clips = Clips(rows=rows, teacher_rows=rows, labels=rows % 3)
    side = Side(store=Store.open(tmp_path / "empty.arrow"), sampling=Sampling(frames=8))
    high = Examples(clips=clips, student=side)
    batch = next(high.testing(6))
    with torch.no_grad():
        taught = teacher(batch.joints)
        student = taught._replace(
            features=torch.randn_like(taught.features), present=torch.ones_like(taught.present)
        )
        of_batch = loss(student, taught, batch.labels)
        knowledge.share_knowledge([loss], teacher, high, clips, folder=tmp_path)
        loss.set_part_weights(torch.full((3, 5), 0.2))
        loss.observe(batch.clips)
        of_bank = loss(student, taught, batch.labels)
    torch.testing.assert_close(of_bank, of_batch)


def test_a_teacher_is_asked_once_until_it_changes(asked, monkeypatch):
    teacher, loss, share, file = asked
    asking, times = knowledge._asked, []
    monkeypatch.setattr(knowledge, "_asked", lambda *given: times.append(1) or asking(*given))
    share()
    share()
    assert len(times) == 1
    before = loss.rows.bank.clone()
    with torch.no_grad():
        for weight in teacher.parameters():
            weight.mul_(1.1)
    share()
    assert len(times) == 2
    assert not torch.equal(loss.rows.bank, before)
    file.write_bytes(file.read_bytes()[:100])
    share()
    assert len(times) == 3
