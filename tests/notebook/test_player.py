"""Films on a page: what stands in it, and what a browser does with it."""

import json
import re
import shutil
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest

from tdd.data.video import read_audio, read_video
from tdd.notebook.player import film_page

FRAMES = np.stack([np.full((40, 60, 3), 10 * t, np.uint8) for t in range(25)])
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


class Tags(HTMLParser):
    """Tags of a page with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, kind):
        return [facts for tag, facts in self.found if tag == kind]


def film(source, folder):
    """The film of a data address, as a file."""
    path = folder / "film.mp4"
    path.write_bytes(b64decode(source.removeprefix("data:video/mp4;base64,")))
    return path


def others(page):
    """Films that a page holds beside the two that it shows."""
    (listed,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    return dict(json.loads(listed))


def test_a_film_decodes_to_its_frames_and_its_sound(tmp_path):
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32) / 2
    (video,) = Tags(film_page({"grey": FRAMES}, tone, 200)).of("video")
    frames, fps = read_video(film(video["src"], tmp_path))
    assert fps == 25 and np.abs(frames.astype(int) - FRAMES).max() <= 4
    heard = read_audio(tmp_path / "film.mp4")
    assert np.abs(np.fft.rfft(heard[2000:14_000])).argmax() == round(440 * 12_000 / 16_000)
    assert "controls" in video and "autoplay" not in video


def test_two_films_are_shown_and_each_is_there_once(tmp_path):
    films = {name: np.roll(FRAMES, shift, axis=0) for shift, name in enumerate(("real", "a", "b", "c"))}
    page = film_page(films, None, 440)
    tags = Tags(page)
    shown = {video["title"]: video["src"] for video in tags.of("video")}
    assert list(shown) == ["real", "a"] and list(others(page)) == ["b", "c"]
    for name, source in (shown | others(page)).items():
        frames, _ = read_video(film(source, tmp_path))
        assert np.abs(frames.astype(int) - films[name]).max() <= 4
        assert page.count(source) == 1


def test_every_player_says_what_it_plays():
    videos = Tags(film_page({'a <b> & "c"': FRAMES, "d": FRAMES}, None, 440)).of("video")
    assert [video["aria-label"] for video in videos] == ['Film: a <b> & "c"', "Film: d"]
    assert "<figcaption>a &lt;b&gt; &amp; &quot;c&quot;</figcaption>" in film_page({'a <b> & "c"': FRAMES}, None, 440)


def test_a_name_ends_no_script():
    name = "</script><script>alert(1)</script>"
    page = film_page({"a": FRAMES, "b": FRAMES, name: FRAMES}, None, 440)
    assert page.count("<script") == page.count("</script>") == 2 and list(others(page)) == [name]


@pytest.mark.browser
@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (apt: chromium-driver)")
def test_two_chosen_films_run_on_one_clock(tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select
    from selenium.webdriver.support.wait import WebDriverWait

    films = {"long": np.tile(FRAMES, (3, 1, 1, 1)), "other": np.tile(FRAMES, (3, 1, 1, 1)), "short": FRAMES}
    page = tmp_path / "page.html"
    page.write_text(f'<meta charset="utf-8">{film_page(films, None, 440)}', encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    wait = WebDriverWait(browser, 20, 0.05)

    def state():
        kept = "v => ({name: v.title, at: v.currentTime, still: v.paused, ready: v.readyState, seeking: v.seeking})"
        return browser.execute_script(f"return [...document.querySelectorAll('video')].map({kept})")

    def click(text):
        next(one for one in browser.find_elements(By.TAG_NAME, "button") if text in one.text).click()

    try:
        browser.get(page.as_uri())
        wait.until(lambda _: state()[0]["at"] > 0.3)
        click("pause")
        wait.until(lambda _: all(side["still"] and not side["seeking"] for side in state()))
        left, right = state()
        assert [left["name"], right["name"]] == ["long", "other"] and abs(left["at"] - right["at"]) < 0.1
        Select(browser.find_element(By.CSS_SELECTOR, "[aria-label='right film']")).select_by_visible_text("short")
        wait.until(lambda _: state()[1]["name"] == "short" and state()[1]["ready"] >= 2)
        browser.execute_script("const s = document.querySelector('input'); s.value = 10; s.oninput()")
        click("frame ▶")
        wait.until(lambda _: not any(side["seeking"] for side in state()))
        assert [int(side["at"] * 25) for side in state()] == [11, 11]
        assert "frame 12 of 25" in browser.find_element(By.TAG_NAME, "body").text
        click("play")
        highest = max(max(side["at"] for side in state()) for _ in range(60))
        assert not state()[0]["still"] and highest < 1.2, "both begin again where the shorter one ends"
    finally:
        browser.quit()
