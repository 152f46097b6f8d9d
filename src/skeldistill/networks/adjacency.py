"""How the neighbours of a joint are divided into partitions (Yan et al. 2018, section 3.3).

Each partition is one matrix; a graph convolution takes joint ``w`` of partition ``k`` as
``sum_v x[v] A[k, v, w]``. All neighbours of a joint weigh 1 together: the links within one bone,
and the joint itself, are normalised by column before they are divided.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32

from skeldistill.layouts import Layout
from skeldistill.shelf import pick


def hops(layout: Layout, limit: int) -> Float[np.ndarray, "v v"]:
    """How many bones lie between two joints; infinite beyond `limit` bones."""
    linked = bones(layout)
    distance = np.full(linked.shape, np.inf)
    reached = np.eye(layout.num_joints, dtype=bool)
    for hop in range(limit + 1):
        distance[reached & np.isinf(distance)] = hop
        reached = reached @ linked | reached
    return distance


def bones(layout: Layout) -> Bool[np.ndarray, "v v"]:
    """Which two joints share a bone, in both directions."""
    linked = np.zeros((layout.num_joints, layout.num_joints), bool)
    for child, parent in layout.bone_indices:
        linked[child, parent] = linked[parent, child] = True
    return linked


def normalised(links: Float[np.ndarray, "v v"]) -> Float[np.ndarray, "v v"]:
    """Columns that sum to 1: ``A D^-1`` with the column sums D."""
    sums = links.sum(axis=0, keepdims=True)
    return links / np.where(sums == 0, 1, sums)


def uniform(layout: Layout, max_hop: int = 1) -> Float32[np.ndarray, "k v v"]:
    """One partition: a joint and its neighbours weigh the same ("uni-labeling")."""
    return normalised(np.isfinite(hops(layout, max_hop)).astype(float))[None].astype(np.float32)


def distance(layout: Layout, max_hop: int = 1) -> Float32[np.ndarray, "k v v"]:
    """One partition for each number of bones in between: the joint itself, its neighbours."""
    between = hops(layout, max_hop)
    weights = normalised(np.isfinite(between).astype(float))
    return np.stack([weights * (between == hop) for hop in range(max_hop + 1)]).astype(np.float32)


def spatial(layout: Layout, max_hop: int = 1) -> Float32[np.ndarray, "k v v"]:
    """The joint itself; neighbours farther from the centre, or as far; neighbours nearer to it.

    As in the authors' code, and not as in the paper, distances from the centre are known only up
    to `max_hop`: two joints beyond it count as equally far. So with `max_hop` 1 the third
    partition holds only what the centre's neighbours take from the centre, and all links farther
    out are in the second, both ways. Official weights are trained with this.
    """
    between = hops(layout, max_hop)
    weights = normalised(np.isfinite(between).astype(float))
    from_centre = between[:, layout.centre_index]
    nearer = from_centre[:, None] < from_centre[None, :]  # [v, w]: the neighbour v is nearer
    matrices = [weights * (between == 0)]
    for hop in range(1, max_hop + 1):
        ring = weights * (between == hop)
        matrices += [ring * ~nearer, ring * nearer]
    return np.stack(matrices).astype(np.float32)


def directed(layout: Layout) -> Float32[np.ndarray, "k v v"]:
    """The joint itself; what a joint takes from its parent; what it takes from its children.

    How 2s-AGCN and what came after it divide neighbours (Shi et al. 2019): by the direction of
    the bone. Each direction is normalised by column on its own.
    """
    from_parent = np.zeros((layout.num_joints, layout.num_joints))
    for child, parent in layout.bone_indices:
        from_parent[parent, child] = 1
    itself = np.eye(layout.num_joints)
    return np.stack([itself, normalised(from_parent), normalised(from_parent.T)]).astype(np.float32)


PARTITIONS = {"distance": distance, "spatial": spatial, "uniform": uniform}


def partitioned(layout: Layout, partition: str) -> Float32[np.ndarray, "k v v"]:
    """The matrices of the partition called so; ValueError names the nearest one."""
    return pick("partition", PARTITIONS, partition)(layout)
