"""Sphinx settings of the site; ``website/build.py`` runs it once a language, with the language as tag."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

from notebooks.links import repository
from website.pages import ENGLISH, KOREAN, LANGUAGES, Site, other_than

ROOT = Path(__file__).resolve().parents[1]

language = KOREAN if tags.has(KOREAN) else ENGLISH  # noqa: F821, Sphinx puts `tags` here
project = "tdd"
html_title = "tdd"
author = ""
html_show_copyright = False

extensions = [
    "myst_nb",
    "sphinx.ext.mathjax",
    *(["autoapi.extension", "sphinx.ext.napoleon"] if language == ENGLISH else []),
]
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme = "furo"
html_theme_options = {"top_of_page_buttons": ["view"]}
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
html_domain_indices = False

myst_enable_extensions = ["dollarmath", "amsmath", "strikethrough"]
myst_heading_anchors = 6
myst_url_schemes = {
    "http": None,
    "https": None,
    "mailto": None,
    "page": {"url": "{{path}}"},
    "place": {"url": "{{path}}#{{fragment}}"},
}

nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

mathjax_path = "mathjax/tex-chtml.js"
MATHJAX_FILES = ("tex-chtml.js", "output/chtml/fonts/woff-v2")

autoapi_dirs = [str(ROOT / "tdd")]
autoapi_root = "api"
autoapi_options = ["members", "show-module-summary"]
autoapi_own_page_level = "module"
autoapi_add_toctree_entry = False
autoapi_python_class_content = "class"
autoapi_member_order = "bysource"
napoleon_numpy_docstring = False
default_role = "code"
suppress_warnings = ["autoapi.python_import_resolution"]  # constants that are named several in a line


SHOWN_AS_IT_IS = re.compile(r"(``.+?``|`[^`]+`|\*\w[^*]*\w\*)|([*|])")


def pairs(syllables: str) -> list[str]:
    """``영상을`` → ``영상``, ``상을``."""
    return [syllables[n : n + 2] for n in range(len(syllables) - 1)] or [syllables]


class SearchKorean(SearchEnglish):
    """Pairs of neighbouring syllables in place of words: a particle that is joined to a noun hides none."""

    lang = KOREAN
    language_name = "Korean"
    js_splitter_code = """
var splitQuery = (query) => (query.match(/[가-힣]+|[^가-힣\\P{L}]+|[\\p{N}_]+/gu) || []).flatMap((run) =>
  /[가-힣]/.test(run) && run.length > 2 ? [...run].slice(1).map((_, n) => run.slice(n, n + 2)) : [run]);
"""

    def split(self, text: str) -> list[str]:
        """Pairs of Korean, words of anything else."""
        runs = re.findall(r"[가-힣]+|[^\W가-힣]+", text)
        return [part for run in runs for part in (pairs(run) if re.match("[가-힣]", run) else [run])]


def copy_mathjax(app: Sphinx) -> None:
    """Formulas are set by MathJax from the site's own address; a page needs only these files of the package."""
    package = find_spec("sphinx-mathjax-offline")
    folder = Path(package.submodule_search_locations[0]) / "static" / "mathjax"
    for name in MATHJAX_FILES:
        target = Path(app.outdir) / "_static" / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (folder / name).is_dir() else shutil.copyfile)(folder / name, target)


def load_mathjax_where_formulas_are(
    app: Sphinx, name: str, _template: str, context: dict[str, Any], _tree: object
) -> None:
    """Sphinx loads it, 1.2 MB, also where pages with formulas are only listed, as on the front page."""
    if not app.env.get_domain("math").data["has_equations"].get(name):
        context["script_files"] = [one for one in context["script_files"] if one.filename != f"_static/{mathjax_path}"]


def name_places_as_github(_app: Sphinx, tree: nodes.document, _name: str) -> None:
    """Headings keep the anchors that GitHub gives them, beside Sphinx's own."""
    for section in tree.findall(nodes.section):
        if "slug" in section and section["slug"] not in section["ids"]:
            section["ids"].append(section["slug"])


def as_restructured_text(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Docstrings are plain text: a star or a bar stands for itself, and an indented block keeps its columns."""
    found: list[str] = []
    for line in lines:
        text_before = next(filter(None, reversed(found)), " ")
        begins_block = line.startswith(" ") and found[-1:] == [""] and not text_before.startswith(" ")
        found += ["::", ""] * begins_block + [SHOWN_AS_IT_IS.sub(lambda m: m[1] or f"\\{m[2]}", line)]
    lines[:] = found


def setup(app: Sphinx) -> None:
    """Sphinx calls it."""
    site = Site(ROOT, repository())

    def offer_other_language(
        _app: Sphinx, name: str, _template: str, context: dict[str, object], _tree: object
    ) -> None:
        context["counterpart"] = site.counterpart(name, language)
        context["other_language"] = other_than(language)
        context["other_language_name"] = LANGUAGES[other_than(language)]

    app.add_search_language(SearchKorean)
    app.connect("builder-inited", copy_mathjax)
    if language == ENGLISH:
        app.connect("autodoc-process-docstring", as_restructured_text, priority=1)  # before napoleon
    app.connect("doctree-resolved", name_places_as_github)
    app.connect("html-page-context", offer_other_language)
    app.connect("html-page-context", load_mathjax_where_formulas_are)
