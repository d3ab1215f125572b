"""Where the French text comes from: unpacked Debian packages, each read as (document, paragraphs).

A document is one page, or one headword of the dictionary: the unit that goes whole into training, validation or test.
"""

import gzip
import re
import struct
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

Document = tuple[str, list[str]]

# Package -> pages, below the folder it was unpacked to. Each licence allows use under GPL-3.0-or-later.
PAGES = {
    "debian-handbook": "usr/share/doc/debian-handbook/html/fr-FR/*.html",
    "debian-reference-fr": "usr/share/debian-reference/*.fr.html",
    "developers-reference-fr": "usr/share/developers-reference/fr/*.html",
    "maint-guide-fr": "usr/share/doc/maint-guide-fr/html/*.fr.html",
    "aptitude-doc-fr": "usr/share/doc/aptitude/html/fr/*.html",
    "debian-edu-doc-fr": "usr/share/doc/debian-edu-doc-fr/debian-edu-bookworm-manual.html",
    "libreoffice-help-fr": "usr/share/libreoffice/help/fr/text/**/*.html",
}
DICTIONARY = "stardict-xmlittre"

BLOCKS = {"p", "li", "dd", "dt", "td", "th", "h1", "h2", "h3", "h4", "h5", "div", "br", "title"}
SKIPPED = {"script", "style", "pre", "head", "nav"}
# Old French, etymologies and place names: another language, for our purpose.
ARCHAIC = re.compile(r"<b><big>(?:HISTORIQUE|ÉTYMOLOGIE)</big></b>.*?(?=<b><big>|\Z)", re.DOTALL)
AUTHOR_OR_PLACE = re.compile(r'<span foreground="#(?:B22222|556B2F)">[^<]*</span>')
TAG = re.compile(r"<[^>]*>")


def documents(package: str, root: Path) -> Iterator[Document]:
    """All documents of a package that was unpacked to `root`, in a fixed order."""
    return dictionary(root) if package == DICTIONARY else pages(root, PAGES[package])


def pages(root: Path, pattern: str) -> Iterator[Document]:
    for path in sorted(root.glob(pattern)):
        reader = _Paragraphs()
        reader.feed(path.read_text("utf-8", errors="strict"))
        yield str(path.relative_to(root)), reader.finish()


def dictionary(root: Path) -> Iterator[Document]:
    """Headwords of a StarDict dictionary; one with several entries is one document."""
    folder = root / "usr/share/stardict/dic"
    texts = gzip.decompress((folder / "XMLittre.dict.dz").read_bytes())
    index = (folder / "XMLittre.idx").read_bytes()
    at, entries = 0, {}
    while at < len(index):
        end = index.index(b"\0", at)
        start, length = struct.unpack_from(">II", index, end + 1)
        entries.setdefault(index[at:end].decode("utf-8"), set()).add((start, length))
        at = end + 9
    seen: set[tuple[int, int]] = set()
    for word, spans in sorted(entries.items()):
        fresh = sorted(spans - seen)
        seen.update(fresh)
        if fresh:
            yield word, [line for start, length in fresh for line in _entry(texts[start : start + length])]


def _entry(raw: bytes) -> list[str]:
    """Lines of one entry: definitions, remarks and quotations, without authors, places and what is Old French."""
    text = ARCHAIC.sub("", raw.decode("utf-8"))
    text = TAG.sub("", AUTHOR_OR_PLACE.sub("", text))
    return [re.sub(r"\s*(?:,\s*)+\.?$", ".", line.strip()) for line in text.splitlines() if line.strip()]


class _Paragraphs(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line = ""
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped += tag in SKIPPED
        if tag in BLOCKS:
            self._break()

    def handle_endtag(self, tag: str) -> None:
        self._skipped = max(0, self._skipped - (tag in SKIPPED))
        if tag in BLOCKS:
            self._break()

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self._line += data

    def finish(self) -> list[str]:
        self.close()
        self._break()
        return self._lines

    def _break(self) -> None:
        if line := " ".join(self._line.split()):
            self._lines.append(line)
        self._line = ""
