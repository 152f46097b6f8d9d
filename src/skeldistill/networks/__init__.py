"""The shelf of networks: one file a network.

Every network takes joints ``(n, m, t, v, c)`` and returns a `Prediction`; see `Network`.
"""

from skeldistill.networks.agcn import AGCN
from skeldistill.networks.network import Network
from skeldistill.networks.shiftgcn import ShiftGCN
from skeldistill.networks.stgcn import STGCN, ST2sGCN, STsGCN
from skeldistill.shelf import pick

SHELF: dict[str, type[Network]] = {
    network.__name__: network for network in (AGCN, ST2sGCN, STGCN, STsGCN, ShiftGCN)
}


def find(name: str) -> type[Network]:
    """The network called `name`; ValueError names the nearest one."""
    return pick("network", SHELF, name)


__all__ = [
    "AGCN",
    "SHELF",
    "STGCN",
    "Network",
    "ST2sGCN",
    "STsGCN",
    "ShiftGCN",
    "find",
]
