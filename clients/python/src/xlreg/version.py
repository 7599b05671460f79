"""Versions, and the generations of the protocol."""

from __future__ import annotations

import enum
import functools
import re

from . import limits
from ._errors import VersionError, quote

_PART = re.compile(r"[0-9]+", re.ASCII)


@functools.total_ordering
class DecimalVersion:
    """A version a.b.c.d: four numbers of 0 to 255.

    Its ``value`` is the number a + b*2^8 + c*2^16 + d*2^24, as on the wire.

    Raises:
        VersionError: A part is not a number from 0 to 255.

    Example:
        >>> str(DecimalVersion(1, 9)), DecimalVersion(1, 2, 3, 4).value
        ('1.9', 67305985)
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # value can be assigned, as it always could

    def __init__(self, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> None:
        """Make the version of its parts, most significant first; those left out are 0."""
        parts = [int(part or 0) for part in (a, b, c, d)]
        if any(not 0 <= part <= 255 for part in parts):
            raise VersionError(f"version {parts}: want numbers from 0 to 255")
        self._value = int.from_bytes(bytes(parts), "little")

    @classmethod
    def from_value(cls, value: int) -> DecimalVersion:
        """Return the version whose number on the wire is value."""
        if not 0 <= value < 1 << 32:
            raise VersionError(f"version {value}: want a number of 32 bits")
        return cls(*value.to_bytes(4, "little"))

    @property
    def value(self) -> int:
        """The version as one number."""
        return self._value

    @value.setter
    def value(self, value: int | str | DecimalVersion) -> None:
        if isinstance(value, DecimalVersion):
            self._value = value.value
        elif isinstance(value, str):
            self._value = parse_decimal_version(value).value
        else:
            self._value = DecimalVersion.from_value(value).value

    @property
    def parts(self) -> tuple[int, int, int, int]:
        """The four parts."""
        a, b, c, d = self._value.to_bytes(4, "little")
        return a, b, c, d

    def get_a(self) -> int:
        """Return the first part."""
        return self.parts[0]

    def get_b(self) -> int:
        """Return the second part."""
        return self.parts[1]

    def get_c(self) -> int:
        """Return the third part."""
        return self.parts[2]

    def get_d(self) -> int:
        """Return the fourth part."""
        return self.parts[3]

    def step_major(self) -> None:
        """Go to the next first part, with zeros after it."""
        self._step(0)

    def step_minor(self) -> None:
        """Go to the next second part, with zeros after it."""
        self._step(1)

    def step_decimal(self) -> None:
        """Go to the next third part, with a zero after it."""
        self._step(2)

    def step_micro(self) -> None:
        """Go to the next fourth part."""
        self._step(3)

    def _step(self, place: int) -> None:
        parts = [*self.parts[:place], self.parts[place] + 1]
        self._value = DecimalVersion(*parts).value

    def __index__(self) -> int:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DecimalVersion) and self._value == other._value

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, DecimalVersion):
            return NotImplemented
        return self.parts < other.parts

    def __str__(self) -> str:
        """Return the parts with dots between them, less zeros at the end beyond the second."""
        parts = list(self.parts)
        while len(parts) > 2 and parts[-1] == 0:
            parts.pop()
        return ".".join(map(str, parts))

    def __repr__(self) -> str:
        return f"DecimalVersion({', '.join(map(str, self.parts))})"


def parse_decimal_version(text: str) -> DecimalVersion:
    """Read 2 to 4 decimal parts of 0 to 255, separated by dots.

    Raises:
        VersionError: It is not such a text.

    Example:
        >>> parse_decimal_version("1.9.24").get_c()
        24
    """
    parts = text.split(".") if isinstance(text, str) else []
    if not 2 <= len(parts) <= 4:
        raise VersionError(f"version {quote(text)}: {len(parts)} parts, want 2 to 4")
    if not all(_PART.fullmatch(part) and len(part) < 9 and int(part) <= 255 for part in parts):
        raise VersionError(f"version {quote(text)}: want numbers from 0 to 255")
    return DecimalVersion(*map(int, parts))


class Protocol(enum.Enum):
    """One generation of the wire: a carrier, and what is said over it.

    1.8 and 1.9 are the classic ones. They have no integrity check and no forward
    secrecy, and exist for deployed peers.
    """

    V18 = "1.8"
    V19 = "1.9"
    V20 = "2.0"

    def __str__(self) -> str:
        """Return "1.8", "1.9" or "2.0"."""
        return self.value

    @property
    def classic(self) -> bool:
        """Whether it is one of the generations before 2.0."""
        return self is not Protocol.V20

    @property
    def version(self) -> DecimalVersion:
        """The version that stands for it."""
        return parse_decimal_version(self.value)

    @property
    def key_bounds(self) -> limits.KeyBounds:
        """Which keys it accepts."""
        return limits.CLASSIC_KEYS if self.classic else limits.MODERN_KEYS

    @classmethod
    def of(cls, what: Protocol | str) -> Protocol:
        """Return the generation that what names.

        Raises:
            VersionError: There is no such generation.
        """
        if isinstance(what, Protocol):
            return what
        for protocol in cls:
            if protocol.value == what:
                return protocol
        raise VersionError(f"protocol {quote(what)}: want 2.0, 1.9 or 1.8")
