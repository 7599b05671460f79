"""The version of this package, and of the clients in other languages."""

__version__ = "0.1.0"
