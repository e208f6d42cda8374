"""Notebook 08 as a user meets it: opened in JupyterLab, run from the menu, a video uploaded, the score read."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from tdd.evaluation.predict import predict_video
from tdd.synth.example import write_half_forged

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import TimeoutException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

NAME = "08_try_your_own_video.ipynb"
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PANEL = ".jupyter-widgets.widget-vbox"
LAPTOP = (1366, 768)
START_SECONDS, RUN_SECONDS, SCORE_SECONDS = 60, 400, 60

KEEP_FILE_INPUTS = """
    HTMLInputElement.prototype.click = function () { this.style.display = ""; document.body.appendChild(this); };
"""
"""In place of the system's file dialog, which no driver reaches: the input that would open it is put on the page."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (apt: chromium-driver)"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the notebook at the smallest recipe, without outputs; all that it makes stays beside it."""
    root = tmp_path_factory.mktemp("lab")
    notebook = nbformat.read(NOTEBOOKS / NAME, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = cell.source.replace('RECIPE = "demo"', 'RECIPE = "tiny"')
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    (root / "notebooks").mkdir()
    quiet = root / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")
    nbformat.write(notebook, root / "notebooks" / NAME)
    return root


@pytest.fixture(scope="module")
def address(folder):
    """Of a JupyterLab at work there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "ServerApp.port": port, "ServerApp.ip": "127.0.0.1", "ServerApp.open_browser": False,
        "ServerApp.allow_root": True, "ServerApp.root_dir": str(folder / "notebooks"), "IdentityProvider.token": "",
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", *(f"--{key}={value}" for key, value in settings.items())]
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "PYTHONPATH": os.pathsep.join([str(NOTEBOOKS.parent), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    with (folder / "lab.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for_port(port, server, folder / "lab.log")
        yield f"http://127.0.0.1:{port}/lab/tree/{NAME}"
    finally:
        server.terminate()
        server.wait(30)


def _wait_for_port(port, server, log):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {log.read_text(encoding='utf-8')[-2000:]}")


@pytest.fixture(scope="module")
def browser(folder):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--no-first-run", f"--user-data-dir={folder / 'profile'}",
        f"--window-size={LAPTOP[0]},{LAPTOP[1]}",
    ):  # fmt: skip
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": KEEP_FILE_INPUTS})
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """What a user does with a mouse and sees with the eyes."""

    def __init__(self, driver, shots):
        self.driver, self.shots = driver, shots

    def wait(self, seconds, condition, what):
        try:
            return WebDriverWait(self.driver, seconds, 0.5).until(lambda _: condition())
        except TimeoutException:
            self.picture("failed")
            pytest.fail(f"{what} did not come in {seconds} s; the page shows:\n{self.text('.jp-OutputArea')}")

    def click(self, selector, text):
        """Click the first visible element of that kind whose text begins so."""

        def found():
            elements = self.driver.find_elements(By.CSS_SELECTOR, selector)
            return next((one for one in elements if one.is_displayed() and one.text.strip().startswith(text)), None)

        element = self.wait(START_SECONDS, found, f"{text!r}")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def choose(self, button, path):
        """Click an upload button and choose a file in the dialog that opens."""
        self.click("button.jupyter-button", button)
        inputs = self.wait(5, lambda: self.driver.find_elements(By.CSS_SELECTOR, "body > input[type=file]"), "a dialog")
        inputs[-1].send_keys(str(path))
        self.wait(30, lambda: f"{button} (1)" in self.text(".jupyter-widgets.widget-upload"), f"{path.name} uploaded")
        self.driver.execute_script("arguments[0].remove()", inputs[-1])

    def kernel(self):
        """``busy`` while cells run or wait, else ``idle``."""
        indicator = self.driver.find_elements(By.CSS_SELECTOR, ".jp-Notebook-ExecutionIndicator")
        return indicator[0].get_attribute("data-status") if indicator else ""

    def shows_panel(self):
        """Scroll down; cells out of sight are not on the page."""
        self.driver.execute_script("document.querySelector('.jp-WindowedPanel-outer').scrollTop += 400")
        return "Score it" in self.text("button.jupyter-button")

    def text(self, selector):
        return "\n".join(element.text for element in self.driver.find_elements(By.CSS_SELECTOR, selector))

    def picture(self, name):
        """A screenshot, kept where ``TDD_SCREENSHOTS`` says or beside the notebook."""
        self.shots.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(self.shots / f"{name}.png"))


def test_upload_and_score(folder, address, browser):
    video = write_half_forged(folder / "mine" / "mine.mp4", seconds=4, size="tiny", seed=5)
    page = Page(browser, Path(os.environ.get("TDD_SCREENSHOTS", folder / "shots")))
    browser.get(address)
    page.wait(START_SECONDS, lambda: page.text(".jp-Notebook").strip(), "the notebook")
    page.picture("opened")
    page.click(".lm-MenuBar-item", "Run")
    page.click(".lm-Menu-item", "Run All Cells")
    page.wait(START_SECONDS, lambda: page.kernel() == "busy", "the kernel to begin")
    page.wait(RUN_SECONDS, lambda: page.kernel() == "idle", "the last cell")
    page.wait(30, page.shows_panel, "the panel")
    page.choose("Video", video)
    page.choose("Landmarks (.npy)", video.with_suffix(".npy"))
    page.picture("uploaded")
    page.click("button.jupyter-button", "Score it")
    page.wait(SCORE_SECONDS, lambda: "mine.mp4: score" in page.text(PANEL), "the score")
    page.wait(10, lambda: len(browser.find_elements(By.CSS_SELECTOR, f"{PANEL} img")) == 2, "faces and timeline")
    said = page.text(PANEL)
    browser.execute_script(f"document.querySelector('{PANEL}').scrollIntoView({{block: 'start'}})")
    page.picture("scored")
    weights = folder / "runs" / "notebooks" / "tiny" / "stage2" / "ssl_0.3-seed0"
    own = predict_video(video, weights, video.with_suffix(".npy"))
    assert float(re.search(r"mine\.mp4: score (\d\.\d+)", said)[1]) == pytest.approx(own.score, abs=2e-3)
    assert "says nothing about videos of people" in " ".join(said.split())
