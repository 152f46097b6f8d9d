"""The attention of AAGCN (Shi, Zhang, Cheng and Lu, IEEE TIP 2020): joints, frames, channels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Strengthen the joints that tell, then the frames, then the channels.

    Each of the three looks at the mean over the other axes and adds a share between 0 and 1 of the
    map to itself. The weights of frames and channels start at 0, where every share is one half.

    Args:
        channels: of the map.
        joints: of the map; an odd number of them are looked at together.
    """

    frames_together = 9

    def __init__(self, channels: int, *, joints: int) -> None:
        super().__init__()
        together = joints - 1 + joints % 2
        self.joints = nn.Conv1d(channels, 1, together, padding=together // 2)
        self.frames = nn.Conv1d(
            channels, 1, self.frames_together, padding=self.frames_together // 2
        )
        self.narrowing = nn.Linear(channels, channels // 2)
        self.widening = nn.Linear(channels // 2, channels)
        nn.init.xavier_normal_(self.joints.weight)
        nn.init.zeros_(self.frames.weight)
        nn.init.kaiming_normal_(self.narrowing.weight)
        nn.init.zeros_(self.widening.weight)
        for layer in (self.joints, self.frames, self.narrowing, self.widening):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c t v"]:
        """The map with each of the three shares added to it, one after another."""
        x = x + x * torch.sigmoid(self.joints(x.mean(dim=2)))[:, :, None, :]
        x = x + x * torch.sigmoid(self.frames(x.mean(dim=3)))[:, :, :, None]
        hidden = functional.relu(self.narrowing(x.mean(dim=(2, 3))))
        return x + x * torch.sigmoid(self.widening(hidden))[:, :, None, None]
