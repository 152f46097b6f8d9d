"""The shelf of networks: one file a network.

Every network takes joints ``(n, m, t, v, c)`` and returns a `Prediction`; see `Network`.
"""

from skeldistill.networks.agcn import AGCN
from skeldistill.networks.asgcn import ASGCN
from skeldistill.networks.ctrgcn import CTRGCN
from skeldistill.networks.deeplstm import DeepLSTM
from skeldistill.networks.efficientgcn import EfficientGCNB0, EfficientGCNB2, EfficientGCNB4
from skeldistill.networks.livegcn import LiveGCN
from skeldistill.networks.msg3d import MSG3D
from skeldistill.networks.network import Network
from skeldistill.networks.pegcn import PEGCN
from skeldistill.networks.prgcn import PRGCN
from skeldistill.networks.ragcn import RAGCN
from skeldistill.networks.rank_pooling import RankPooling
from skeldistill.networks.resgcn import PAResGCNB19, ResGCNB19
from skeldistill.networks.restcn import ResTCN
from skeldistill.networks.shiftgcn import ShiftGCN
from skeldistill.networks.stgcn import STGCN, STGCN9, ST2sGCN, STsGCN
from skeldistill.networks.stgcnpp import STGCNpp
from skeldistill.shelf import take

SHELF: dict[str, type[Network]] = {
    network.__name__: network
    for network in (
        AGCN,
        EfficientGCNB0,
        EfficientGCNB2,
        EfficientGCNB4,
        PAResGCNB19,
        ResGCNB19,
        ShiftGCN,
        ST2sGCN,
        STGCN,
        STGCN9,
        STsGCN,
        CTRGCN,
        MSG3D,
        STGCNpp,
        ASGCN,
        PEGCN,
        DeepLSTM,
        RankPooling,
        ResTCN,
        PRGCN,
        RAGCN,
        LiveGCN,
    )
}


def find(name: str) -> type[Network]:
    """The network called `name`; ValueError names the nearest one."""
    return take("network", SHELF, name)


__all__ = [
    "AGCN",
    "ASGCN",
    "CTRGCN",
    "MSG3D",
    "PEGCN",
    "PRGCN",
    "RAGCN",
    "SHELF",
    "STGCN",
    "STGCN9",
    "DeepLSTM",
    "EfficientGCNB0",
    "EfficientGCNB2",
    "EfficientGCNB4",
    "LiveGCN",
    "Network",
    "PAResGCNB19",
    "RankPooling",
    "ResGCNB19",
    "ResTCN",
    "ST2sGCN",
    "STGCNpp",
    "STsGCN",
    "ShiftGCN",
    "find",
]
