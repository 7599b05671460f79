"""How Sphinx builds the documentation: `make docs` writes it to docs/_build/html."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "xlreg"
author = copyright = "the xlreg authors"
extensions = ["myst_parser", "repository"]
exclude_patterns = ["_build", ".venv", "requirements.txt", "vectors/*/*"]

# Headings get the anchors that Git forges give them, so that a link works in both places.
myst_heading_anchors = 4

# Pages link to each other by file; smart quotes would change commands in headings.
smartquotes = False

html_theme = "furo"
html_title = "xlreg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": False}

# Samples of output, and of languages that only look like one, are not held against a grammar.
highlight_language = "none"
