"""The site: every notebook and text is a page, links lead where they did, and the built pages need no other host.

``make site`` builds it; then ``pytest -m browser tests/test_site.py`` looks at it in Chromium.
"""

import functools
import http.server
import json
import re
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from tests.chromium import CHROMIUM, DRIVER, asked, chromium
from website.check import faults
from website.pages import ENGLISH, KOREAN, SECTIONS, Page, Site, SiteError, name_on_site, pages_of

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "build" / "site"
ADDRESS = "https://github.com/name/tdd"
NO_PAGES = re.compile(r"website/|notebooks/ko/\w+\.md|notebooks/ko/solutions/\w+\.md")
"""The front pages, which stand outside of the table of contents, and the texts that Korean notebooks are built of."""


@pytest.fixture(scope="module")
def site():
    return Site(ROOT, ADDRESS)


def committed(*endings):
    listed = subprocess.run(["git", "ls-files", *endings], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git repository")
    return set(listed.stdout.split())


def test_every_notebook_and_text_is_in_the_table_of_contents(site):
    expected = {path for path in committed("*.md", "*.ipynb") if not NO_PAGES.match(path)}
    assert len(expected) > 30
    listed = [
        page for section in SECTIONS for language in (ENGLISH, KOREAN) for page in pages_of(section, language, ROOT)
    ]
    assert {page.source for page in listed} == expected
    shown = {
        language: site.contents(language) + "".join(site.overviews(language).values()) for language in (ENGLISH, KOREAN)
    }
    for page in listed:
        assert re.search(rf"(?:^|</?){re.escape(page.name)}(?:$|>)", shown[page.language], re.MULTILINE), page


def test_no_two_pages_have_one_place(site):
    places = [(page.language, page.name) for page in site.pages]
    assert len(set(places)) == len(places)


def test_names_of_translations_are_those_of_their_originals():
    pairs = {
        "README.ko.md": "README.md", "data/README.ko.md": "data/README.md",
        "docs/ko/departures.md": "docs/departures.md",
        "notebooks/ko/02_backbone.ipynb": "notebooks/02_backbone.ipynb",
    }  # fmt: skip
    assert [name_on_site(path) for path in pairs] == [name_on_site(path) for path in pairs.values()]
    assert name_on_site("docs/token.md") == "docs/token"


@pytest.fixture
def small(tmp_path):
    """A repository with a page in both languages, one in English, and files that are no page."""
    for name in ("README.md", "README.ko.md", "docs/LOG.md", "notebooks/00_a.ipynb", "notebooks/solutions/00_a.ipynb",
                 "figures/a.png", "tdd/config.py", "website/index.md", "website/index.ko.md"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# A\n", encoding="utf-8")
    for path in tmp_path.rglob("*.ipynb"):
        path.write_text(json.dumps({"cells": [{"source": ["# 00 `A`\n", "text"]}]}), encoding="utf-8")
    return Site(tmp_path, ADDRESS)


@pytest.mark.parametrize(
    ("source", "written", "expected"),
    [
        ("README.md", "[log](docs/LOG.md#a--b)", "[log](docs/LOG.md#a--b)"),
        ("README.ko.md", "[log](docs/LOG.md#a--b)", "[log](place:../docs/LOG.html#a--b)"),
        ("README.ko.md", "[English](README.md)", "[English](page:../README.html)"),
        ("docs/LOG.md", "[한국어](../README.ko.md)", "[한국어](page:../ko/README.html)"),
        ("website/index.md", "[log](../docs/LOG.md)", "[log](docs/LOG.md)"),
        ("website/index.md", "[answers](../notebooks/solutions)", "[answers](notebooks/solutions/index.md)"),
        ("docs/LOG.md", "![a](../figures/a.png)", "![a](../figures/a.png)"),
        ("website/index.ko.md", "[`code`](../tdd)", f"[`code`]({ADDRESS}/tree/main/tdd)"),
        ("website/index.ko.md", "[a](../README.md) [b](../docs/LOG.md)", "[a](README.md) [b](page:../docs/LOG.html)"),
        ("README.md", "[![Open](https://x.org/badge.svg)](https://y.org)", "[Open](https://y.org)"),
        ("README.md", "[![p](figures/a.png)](docs/LOG.md)", "[![p](figures/a.png)](docs/LOG.md)"),
        ("README.md", "`[a](none)` and\n```\n[b](none)\n```\n", "`[a](none)` and\n```\n[b](none)\n```\n"),
        ("README.md", "[here](#a) [there](https://y.org)", "[here](#a) [there](https://y.org)"),
    ],
)  # fmt: skip
def test_links_lead_to_the_same_places(small, source, written, expected):
    page = next(page for page in small.pages if page.source == source)
    assert small.rewritten(written, page) == expected


def test_pictures_and_data_that_are_linked_are_offered(small):
    page = next(page for page in small.pages if page.source == "README.md")
    small.rewritten("![a](figures/a.png) [b](tdd/config.py) [c](docs/LOG.md)", page)
    assert small.offered == {"figures/a.png", "tdd/config.py"}


def test_without_an_address_a_folder_is_no_link(small):
    small.repository = None
    assert small.rewritten("see [`tdd`](tdd).", Page("README.md", ENGLISH, "README")) == "see `tdd`."


def test_a_link_to_nothing_is_refused(small):
    with pytest.raises(SiteError, match=r"README\.md links to docs/none\.md, and docs/none\.md is not there"):
        small.rewritten("[a](docs/none.md)", Page("README.md", ENGLISH, "README"))


def test_every_page_leads_to_its_translation_where_there_is_one(small):
    assert small.counterpart("README", ENGLISH) == "ko/README.html"
    assert small.counterpart("README", KOREAN) == "../README.html"
    assert small.counterpart("docs/LOG", ENGLISH) is None


def test_overviews_name_their_files(small):
    assert "00 A </notebooks/solutions/00_a>" in small.overviews(ENGLISH)["notebooks/solutions/index"]
    assert small.overviews(KOREAN) == {}


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ('<a href="b.html#p">', "b.html#p leads nowhere"),
        ('<a href="c.html">', "c.html leads nowhere"),
        ('<img src="none.png">', "none.png leads nowhere"),
        ('<script src="https://x.org/a.js"></script>', "loads https://x.org/a.js"),
        ('<link rel="stylesheet" href="//x.org/a.css">', "loads //x.org/a.css"),
        ('<video><source src="http://x.org/a.mp4"></video>', "loads http://x.org/a.mp4"),
        ("<style>@import 'https://x.org/a.css';</style>", "loads @import 'https://x.org/a.css"),
    ],
)
def test_a_page_with_a_fault_is_named(tmp_path, page, said):
    (tmp_path / "b.html").write_text('<p id="q"><a href="a.html">', encoding="utf-8")
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    assert faults(tmp_path) == [f"a.html: {said}"]


