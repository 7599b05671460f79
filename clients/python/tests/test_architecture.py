"""Modules import each other in one direction."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "xlreg"
MODULES = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in SOURCE.rglob("*.py")}


def imports(module: str) -> set[str]:
    """Return what a module of ours imports of ours, also for types alone and within functions."""
    package = module.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = [*package[: len(package) + 1 - node.level], *(node.module or "").split(".")]
        prefix = ".".join(filter(None, base))
        names = {".".join(filter(None, [prefix, alias.name])) for alias in node.names} & MODULES.keys()
        found |= names or {prefix if prefix in MODULES else f"{prefix}.__init__".lstrip(".")}
    return found


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: imports(module) for module in MODULES}
    assert "vocabulary" in graph["roster"]
    assert "_wire.scan" in graph["_wire.messages"]
    assert {"_errors", "vocabulary"} <= graph["errors"]
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError names the circle


def test_asyncio_stays_where_it_is_used() -> None:
    """What a session says is the same with blocking sockets and without."""
    using = {module for module in MODULES if "import asyncio" in MODULES[module].read_text()}
    assert using <= {"_async", "aio"}
