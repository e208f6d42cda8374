"""Makes the site: ``python -m website.build`` writes it to ``build/site``, or names what is wrong and ends with 1.

Notebooks and texts are copied to ``build/site-source`` with links that hold on the site, one folder a language, and
rendered by Sphinx; notebooks with the outputs that they hold, none is executed. Warnings are errors. Then every link
of every written page is followed.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from notebooks.links import repository
from website.check import faults
from website.pages import LANGUAGES, Page, Site, SiteError, folder_of

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "site"
SOURCE = ROOT / "build" / "site-source"


def stage(site: Site, language: str, folder: Path) -> None:
    """Write what Sphinx reads for a language into an empty folder."""
    for page in site.pages:
        if page.language == language:
            text = (site.root / page.source).read_text(encoding="utf-8")
            text = _notebook(text, page, site) if page.source.endswith(".ipynb") else site.rewritten(text, page)
            if page.name == "index":
                text += "\n" + site.contents(language)
            _write(folder / page.staged, text)
    for name, text in site.overviews(language).items():
        _write(folder / f"{name}.md", text)
    for name in site.offered:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site.root / name, folder / name)


def _notebook(text: str, page: Page, site: Site) -> str:
    notebook = json.loads(text)
    notebook["metadata"]["language_info"] = {
        "name": "python",
        "pygments_lexer": "ipython3",
    }  # knows "%" and "!" commands
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = site.rewritten("".join(cell["source"]), page)
        for output in cell.get("outputs", ()):
            if "text/markdown" in output.get("data", {}):
                output["data"]["text/markdown"] = site.rewritten("".join(output["data"]["text/markdown"]), page)
    return json.dumps(notebook, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Build both languages and check the pages; ends with 1 and the reason where something is wrong."""
    for folder in (OUT, SOURCE):
        shutil.rmtree(folder, ignore_errors=True)
    site = Site(ROOT, repository())
    for language in LANGUAGES:
        source, out = SOURCE / language, OUT / folder_of(language)
        try:
            stage(site, language, source)
        except SiteError as wrong:
            sys.exit(str(wrong))
        settings = ["-q", "-W", "--keep-going", "-c", str(ROOT / "website"), "-t", language]
        if build_main([*settings, "-d", str(SOURCE / f"{language}-doctrees"), str(source), str(out)]):
            sys.exit("Sphinx has named above what is wrong.")
    if wrong := faults(OUT):
        sys.exit("\n".join(wrong))
    sys.stdout.write(f"{len(site.pages)} pages: {OUT / 'index.html'}\n")


if __name__ == "__main__":
    main()
