"""The generated protobuf code is that of internal/wire/xlreg.proto."""

from __future__ import annotations

import importlib.util
from pathlib import Path

GENERATOR = Path(__file__).resolve().parents[1] / "tools" / "generate.py"


def test_generated_code_is_not_stale() -> None:
    spec = importlib.util.spec_from_file_location("generate", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    compiled = generate.compile_proto()
    remedy = "run python tools/generate.py"
    assert generate.MODULE.read_text() == generate.module(compiled), remedy
    assert generate.MODULE.with_suffix(".pyi").read_text() == generate.stub(compiled), remedy
