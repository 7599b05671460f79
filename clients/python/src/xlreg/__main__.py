"""``python -m xlreg``."""

from .cli import main

main()