def test_a_good_page_has_no_fault(tmp_path):
    (tmp_path / "b.html").write_text('<p id="q">', encoding="utf-8")
    (tmp_path / "a.html").write_text(
        '<a href="b.html#q"><a href="#top" id="top"><a href="https://x.org"><video src="data:video/mp4;base64,AA==">'
        '<a href="b.html?x=1#q"><link rel="stylesheet" href="a.css">',
        encoding="utf-8",
    )
    (tmp_path / "a.css").write_text("p { background: url(b.html) }", encoding="utf-8")
    assert faults(tmp_path) == []
    (tmp_path / "a.css").write_text("@font-face { src: url(https://x.org/a.woff) }", encoding="utf-8")
    assert faults(tmp_path) == ["a.css: loads url(https://x.org/a.woff"]


def test_the_workflow_builds_and_publishes_the_folder_that_make_site_writes():
    workflow = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == ["make site"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", name) for name in used)
    uploaded = next(step["with"]["path"] for step in steps if "upload-pages-artifact" in step.get("uses", ""))
    assert ROOT / uploaded == BUILT
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["publish"]["permissions"] == {"pages": "write", "id-token": "write"}


def test_the_site_has_packages_of_its_own_and_pins_them_all():
    pins = (ROOT / "requirements-site.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0] for line in pins if not line.startswith("#")}
    assert pinned and all(re.match(r"[\w.-]+==[\w.]+(?: ;|$)", line) for line in pins if not line.startswith("#"))
    assert set((ROOT / "website/requirements.in").read_text(encoding="utf-8").split()) <= pinned
    assert not {"torch", "selenium"} & pinned


SIZES = {"laptop": (1366, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium on the built site, which keeps a list of what it asked for."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs chromium and chromedriver (apt: chromium-driver)")
    if not (BUILT / "index.html").is_file():
        pytest.skip("needs the site: make site")
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def address():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=BUILT)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(params=SIZES)
def opened(browser, address, request):
    """Opens a page in the size of a laptop and of a phone, and waits until a script says that it is ready."""
    from selenium.webdriver.support.wait import WebDriverWait

    width, height = SIZES[request.param]
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": request.param == "phone"},
    )
    browser.get_log("performance")

    def open_page(page, ready="return document.readyState == 'complete'"):
        browser.get(address + page)
        WebDriverWait(browser, 60).until(lambda _: browser.execute_script(ready))
        return browser

    yield open_page
    addresses = asked(browser)
    assert addresses and not [url for url in addresses if not url.startswith((address, "data:", "blob:"))]


def wider_than_the_page(browser):
    return browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.browser
@pytest.mark.parametrize(
    "page", ["index.html", "ko/index.html", "README.html", "docs/LOG.html", "api/tdd/losses/index.html"]
)
def test_texts_fit_the_screen(opened, page):
    browser = opened(page)
    assert wider_than_the_page(browser) <= 0
    assert not browser.execute_script("return document.querySelector('script[src*=mathjax]')")  # 1.2 MB, for formulas


@pytest.mark.browser
def test_films_and_sound_play(opened):
    seen = (
        "const all = [...document.querySelectorAll('video, audio')];"
        "return all.length > 1 && all.every(one => one.readyState >= 2)"
    )
    browser = opened("notebooks/00_start_here.html", seen)
    for tag in ("video", "audio"):
        played = browser.execute_async_script(
            "const [tag, done] = arguments; const one = document.querySelector(tag); one.muted = true;"
            "one.ontimeupdate = () => one.currentTime > 0.2 && done([one.duration, one.currentTime]); one.play()", tag,
        )  # fmt: skip
        assert played[0] >= 1 and played[1] > 0.2, tag
    assert wider_than_the_page(browser) <= 0


@pytest.mark.browser
@pytest.mark.parametrize("page", ["notebooks/04_stage2_detection.html", "notebooks/06_results_and_auc.html"])
def test_formulas_are_set_without_a_network(opened, page):
    browser = opened(page, "return document.querySelectorAll('mjx-container').length > 10")
    assert browser.execute_script("return document.querySelectorAll('mjx-merror').length") == 0
    assert browser.execute_script(
        "return [...document.fonts].some(one => one.family.startsWith('MJX') && one.status == 'loaded')"
    )
    assert browser.execute_script("return [...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert wider_than_the_page(browser) <= 0


@pytest.mark.browser
@pytest.mark.parametrize(
    ("search", "found"), [("search.html?q=collapse", "03 Stage 1"), ("ko/search.html?q=합성", "tdd")]
)
def test_search_finds_a_page(opened, search, found):
    titles = "[...document.querySelectorAll('ul.search li a')].map(one => one.textContent)"
    assert wider_than_the_page(opened(search, f"return {titles}.some(title => title.includes('{found}'))")) <= 0


@pytest.mark.browser
def test_the_language_switch_leads_there_and_back(opened):
    browser = opened("README.html")
    for language in ("ko", "en"):
        browser.execute_script("document.querySelector('.language-switch a').click()")
        browser.execute_async_script("const [done] = arguments; setTimeout(done, 1500)")
        assert browser.execute_script("return document.documentElement.lang") == language
        assert browser.current_url.endswith("/README.html")
