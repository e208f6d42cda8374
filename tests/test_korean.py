"""The Korean texts: all of today's English, its code, formulas, links and numbers, in the words of docs/terms.md."""

import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from markdown_it import MarkdownIt
from nbclient import NotebookClient

from notebooks import translate
from tdd.notebook.workspace import TRANSLATIONS

ROOT = Path(__file__).parents[1]
ENGLISH = sorted(
    path.relative_to(ROOT / "notebooks").with_suffix("").as_posix()
    for folder in (".", "solutions")
    for path in (ROOT / "notebooks" / folder).glob("[0-9]*.ipynb")
)
TEXTS = [
    ROOT / "README.ko.md",
    *sorted((ROOT / "notebooks/ko").rglob("*.md")),
    *sorted((ROOT / "docs/ko").glob("*.md")),
]
LARGEST = 1_000_000
"""Bytes of a built notebook with its outputs."""

FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
REMAKE = "run  python notebooks/translate.py"

each = pytest.mark.parametrize("name", ENGLISH)
every = pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def english_cells(name):
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    return {cell.id: without_badge(cell.source) for cell in notebook.cells if cell.cell_type == "markdown"}


def korean_cells(name):
    return translate.read_texts((ROOT / "notebooks/ko" / f"{name}.md").read_text(encoding="utf-8"))


def pairs(name):
    """(id, English, Korean) of each cell that both have."""
    english, korean = english_cells(name), korean_cells(name)
    return [(key, english[key], korean[key].text) for key in english if key in korean]


def without_badge(text):
    return "\n".join(line for line in text.splitlines() if not line.startswith(translate.BADGE))


def plain(text):
    """A text without formulas, code and the targets of links."""
    return re.sub(r"\]\([^)]*\)", "]", CODE.sub("", FORMULA.sub("", text)))


def kept(text):
    """What a translation keeps: formulas, code, links, numbers, citations of arXiv."""
    words = plain(text)
    numbers = re.findall(r"(?<![\w.])[-−+]?\d[\d,]*(?:\.\d+)?%?", words)
    return {
        "formulas": {re.sub(r"\s+", " ", found) for found in FORMULA.findall(text)},
        "code": {re.sub(r"\s+", " ", found) for found in CODE.findall(FORMULA.sub("", text))},
        "links": set(translate.LINK.findall(text)),
        "numbers": {number.rstrip(",").lstrip("0") or "0" for number in numbers},
    }


def without_blocks(text):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def structure(text):
    """Headings by level, entries of lists, rows of tables, displayed formulas."""
    kinds = {"heading": r"^(#+) ", "number": r"^(\d+)\. ", "entry": r"^(-) ", "row": r"^(\|)", "display": r"^(\$\$)"}
    return {name: re.findall(pattern, text, re.MULTILINE) for name, pattern in kinds.items()}


def terms(heading):
    """(first cell, second cell) of each row of a table of docs/terms.md; the first table has no heading."""
    sections = re.split(r"^## ", (ROOT / "docs/terms.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (table,) = [part for part in sections if part.startswith(heading)]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")]
    return [(first.strip(), second.strip()) for first, second in rows[1:]]


TERMS, MANY, FORBIDDEN = terms("# Terms"), terms("Words with"), terms("Not to")


@each
def test_every_cell_is_translated_from_today_s_english(name):
    _, faults = translate.build(name)
    assert not faults, "\n".join(faults)


