"""Reads docs/vectors, and checks that none is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from xlreg.errors import KINDS, RegistryError
from xlreg.keys import PrivateKey, parse_private_key

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "vectors"

Vector = dict[str, Any]


def index() -> dict[str, int]:
    """Return how many vectors there are in each class."""
    classes: dict[str, int] = json.loads((FOLDER / "index.json").read_text())["classes"]
    return classes


def load(kind: str) -> list[Vector]:
    """Return the vectors of a class."""
    return [json.loads(path.read_text()) for path in sorted((FOLDER / kind).glob("*.json"))]


def key(name: str) -> PrivateKey:
    """Return one of the vectors' keys."""
    return parse_private_key((FOLDER / "keys" / f"{name}.pem").read_bytes())


def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return one of the vectors' keys that is an RSA key."""
    return rsa_of(key(name))


def rsa_of(found: PrivateKey) -> rsa.RSAPrivateKey:
    """Return a key that is an RSA key."""
    assert isinstance(found, rsa.RSAPrivateKey)
    return found


def unhex(values: dict[str, Any], *names: str) -> list[bytes]:
    """Return members of a vector that hold bytes; those that are absent are empty."""
    return [bytes.fromhex(values.get(name) or "") for name in names]


def check_kind(err: Exception, vector: Vector) -> None:
    """Hold an error against what the vector says that the peer gets."""
    wanted = (vector.get("want") or {}).get("error")
    if wanted is None:
        return
    assert KINDS[wanted["code"]].kind_text == wanted["text"]
    assert isinstance(err, RegistryError)
    assert err.code == wanted["code"]
