"""A real browser, where there is one: Chromium without a window."""

import os
import pathlib
import shutil
import time

import pytest

NO_SELENIUM = "selenium is not installed (pip install selenium)"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1700",
]


def _find(*names):
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A started browser with a profile of its own."""
    webdriver = pytest.importorskip("selenium.webdriver", reason=NO_SELENIUM)
    chromium = _find("chromium", "chromium-browser", "google-chrome")
    driver = _find("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is absent (apt install chromium-driver)")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    started = webdriver.Chrome(options=options, service=Service(driver))
    started.set_page_load_timeout(120)
    started.set_script_timeout(120)
    yield started
    started.quit()


@pytest.fixture
def open_page(browser, tmp_path):
    """Write a page, open it from disk, and wait until it has checked itself."""

    def open_html(html):
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        # What was logged before is not this page's.
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(path.as_uri())
        wait(lambda: browser.execute_script("return !!window.neuronExplorer"))
        # What is scrolled to stands still before it is clicked.
        browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
        return browser

    return open_html


def wait(ready, seconds=60):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "the page did not get there"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Folder for pictures: that of SKPOPSTEER_PICTURES, or a temporary one."""
    folder = os.environ.get("SKPOPSTEER_PICTURES")
    if folder is None:
        return tmp_path_factory.mktemp("pictures")
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path
