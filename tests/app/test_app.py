"""The page for one video: what it shows, what it refuses in one sentence, and that it stays on this machine."""

import json
import sys
import urllib.request
from urllib.parse import urljoin

import av
import numpy as np
import pytest

from tdd.app.interface import about, load_gradio, run_app, said
from tdd.app.page import Page, judge
from tdd.cli import main
from tdd.evaluation.predict import VideoScorer, predict_video
from tdd.preprocess.faces import FaceLandmarker
from tdd.weights.shipped import find_weights
from tests.chromium import asked, chromium, needs_chromium
from tests.evaluation.test_predict import export
from tests.preprocess.discs import GREEN, RED, disc_finders, film
from tests.preprocess.trees import add_video
from website.check import FETCHED_BY_STYLE, FOREIGN, Written

FACE = np.random.default_rng(0).uniform(10, 60, (68, 2)).astype(np.float32)


def finder():
    return FaceLandmarker(finders=disc_finders())


@pytest.fixture
def scorer():
    return VideoScorer(find_weights("demo-ssl_0.3"), load_landmarker=finder)


def page_of(video, scorer, folder, landmarks=None):
    return judge(video, landmarks, lambda: scorer, folder / "page")


def test_a_page_shows_the_prediction(scorer, tmp_path):
    add_video(tmp_path, "a.mp4", 60)
    points = tmp_path / "landmarks/a.npy"
    page = page_of(tmp_path / "a.mp4", scorer, tmp_path, points)
    own = predict_video(tmp_path / "a.mp4", scorer.checkpoint, points)
    assert page.headline.startswith(f"Rank {own.score:.2f} (95% interval") and page.meaning == own.meaning
    assert "detector of drawn faces" in page.warnings[0] and page.timeline.read_bytes().startswith(b"\x89PNG")
    assert len(page.clips) == 3
    with av.open(str(page.clips[0].film)) as shown:
        frames = list(shown.decode(video=0))
    assert (len(frames), frames[0].width) == (25, 192)
    assert page.clips[0].caption.startswith(f"{own.clips['start'][own.driving[0].clip]:.1f} to")


def test_two_faces_are_said_before_the_score(scorer, tmp_path):
    film(tmp_path / "two.mp4", [[(GREEN, 190, 80, 18), (RED, 60, 80, 24)]] * 50)
    page = page_of(tmp_path / "two.mp4", scorer, tmp_path)
    words = said(page)
    assert "shows 2 faces" in words and words.index("shows 2 faces") < words.index("Rank ")


def test_what_cannot_be_scored_is_one_sentence(scorer, tmp_path):
    film(tmp_path / "none.mp4", [[]] * 30)
    film(tmp_path / "short.mp4", [[(RED, 60, 80, 24)]] * 10)
    (tmp_path / "text.mp4").write_text("no video")
    for name, expected in (("none", "no face was found"), ("short", "10 frames"), ("text", "cannot be decoded")):
        page = page_of(tmp_path / f"{name}.mp4", scorer, tmp_path)
        assert expected in page.refused and "\n" not in page.refused and not page.headline
    assert "upload one" in page_of(None, scorer, tmp_path).refused


def test_no_file_name_becomes_markup():
    assert "<script>" not in said(Page(refused="<script>.mp4 cannot be decoded"))
    assert "<img" not in said(Page(headline="Rank 0.5", warnings=("<img src=x>",)))


def test_the_page_says_what_detector_it_is(scorer, tmp_path):
    assert "of drawn faces" in about(scorer)
    assert "of filmed faces" in about(VideoScorer(export(tmp_path / "real", mean_face=FACE, synthetic=False)))
    assert "is not known" in about(VideoScorer(export(tmp_path / "unknown", mean_face=FACE, synthetic=None)))


def test_without_gradio_it_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["app"]) == 2
    assert '[app]"' in capsys.readouterr().err


@pytest.fixture
def served(scorer):
    pytest.importorskip("gradio")
    heard = []
    blocks = run_app(scorer, say=heard.append, block=False)
    yield blocks.local_url, heard
    blocks.close()


def fetched(address):
    with urllib.request.urlopen(address) as answer:
        return answer.read().decode("utf-8", "replace")


def loaded_from_elsewhere(address):
    """What a page, its settings and its styles load of other machines; what scripts ask for a browser tells."""
    page, settings = Written(fetched(address)), json.loads(fetched(urljoin(address, "config")))
    loaded = [*page.loaded, *page.styles, *settings["stylesheets"]]
    found = [one for one in loaded if FOREIGN.match(one) and not one.startswith(address)]
    for style in ["theme.css", *(one for one in page.loaded if one.endswith(".css") and one not in found)]:
        found += FETCHED_BY_STYLE.findall(fetched(urljoin(address, style)))
    return found


def test_the_served_page_scores_an_upload_and_loads_nothing_from_elsewhere(served, tmp_path):
    client = pytest.importorskip("gradio_client")
    address, heard = served
    assert address in heard[0] and address.startswith("http://127.0.0.1:")
    add_video(tmp_path, "a.mp4", 60)
    files = (tmp_path / "a.mp4", tmp_path / "landmarks/a.npy")
    page = client.Client(address, verbose=False)
    video, points = map(client.handle_file, map(str, files))
    words, *_ = page.predict(video, points, api_name="/score")
    assert "<h2>Rank" in words
    words, *_ = page.predict(None, None, api_name="/score")
    assert "upload one" in words
    assert "score it" in fetched(address).lower() and not loaded_from_elsewhere(address)
    assert load_gradio().analytics.analytics_enabled() is False


def test_a_page_with_the_fonts_of_gradio_s_own_theme_would_be_told(scorer, monkeypatch):
    gradio = pytest.importorskip("gradio")
    plain = gradio.themes.Default
    monkeypatch.setattr("gradio.themes.Default", lambda **_: plain(font=gradio.themes.GoogleFont("Inter")))
    blocks = run_app(scorer, say=lambda _: None, block=False)
    try:
        assert any("fonts.googleapis.com" in one for one in loaded_from_elsewhere(blocks.local_url))
    finally:
        blocks.close()


@pytest.mark.browser
@needs_chromium
def test_a_browser_asks_no_other_machine(served, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    address, _ = served
    add_video(tmp_path, "a.mp4", 60)
    with chromium(tmp_path / "profile") as browser:

        def until(ready, seconds=60):
            return WebDriverWait(browser, seconds, 0.2).until(lambda _: ready())

        def text():
            return browser.find_element(By.TAG_NAME, "body").text

        browser.get(address)
        until(lambda: "Score it" in text())
        browser.find_element(By.CSS_SELECTOR, "input[type=file][accept*=video]").send_keys(str(tmp_path / "a.mp4"))
        until(lambda: browser.find_elements(By.TAG_NAME, "video"))
        next(one for one in browser.find_elements(By.TAG_NAME, "button") if one.text == "Score it").click()
        until(lambda: "Not scored" in text() or "Rank " in text())
        addresses = asked(browser)
    assert len(addresses) > 5
    assert not [one for one in addresses if not one.startswith((address, "data:", "blob:", "chrome:", "about:"))]
