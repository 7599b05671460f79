"""What Client and AsyncClient have in common: all but I/O."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ._address import Listener
from ._dial import Options
from ._dialogue import Dialogue
from ._form import Plan, Progress
from .node import Node
from .regcred import RegCred, Target
from .version import Protocol
from .vocabulary import Cluster, ClusterAttrs, ClusterID, ClusterRef

AnyTarget: TypeAlias = Target | RegCred | str | os.PathLike[str]
"""A registry: an ``xlreg://`` line, the name of a regCred file, or credentials."""

AnyCluster: TypeAlias = ClusterRef | Cluster | ClusterID | str | None
"""A cluster: its name, its ID, or None for the one that this session was last about."""


class BaseClient:
    """One session with a registry, less its I/O."""

    def __init__(self, dialogue: Dialogue) -> None:
        """Hold a session; use connect."""
        self._dialogue = dialogue

    @property
    def protocol(self) -> Protocol:
        """What the session speaks."""
        return self._dialogue.protocol

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the registry's sig key, SHA256:…"""
        return self._dialogue.options.target.fingerprint


def options(target: AnyTarget, node: Node | None, protocol: Protocol | str | None) -> Options:
    """Return who talks to which registry, and how."""
    return Options(Target.load(target), node, None if protocol is None else Protocol.of(protocol))


def plan(
    target: AnyTarget,
    node: Node,
    protocol: Protocol | str | None,
    cluster: AnyCluster,
    size: int,
    join_only: bool,
    endpoint_count: int,
    attrs: ClusterAttrs,
    listeners: Sequence[Listener],
    advertise: Sequence[str | None],
    progress: Callable[[Progress], None] | None,
) -> Plan:
    """Return which cluster to form, as whom."""
    return Plan(
        options(target, node, protocol),
        ClusterRef.of(cluster),
        size,
        join_only,
        endpoint_count,
        attrs,
        listeners,
        advertise,
        progress,
    )
