"""The shelf of networks: one file a network.

Every network takes joints ``(n, m, t, v, c)`` and returns a `Prediction`; see `Network`.
"""

from skeldistill.networks.network import Network
from skeldistill.networks.stgcn import STGCN, ST2sGCN, STsGCN
from skeldistill.shelf import pick

SHELF: dict[str, type[Network]] = {
    network.__name__: network for network in (STGCN, ST2sGCN, STsGCN)
}


def find(name: str) -> type[Network]:
    """The network called `name`; ValueError names the nearest one."""
    return pick("network", SHELF, name)


__all__ = ["SHELF", "STGCN", "Network", "ST2sGCN", "STsGCN", "find"]
