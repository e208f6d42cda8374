"""Which files of the repository are pages of the site, in which order, and where their links lead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from posixpath import join, normpath, relpath

ENGLISH, KOREAN = "en", "ko"
LANGUAGES = {ENGLISH: "English", KOREAN: "한국어"}
MODULES = "api/tdd/index"
"""The page that begins the reference made from docstrings."""

PART = re.compile(
    r"^[ ]*```.*?^[ ]*```[ ]*$"
    r"|!\[(?P<badge>[^\]]*)\]\(https?://[^)]*\)"
    r"|\[(?P<text>(?:`[^`\n]*`|!\[[^\]]*\]\([^)]*\)|[^\[\]`])*)\]\((?P<link>[^)\s]+)\)"
    r"|`[^`\n]+`",
    re.MULTILINE | re.DOTALL,
)
"""A block of code, a picture of another host, a link (of a picture too), or a piece of code, whichever begins first."""
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:")


@dataclass(frozen=True)
class Section:
    """A part of the table of contents: its title and the files in it, by language.

    With ``overview`` the files stand on a page of their own, of that name, which the table of contents shows instead.
    """

    title: dict[str, str]
    files: dict[str, tuple[str, ...]]
    overview: str = ""


SECTIONS = (
    Section(
        {ENGLISH: "Notebooks", KOREAN: "노트북"},
        {ENGLISH: ("notebooks/[0-9]*.ipynb",), KOREAN: ("notebooks/ko/[0-9]*.ipynb",)},
    ),
    Section(
        {ENGLISH: "Answers to the exercises", KOREAN: "연습 문제 풀이"},
        {ENGLISH: ("notebooks/solutions/[0-9]*.ipynb",), KOREAN: ("notebooks/ko/solutions/[0-9]*.ipynb",)},
        overview="notebooks/solutions/index",
    ),
    Section(
        {ENGLISH: "Guides", KOREAN: "안내서"},
        {
            ENGLISH: ("README.md", "data/README.md", "docs/*.md", "CHANGELOG.md"),
            KOREAN: ("README.ko.md", "data/README.ko.md", "docs/ko/*.md"),
        },
    ),
    Section(
        {ENGLISH: "What was measured", KOREAN: "측정 결과"},
        {ENGLISH: ("benchmarks/studies/*.md", "benchmarks/results/**/*.md"), KOREAN: ()},
        overview="benchmarks/results/index",
    ),
)


class SiteError(Exception):
    """A file that cannot become a page; one sentence says why."""


@dataclass(frozen=True)
class Page:
    """``source``: path in the repository. ``name``: path on the site, within its language and without ending."""

    source: str
    language: str
    name: str

    @property
    def staged(self) -> str:
        """Path of the file that Sphinx reads."""
        return self.name + PurePosixPath(self.source).suffix


def name_on_site(source: str) -> str:
    """``docs/ko/a.md`` → ``docs/a``: without ending and language, so that a page and its translation have one name."""
    parts = [part for part in PurePosixPath(source).with_suffix("").parts if part != KOREAN]
    return "/".join(parts).removesuffix(f".{KOREAN}")


def front_page(language: str) -> Page:
    """The page at the address of the site, or at ``ko/``."""
    ending = "" if language == ENGLISH else f".{language}"
    return Page(f"website/index{ending}.md", language, "index")


def pages_of(section: Section, language: str, root: Path) -> list[Page]:
    """In the order of its patterns, then of names."""
    found = [path for pattern in section.files[language] for path in sorted(root.glob(pattern))]
    sources = [path.relative_to(root).as_posix() for path in found]
    return [Page(source, language, name_on_site(source)) for source in sources]


@dataclass
class Site:
    """All pages, and the answers to where a link of one leads.

    Args:
        root: folder of the repository.
        repository: its address, where folders are shown; none while it has none.
    """

    root: Path
    repository: str | None
    pages: list[Page] = field(init=False)
    offered: set[str] = field(default_factory=set)
    """Pictures and data that rewritten pages show or link: paths in the repository."""

    def __post_init__(self) -> None:
        self.pages = [front_page(language) for language in LANGUAGES]
        self.pages += [page for s in SECTIONS for language in LANGUAGES for page in pages_of(s, language, self.root)]
        self._by_source = {page.source: page for page in self.pages}
        self._by_place = {(page.language, page.name): page for page in self.pages}
        self._names = {language: self._names_of(language) for language in LANGUAGES}

    def _names_of(self, language: str) -> set[str]:
        overviews = {s.overview for s in SECTIONS if s.overview and pages_of(s, language, self.root)}
        return {page.name for page in self.pages if page.language == language} | overviews

    def counterpart(self, name: str, language: str) -> str | None:
        """The link from a page to the same page in the other language, or none where there is none."""
        return self._across(name, language, name) if name in self._names[other_than(language)] else None

    def _across(self, name: str, language: str, target: str) -> str:
        """From a page to one of the other language."""
        here, there = (
            PurePosixPath(found, path)
            for found, path in ((folder_of(language), name), (folder_of(other_than(language)), target))
        )
        return relpath(f"{there}.html", here.parent)

    def rewritten(self, text: str, page: Page) -> str:
        """A Markdown text whose links lead to the same places on the site; pictures of other hosts become their text.

        Files that are no page are offered as they are. Folders are shown where the repository lies; without an address
        their text stands there alone.

        Raises:
            SiteError: a link leads to a file that is not there.
        """

        def part(found: re.Match[str]) -> str:
            if found["link"] is None:
                return found[0] if found["badge"] is None else found["badge"]
            shown, target = self.rewritten(found["text"], page), self._target(found["link"], page)
            return f"[{shown}]({target})" if target else shown

        return PART.sub(part, text)

    def _target(self, link: str, page: Page) -> str:
        if link.startswith(("#", "/")) or ADDRESS.match(link):
            return link
        path, _, place = link.partition("#")
        source = normpath(join(str(PurePosixPath(page.source).parent), path))
        if not (self.root / source).exists():
            raise SiteError(f"{page.source} links to {link}, and {source} is not there.")
        folder = str(PurePosixPath(page.name).parent)
        found = self._by_source.get(source) or self._overview_of(source, page.language)
        if found and page.name == "index":  # a front page leads to its own language where it can
            found = self._by_place.get((page.language, found.name), found)
        if found and found.language == page.language:
            return relpath(found.staged, folder) + (f"#{place}" if place else "")
        if found:
            address = self._across(page.name, page.language, found.name)
            return f"place:{address}#{place}" if place else f"page:{address}"
        if (self.root / source).is_file():
            self.offered.add(source)
            return relpath(source, folder)
        return f"{self.repository}/tree/main/{source}" if self.repository else ""

    def _overview_of(self, folder: str, language: str) -> Page | None:
        """The page that lists the files of a folder, in that language where there is one."""
        name = f"{name_on_site(folder)}/index"
        written = [spoken for spoken in (language, other_than(language)) if name in self._names[spoken]]
        return Page(f"{name}.md", written[0], name) if written else None

    def contents(self, language: str) -> str:
        """The table of contents of a language, as Sphinx reads it at the end of the front page."""
        trees = []
        for section in SECTIONS:
            pages = pages_of(section, language, self.root)
            if pages and section.overview:
                trees.append(tree([f"{section.title[language]} <{section.overview}>"]))
            elif pages:
                entries = [f"README <{page.name}>" if page.name == "README" else page.name for page in pages]
                trees.append(tree(entries, section.title[language]))  # the README's title is that of the front page
        if language == ENGLISH:
            trees.append(tree([f"Every module <{MODULES}>"]))
        return "\n".join(trees)

    def overviews(self, language: str) -> dict[str, str]:
        """The pages that list a section's files: name to text."""
        found = {}
        for section in SECTIONS:
            pages = pages_of(section, language, self.root)
            if pages and section.overview:
                entries = [f"{title} </{page.name}>" for title, page in zip(self._titles(pages), pages, strict=True)]
                found[section.overview] = f"# {section.title[language]}\n\n{tree(entries, hidden=False)}"
        return found

    def _titles(self, pages: list[Page]) -> Iterable[str]:
        """Headings, with the name of the study before one that several pages share."""
        titles = [heading(self.root / page.source).replace("`", "") for page in pages]
        for title, page in zip(titles, pages, strict=True):
            study = PurePosixPath(page.name).parts[2:3] if titles.count(title) > 1 else ()
            yield ": ".join([*study, title])


def folder_of(language: str) -> str:
    """Where its pages lie on the site."""
    return "" if language == ENGLISH else language


def other_than(language: str) -> str:
    """The other of the two languages."""
    return KOREAN if language == ENGLISH else ENGLISH


def tree(entries: Iterable[str], caption: str = "", hidden: bool = True) -> str:
    """A ``toctree`` of MyST."""
    options = [":hidden:"] * hidden + [f":caption: {caption}"] * bool(caption) + [":maxdepth: 1"]
    return "\n".join(["```{toctree}", *options, "", *entries, "```", ""])


def heading(path: Path) -> str:
    """The first heading of a Markdown file or of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "".join(json.loads(text)["cells"][0]["source"])
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    if not found:
        raise SiteError(f"{path} has no heading, so the table of contents has no name for it.")
    return found[1]
