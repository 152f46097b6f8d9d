"""One step of distillation: the frozen teacher, the student, and what each loss says."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from skeldistill import processes
from skeldistill.data.batch import Batch
from skeldistill.data.dataset import Examples
from skeldistill.distillation.ensemble import Ensemble
from skeldistill.losses.global_contrastive import GlobalContrastive
from skeldistill.losses.loss import Loss, one_number
from skeldistill.losses.part_contrastive import PartContrastive
from skeldistill.networks.contract import require_said
from skeldistill.networks.network import Network
from skeldistill.prediction import Prediction
from skeldistill.recipe import LossTerm

MEMORY = 2**31
"""Bytes that a teacher's answers about all training clips may take."""


class Distiller(nn.Module):
    """A student with its task loss, and its teacher with the distillation losses, if any.

    Args:
        student: the network that is trained.
        task: the loss on the labels.
        teacher: a trained network, never changed; None trains the student alone.
        losses: the recipe's terms, by name, each with its loss.
        who_answers: of an `Ensemble`, which members answer for each training clip; all of them,
            unless it is given.
    """

    def __init__(
        self,
        student: Network,
        task: Loss,
        teacher: Network | None = None,
        losses: Mapping[str, tuple[LossTerm, Loss]] | None = None,
        who_answers: Bool[Tensor, "n members"] | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.task = task
        self.losses = nn.ModuleDict({name: loss for name, (_, loss) in (losses or {}).items()})
        self._acting: list[str] = []
        self._terms = {name: term for name, (term, _) in (losses or {}).items()}
        # Not a submodule: its weights are no part of what is trained, saved or counted.
        self._teacher = [teacher.requires_grad_(False).eval()] if teacher is not None else []
        self._answers: Prediction | None = None
        self._seen: Tensor | None = None
        self._who_answers = who_answers

    @property
    def teacher(self) -> Network | None:
        """The frozen teacher."""
        return self._teacher[0] if self._teacher else None

    def remember(self, examples: Examples, batch_size: int, device: torch.device) -> bool:
        """Ask the teacher about all training clips once, if it would say the same in every epoch.

        Then batches need no `teacher_joints`. Answers differ from those within other batches by
        rounding alone, and are the same however often a training is interrupted.

        Args:
            examples: the training clips.
            batch_size: how many to ask about at a time.
            device: where the answers are kept.

        Returns:
            Whether they are kept; not if they take more than `MEMORY`.
        """
        self._answers = None
        if not self.losses or not examples.teacher_sees_the_same:
            return False
        kept: list[Tensor] = []
        for batch in examples.testing(batch_size):
            said = self.ask_teacher(batch.to(device))[:3]
            if not kept:
                if len(examples) * sum(one[0].nbytes for one in said) > MEMORY:
                    return False
                kept = [one.new_empty(len(examples), *one.shape[1:]) for one in said]
            for whole, some in zip(kept, said, strict=True):
                whole[batch.clips] = some
        logits, features, present = kept
        self._answers = Prediction(logits, features, present)
        self._seen = present.any(dim=2).cpu()
        return True

    def forward(
        self, batch: Batch, epoch: int
    ) -> tuple[Prediction, Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The student's prediction, the task loss, and every distillation term with its weight.

        In training, what the student itself adds to the task loss (``Prediction.losses``) is in it.
        Clips without a label have no part in the task loss; to the others their action is what
        the teacher takes it for.
        Where several processes take a step `together`, all losses are this one's share of them.
        """
        student = self.ask_student(batch)
        # A tensor of its own beside the way to the logits: of some networks the features are a step
        # on that way, and a loss on the logits would count in a revision by both once more.
        student = student._replace(features=student.features.view_as(student.features))
        task = self._judge(student, batch) + sum(value for _, value in student.losses)
        terms: dict[str, Tensor] = {}
        if self._teacher:
            taught = self.ask_teacher(batch)
            labels = taught.named(batch.labels)
            weights = {name: term.weight_at(epoch) for name, term in self._terms.items()}
            self._acting = [name for name, weight in weights.items() if weight]
            persons = batch.persons_in_both(self._seen)
            for name in self._acting:
                loss = self.losses[name]
                assert isinstance(loss, Loss)
                loss.observe(batch.clips)
                loss.expect(persons)
                for part, value in _shares(loss, student, taught, labels).items():
                    terms[part] = weights[name] * value
        return student, task, terms

    def skipped(self) -> dict[str, Tensor | int]:
        """How many clips of the last batch each contrastive loss could learn nothing from.

        Losses that did not act on it, by their schedule, are left out.
        """
        acting = {name: self.losses[name] for name in self._acting}
        return {
            name: loss.skipped
            for name, loss in acting.items()
            if isinstance(loss, PartContrastive | GlobalContrastive)
        }

    def ask_student(self, batch: Batch) -> Prediction:
        """What the student says of every clip of the batch; in training with its own losses."""
        if not self.training:
            return self.student(batch.joints)

        def judge(scores: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
            blank = scores.new_zeros(len(scores), 1, 1, 1, 1)
            said = Prediction(scores, blank, blank[:, :, 0, 0].bool())
            with processes.alone():
                return self._judge(said, batch)

        said = self.student.learn(batch.joints, batch.labels, judge)
        require_said(self.student, batch.joints, said)
        if not processes.several():
            return said
        own = processes.share(len(said.logits))
        return said._replace(losses=tuple((name, own * value) for name, value in said.losses))

    def _judge(self, said: Prediction, batch: Batch) -> Float[Tensor, ""]:
        """The task loss; of mixed clips on both actions, each by its share."""

        def on(labels: Tensor) -> Tensor:
            (loss,) = _shares(self.task, said, said, labels).values()
            return loss

        if batch.second_labels is None:
            return on(batch.labels)
        return batch.weight * on(batch.labels) + (1 - batch.weight) * on(batch.second_labels)

    @torch.no_grad()
    def ask_teacher(self, batch: Batch) -> Prediction:
        """What the teacher says of every clip of the batch; of clips without a match, nothing."""
        if self._answers is not None and self.training:
            return self._answers.rows(batch.clips)
        assert batch.teacher_joints is not None
        assert batch.matched is not None
        teacher, joints = self._teacher[0], batch.teacher_joints
        if self.training and self.student.foretold_frames:
            seen = 1 - self.student.foretold_frames / batch.joints.shape[2]
            joints = joints[:, :, : round(seen * joints.shape[2])]
        if not len(joints):
            blank = joints.new_zeros(1, *joints.shape[1:])
            said = teacher(blank).rows(torch.zeros(0, dtype=torch.long, device=blank.device))
        elif self._who_answers is not None:
            assert isinstance(teacher, Ensemble)
            clips = (batch.host or batch).clips[batch.matches_on_host]
            who = self._who_answers[clips.to(self._who_answers.device)]
            said = teacher.ask(joints, who.to(joints.device, non_blocking=True))
        else:
            said = teacher(joints)
        if len(joints) == len(batch.matched):  # whether all have a match, without asking the device
            return said
        clips, matches = len(batch.matched), batch.matches
        return Prediction(
            _scatter(said.logits, matches, clips),
            _scatter(said.features, matches, clips),
            _scatter(said.present, matches, clips),
        )


def _shares(
    loss: Loss, student: Prediction, teacher: Prediction, labels: Tensor
) -> dict[str, Tensor]:
    """The parts of a loss; where there are several processes, this one's share of each."""
    if not processes.several():
        return _parts(loss, student, teacher, labels)
    if loss.in_shares:
        parts = _parts(loss, student, teacher, labels)
    else:
        with processes.alone():
            parts = _parts(loss, student, teacher, labels)
        parts = {name: processes.share(len(labels)) * value for name, value in parts.items()}
    # backward passes must be the same in all processes, whether or not one's clips have a match
    blank = 0 * student.logits.sum()
    return {name: value if value.requires_grad else value + blank for name, value in parts.items()}


def _parts(
    loss: Loss, student: Prediction, teacher: Prediction, labels: Tensor
) -> dict[str, Tensor]:
    parts = loss.terms(student, teacher, labels)
    return {name: one_number(loss, value) for name, value in parts.items()}


def _scatter(tensor: Tensor, places: Tensor, clips: int) -> Tensor:
    full = tensor.new_zeros(clips, *tensor.shape[1:])
    full[places] = tensor
    return full
