"""Makes one site of pages that are written to be read on a Git forge as well.

Three things differ between the two. A forge shows files outside docs, such as
ARCHITECTURE.md, where they lie: here each has a page that is replaced by the file. Links
from pages to such files, and from such files to pages, are rewritten. And a forge has no
navigation: here it is taken from the lists of links in index.md, and from the folders.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
FORGE = "https://github.com/xlattice/xlreg"

# Pages whose content is a file elsewhere in the repository.
SHOWN = {
    "project/architecture": "ARCHITECTURE.md",
    "project/changelog": "CHANGELOG.md",
    "project/contributing": "CONTRIBUTING.md",
    "project/security": "SECURITY.md",
    "reference/python": "clients/python/README.md",
    "reference/ruby": "clients/ruby/README.md",
}
PAGES = {(ROOT / file).resolve(): page for page, file in SHOWN.items()}

LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
ENTRY = re.compile(r"^- \[([^\]]+)\]\(([^)#]+)\.md\)", re.MULTILINE)
FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", re.MULTILINE | re.DOTALL)

log = logging.getLogger(__name__)


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn what a forge shows into what Sphinx reads."""
    file = DOCS / f"{name}.md"
    text = source[0]
    if name in SHOWN:
        file = ROOT / SHOWN[name]
        app.env.note_dependency(str(file))
        text = file.read_text(encoding="utf-8")
    text = outside_fences(text, lambda part: LINK.sub(lambda link: rewritten(link, file, name), part))
    if name == "index":
        text += navigation(text)
    elif name.endswith("/index"):
        text += toctree("", ["*"])
    source[0] = text


def outside_fences(text: str, change) -> str:
    """Apply change to all but the blocks of code."""
    parts, at = [], 0
    for block in FENCE.finditer(text):
        parts += [change(text[at : block.start()]), block.group()]
        at = block.end()
    return "".join([*parts, change(text[at:])])


def rewritten(link: re.Match[str], file: Path, name: str) -> str:
    """Return where a link of a file leads on the site."""
    target, anchor = link.group(1), link.group(2) or ""
    path = Path(os.path.normpath(file.parent / target))
    if not path.exists():
        log.warning("%s: there is no %s", file.relative_to(ROOT), target)
    here = (DOCS / name).parent
    if path in PAGES:
        return os.path.relpath(DOCS / f"{PAGES[path]}.md", here) + anchor
    if path == ROOT / "README.md":
        return os.path.relpath(DOCS / "index.md", here)
    if path.is_relative_to(DOCS) and path.is_file():
        return os.path.relpath(path, here) + anchor
    kind = "tree" if path.is_dir() else "blob"
    return f"{FORGE}/{kind}/main/{path.relative_to(ROOT)}{anchor}"


def navigation(text: str) -> str:
    """Return the site's navigation: the links of each section, then the other pages of their folders."""
    trees = []
    listed = {path for _, path in ENTRY.findall(text)}
    for section in text.split("\n## ")[1:]:
        caption, _, body = section.partition("\n")
        links = ENTRY.findall(body)
        folders = sorted({path.rpartition("/")[0] for _, path in links if not path.endswith("/index")} - {""})
        if links:
            pages = [f"{folder}/{page.stem}" for folder in folders for page in sorted((DOCS / folder).glob("*.md"))]
            others = [page for page in pages if page not in listed]
            listed.update(others)
            entries = [f"{title} <{path}>" for title, path in links]
            trees.append(toctree(caption, entries + others))
    return "".join(trees)


def toctree(caption: str, entries: list[str]) -> str:
    """Return a table of contents that only the navigation shows."""
    lines = ["```{toctree}", ":hidden:", ":glob:", *([f":caption: {caption}"] if caption else []), "", *entries, "```"]
    return "\n\n" + "\n".join(lines) + "\n"


# What a browser fetches without being asked: not the links that a reader may follow.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//[^>]*>"""
    r"""|<link\b[^>]*\bhref=["']?(?:https?:)?//[^>]*>|url\(["']?(?:https?:)?//[^)]*\)|@import\s+["'](?:https?:)?//[^"']*"""
)


def look_for_other_hosts(app: Sphinx, failed: Exception | None) -> None:
    """Warn of everything for which a reader's browser would call another host."""
    if failed is not None:
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in {".html", ".css"}:
            for found in FETCHED.findall(path.read_text(encoding="utf-8")):
                log.warning("%s calls another host: %s", path.relative_to(app.outdir), found)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx about it."""
    app.connect("source-read", read)
    app.connect("build-finished", look_for_other_hosts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
