"""Follows every link of a built site, and finds what would ask another host."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

LOADED = {
    "script": ("src",), "img": ("src", "srcset"), "video": ("src", "poster"), "audio": ("src",),
    "source": ("src", "srcset"), "track": ("src",), "iframe": ("src",), "embed": ("src",), "object": ("data",),
    "link": ("href",), "input": ("src",),
}  # fmt: skip
"""Attributes by which a page fetches something without a click."""

FOREIGN = re.compile(r"(?:https?:)?//", re.IGNORECASE)
FETCHED_BY_STYLE = re.compile(r"(?:url\(\s*|@import\s+)[\"']?(?:https?:)?//[^\s\"')]+", re.IGNORECASE)


class Written(HTMLParser):
    """What a page says: ``places`` that links can name, ``links``, and ``loaded`` addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.styles: list[str] = FETCHED_BY_STYLE.findall(text)
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sort the tag's attributes."""
        found = {name: value for name, value in attrs if value}
        self.places |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        self.loaded += [found[name] for name in LOADED.get(tag, ()) if name in found]


def faults(folder: Path) -> list[str]:
    """One sentence for every link that leads nowhere and for every address of another host that a page loads."""
    pages = {path.resolve(): Written(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(folder.resolve())
        found += [f"{name}: loads {address}" for address in [*page.loaded, *page.styles] if FOREIGN.match(address)]
        found += [f"{name}: loads {style}" for style in page.styles if not FOREIGN.match(style)]
        for link in [*page.links, *page.loaded]:
            if not leads_somewhere(link, path, pages):
                found.append(f"{name}: {link} leads nowhere")
    for path in sorted(folder.rglob("*.css")):
        styles = FETCHED_BY_STYLE.findall(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(folder)}: loads {style}" for style in styles]
    return found


def leads_somewhere(link: str, path: Path, pages: dict[Path, Written]) -> bool:
    """Whether a link on the page at ``path`` names a file, and one of its places if any; other hosts are not asked."""
    if re.match(r"[a-z][a-z0-9+.-]*:|//", link, re.IGNORECASE):
        return True
    address, place = urldefrag(link)
    target = (path.parent / unquote(address.partition("?")[0])).resolve() if address else path
    if target.is_dir():
        target /= "index.html"
    if target not in pages:
        return target.is_file()
    return not place or unquote(place) in pages[target].places
