"""Fixtures for pytest: a real registry, and clusters on it. They are there as soon as xlreg is installed.

Example:
    def test_three(xlreg_cluster):
        cluster = xlreg_cluster(3)
        first = cluster.memberships[0]
        assert [m.name for m in first.roster.members]
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import RegistryProcess, TestCluster


@pytest.fixture(scope="session")
def xlreg_registry() -> Iterator[RegistryProcess]:
    """A registry, ``xlreg serve --dev``, one for all tests; its ``url`` and ``reg_cred`` are for clients.

    The program is found by XLREG_BIN, then on the PATH; without one the test fails
    and says so. The registry ends with the tests, whatever happens to them.
    """
    from .testing import RegistryProcess

    with RegistryProcess() as registry:
        yield registry


@pytest.fixture
def xlreg_cluster(xlreg_registry: RegistryProcess) -> Iterator[Callable[..., TestCluster]]:
    """A function that forms a cluster of so many members, all in this process; see TestCluster.form.

    Its listening sockets are closed after the test.
    """
    from .testing import TestCluster

    with contextlib.ExitStack() as stack:

        def make(size: int = 3, **options: object) -> TestCluster:
            cluster = TestCluster.form(xlreg_registry.reg_cred, size, **options)  # type: ignore[arg-type]
            return stack.enter_context(cluster)

        yield make