@each
def test_the_notebook_is_what_the_script_builds(name):
    built = (ROOT / "notebooks/ko" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert built == translate.build(name)[0], REMAKE
    assert len(built.encode()) <= LARGEST


@each
def test_code_and_outputs_are_those_of_the_english_notebook(name):
    english, korean = (
        nbformat.read(ROOT / folder / f"{name}.ipynb", as_version=4) for folder in ("notebooks", "notebooks/ko")
    )
    assert [cell.id for cell in korean.cells] == [cell.id for cell in english.cells]
    code = [[cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (english, korean)]
    assert code[0] == code[1] and english.metadata == korean.metadata


@each
def test_nothing_is_lost_in_translation(name):
    for key, english, korean in pairs(name):
        assert structure(korean) == structure(english), key
        expected, found = kept(english), kept(korean)
        for kind in ("formulas", "code", "links"):
            assert found[kind] == expected[kind], (key, kind, found[kind] ^ expected[kind])
        assert expected["numbers"] <= found["numbers"], (key, expected["numbers"] - found["numbers"])
        assert english.count("**Prediction.**") == korean.count("**예상.**"), key
        assert english.count("**Answer.**") == korean.count("**답.**"), key


@each
def test_a_term_is_said_as_the_list_of_terms_says(name):
    for key, english, korean in pairs(name):
        for term, said in TERMS:
            for word in re.sub(r" \(.*", "", term).split(", "):
                renderings = [*re.split(" / |, ", said), word]
                used = re.search(rf"\b{re.escape(word)}(s|es)?\b", plain(english))
                assert not used or any(rendering in korean for rendering in renderings), (key, word, said)


@each
def test_links_lead_to_files_and_to_korean_ones_where_there_are(name):
    folder = (ROOT / "notebooks/ko" / name).parent
    notebook = nbformat.read(ROOT / "notebooks/ko" / f"{name}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    inside = [link.partition("#")[0] for link in translate.LINK.findall(text) if "://" not in link]
    assert len(inside) >= 3
    note = inside[0]  # behind the title: where the English notebook lies
    assert (folder / note).resolve() == ROOT / "notebooks" / f"{name}.ipynb"
    for link in inside:
        place = (folder / link).resolve()
        assert place.is_file(), link
        assert link == note or place.suffix != ".ipynb" or (ROOT / "notebooks/ko") in place.parents, link


def test_a_changed_english_cell_is_named_and_shown_in_english(monkeypatch):
    read = nbformat.read

    def changed(path, **options):
        notebook = read(path, **options)
        if "/ko/" not in Path(path).as_posix():
            notebook.cells[3].source += "\n\nOne sentence more."
            notebook.cells.append(nbformat.v4.new_markdown_cell("New.", id="new"))
        return notebook

    monkeypatch.setattr(translate.nbformat, "read", changed)
    text, faults = translate.build("02_backbone")
    assert [fault.split(";")[0] for fault in faults] == [
        "02_backbone.md: cell data has changed", "02_backbone.md: cell new is not translated",
    ]  # fmt: skip
    assert "One sentence more." in text and "국소 시간" in text
    marker = re.search(r"<!-- cell data (\w+) -->", faults[0])
    assert marker[1] != korean_cells("02_backbone")["data"].digest


def test_an_unknown_cell_is_named(monkeypatch):
    texts = translate.read_texts
    monkeypatch.setattr(translate, "read_texts", lambda text: texts(text) | {"gone": translate.Cell("0", "x")})
    assert translate.build("02_backbone")[1] == ["02_backbone.md: the English notebook has no text cell gone."]


@pytest.mark.parametrize("text", ["words\n<!-- cell a 1 -->\nx\n", "<!-- cell a 1 -->\nx\n<!-- cell a 2 -->\ny\n"])
def test_a_file_of_texts_that_cannot_be_read_is_refused(text):
    with pytest.raises(SystemExit, match="has each ID once"):
        translate.read_texts(text)


def test_a_new_address_makes_no_translation_old():
    cell = "# Title\n\n[![Open in Colab](badge)](https://example.org/{})\n\nText."
    assert translate.digest(cell.format("a")) == translate.digest(cell.format("b"))
    assert translate.digest(cell) != translate.digest(cell.replace("Text", "Other"))


def test_solutions_ask_what_the_notebooks_ask():
    for name in [name for name in ENGLISH if "/" not in name]:
        asked = re.findall(r"^\d+\. (.+)$", korean_cells(name)["exercises"].text, re.MULTILINE)
        answered = [cell.text for key, cell in korean_cells(f"solutions/{name}").items() if key != "title"]
        assert [text.split("\n\n")[1] for text in answered] == asked


def test_pages_are_translated_from_today_s_english():
    assert not translate.old_pages()
    assert {path.name for path in (ROOT / translate.PAGES).glob("*.md")} == {"departures.md", "devices.md"}


@pytest.mark.parametrize(
    ("english", "korean"),
    [("README.md", "README.ko.md"), *((f"docs/{name}.md", f"docs/ko/{name}.md") for name in ("departures", "devices"))],
)
def test_pages_lose_nothing(english, korean):
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in (english, korean)]
    blocks = [re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for text in texts]
    assert [len(block.splitlines()) for block in blocks[0]] == [len(block.splitlines()) for block in blocks[1]]
    expected, found = (kept(without_blocks(text)) for text in texts)
    assert structure(without_blocks(texts[0])) == structure(without_blocks(texts[1]))
    assert found["code"] == expected["code"], found["code"] ^ expected["code"]
    assert expected["numbers"] <= found["numbers"], expected["numbers"] - found["numbers"]
    moved = {re.sub(r"(notebooks|docs)/ko/", r"\1/", link) for link in found["links"] - {"README.md"}}
    there, here = (
        {link for link in links if link[0] != "#"} for links in (expected["links"] - {"README.ko.md"}, moved)
    )
    assert here == there, here ^ there


@every
def test_no_word_that_the_list_of_terms_forbids(path):
    text = path.read_text(encoding="utf-8")
    assert not [(word, instead) for word, instead in FORBIDDEN if word in text]


@every
def test_sentences_end_politely_and_alike(path):
    text = plain(without_blocks(path.read_text(encoding="utf-8")))
    assert not re.findall(r"[^\n]{0,30}(?<!니)다\.(?:\s|\)|$)", text)
    assert not re.findall(r"[^\n]{0,30}[해어아에세네군지]요[.?!]", text)


@every
def test_emphasis_is_seen_as_such(path):
    """A closing star after a bracket and before a Korean letter is none, and would be read as a star."""
    for token in MarkdownIt().parse(FORMULA.sub("x", path.read_text(encoding="utf-8"))):
        for child in token.children or []:
            assert child.type != "text" or "*" not in child.content, token.content


def test_the_list_of_terms_is_sorted_used_and_free_of_contradictions():
    text = "\n".join(path.read_text(encoding="utf-8") for path in TEXTS)
    for table in (TERMS, MANY, FORBIDDEN):
        first = [row[0].lower() for row in table]
        assert first == sorted(first) and not [word for word, count in Counter(first).items() if count > 1]
    for english, said in TERMS + MANY:
        for word in re.split(" / |, ", said):
            assert word in text, (english, word)
            assert not [bad for bad, _ in FORBIDDEN if bad in word]
    assert {"무게", "시간표", "밀착 인화", "대역", "훑기"} <= {word for word, _ in FORBIDDEN}


def test_a_korean_notebook_works_where_its_original_does(tmp_path):
    """Its first cells in a kernel that starts in its own folder: the workspace is the one of the English notebooks."""
    assert TRANSLATIONS == ("ko",)
    folder = tmp_path / "notebooks" / "ko"
    folder.mkdir(parents=True)
    notebook = nbformat.read(ROOT / "notebooks/ko/02_backbone.ipynb", as_version=4)
    notebook.cells = notebook.cells[:3]
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    assert "recipe demo, synthetic benchmark, seed 0" in notebook.cells[2].outputs[0]["data"]["text/plain"]
    assert (tmp_path / "runs" / "notebooks" / "demo" / "workspace.json").is_file()
