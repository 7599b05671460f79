"""What a cluster is to be, and what a registry says of the one that is there."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass

from . import limits
from ._wire import messages as m
from ._wire import requests as q
from .errors import ClusterSizeError, Needs20Error
from .ticket import Ticket
from .vocabulary import NO_KEY, Cluster, ClusterAttrs, ClusterRef, ClusterState, check_name


@dataclass(frozen=True)
class Creation:
    """What a cluster is to be created with."""

    name: str
    size: int
    endpoint_count: int = 1
    attrs: ClusterAttrs = ClusterAttrs.NONE
    owner: Ticket | None = None
    """The owner's ticket, for a cluster with a key."""

    @property
    def ref(self) -> ClusterRef:
        """The cluster as it is asked for: one whose name the registry changes has none yet."""
        unique = self.attrs & ClusterAttrs.UNIQUE
        return ClusterRef(name="" if unique else self.name, key=self.owner.key if self.owner else NO_KEY)

    def request(self) -> m.Message:
        """Return the Create."""
        key, signature = b"", b""
        if self.owner is not None:
            key = self.owner.key
            signature = self.owner.sign_create(self.size, self.endpoint_count, self.attrs)
        return q.new_create(self.name, self.size, self.endpoint_count, self.attrs, key, signature)

    def check(self, classic: bool) -> None:
        """Look at it before it is sent.

        Raises:
            XlregError: The name is not valid, or the carrier cannot carry it.
            ValueError: A number is out of range.
        """
        if self.name:
            check_name(self.name)
        most = limits.MAX_CLASSIC_CLUSTER if classic else limits.MAX_CLUSTER
        if not limits.MIN_CLUSTER <= self.size <= most:
            raise ValueError(f"size {self.size}: want {limits.MIN_CLUSTER} to {most}")
        if not 1 <= self.endpoint_count <= limits.MAX_ENDPOINTS:
            raise ValueError(f"{self.endpoint_count} endpoints: want 1 to {limits.MAX_ENDPOINTS}")
        if classic and self.attrs & ClusterAttrs.UNIQUE:
            raise Needs20Error("unique name: needs protocol 2.0")
        if classic and self.owner:
            raise Needs20Error("cluster with an owner: needs protocol 2.0")


@dataclass(frozen=True)
class Joined:
    """What a registry says to a node that has become a member.

    Attributes:
        cluster: The cluster.
        state: Its state, with the epoch that the seat is of.
        lease: For how many seconds the seat lasts without a sign of life; 0 is for good.
    """

    cluster: Cluster
    state: ClusterState
    lease: float


def made_up_name() -> str:
    """Return a name in the form in which registries make them up: new, distinct and not to be guessed."""
    return "c-" + base64.b32encode(os.urandom(10)).decode().lower()


def check_size(cluster: Cluster, want: int) -> None:
    """Refuse a cluster of another size than wanted. 0 is one that is not known, or not asked for.

    Raises:
        ClusterSizeError: It has another.
    """
    if want and cluster.size and cluster.size != want:
        raise ClusterSizeError(f"{cluster} is made for {cluster.size} members, not {want}", cluster=cluster)
