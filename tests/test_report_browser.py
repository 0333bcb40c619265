"""The page in a real browser: no script runs, nothing is fetched, nothing runs off a phone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coursecorrect.report import write_report
from coursecorrect.report.groups import Inspection, write_groups_page
from coursecorrect.synth.browse import DataSet
from coursecorrect.types import RankedGroup, Response
from test_prove import make_proof
from test_report import AFTER, HOSTILE, make_run

pytest.importorskip("selenium", reason="selenium is not installed")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no chromium with chromedriver is installed"
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    before = make_run(folder / "before", hostile=HOSTILE)
    after = make_run(folder / "after", AFTER, hostile=HOSTILE + "w" * 300)
    return write_report(before, after, folder / "report.html")


def size(browser: Any, width: int) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def requests(browser: Any) -> list[str]:
    """What the browser asked for since the last call."""
    messages = [json.loads(row["message"])["message"] for row in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [row["request"]["url"] for row in sent]


def open_page(browser: Any, path: Path) -> list[str]:
    """Open a page; returns what it asked for, without the icon that a browser wants by itself."""
    browser.get("about:blank")
    requests(browser)
    browser.get_log("browser")
    browser.get(path.as_uri())
    return [url for url in requests(browser) if not url.endswith("/favicon.ico")]


def test_the_probe_would_notice_a_script(browser: Any, tmp_path: Path) -> None:
    """Unescaped, the same text does run: so its silence below means something."""
    path = tmp_path / "unescaped.html"
    path.write_bytes(b"<!doctype html>" + HOSTILE.encode("utf-8", "replace"))
    assert len(open_page(browser, path)) > 1
    assert browser.execute_script("return window.pwned") is not None


def test_no_script_runs_and_nothing_is_fetched(browser: Any, page: Path) -> None:
    size(browser, 1200)
    assert open_page(browser, page) == [page.as_uri()]
    assert browser.execute_script("return window.pwned") is None
    assert browser.title.startswith("Course-correction: smollm2")
    # A script that the policy had to stop would stand here.
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.querySelectorAll('script,img').length") == 0
    assert browser.execute_script("return document.characterSet") == "UTF-8"


def test_policy_stops_a_script_even_if_one_got_in(browser: Any, page: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.html"
    text = page.read_text(encoding="utf-8")
    path.write_text(text.replace("</main>", "<script>window.pwned=3</script></main>"), "utf-8")
    open_page(browser, path)
    assert browser.execute_script("return window.pwned") is None


def test_headline_is_visible(browser: Any, page: Path) -> None:
    size(browser, 1200)
    open_page(browser, page)
    cards = [card.text for card in browser.find_elements("css selector", ".card")]
    assert [card.splitlines()[0] for card in cards] == [
        "J",
        "Corr_mean",
        "False corrections",
        "False corrections",
    ]
    assert "+75.0 pp" in cards[0]
    assert "n = 2" in cards[0]
    assert "100.0 %" in cards[1]
    shown = [figure.is_displayed() for figure in browser.find_elements("css selector", ".wide svg")]
    assert shown == [True, True]


@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_nothing_runs_off_the_page(browser: Any, page: Path, width: int) -> None:
    size(browser, width)
    open_page(browser, page)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    # Text may not leave its box either; tables scroll inside theirs.
    beyond = browser.execute_script(
        "return [...document.querySelectorAll('h1,h2,p,.words,.card,.side,summary,pre')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll'))"
        ".map(e => e.className || e.tagName)"
    )
    assert beyond == []


@pytest.mark.parametrize("width", [320, 1200])
def test_nothing_runs_off_the_page_of_a_proof_nor_runs_on_it(
    browser: Any, tmp_path: Path, width: int
) -> None:
    make_proof(tmp_path, HOSTILE)
    size(browser, width)
    path = tmp_path / "report.html"
    assert open_page(browser, path) == [path.as_uri()]
    assert browser.execute_script("return window.pwned") is None
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    (link,) = browser.find_elements("css selector", "nav a[href='#taught']")
    assert link.text == "What it taught"
    shown = [s.is_displayed() for s in browser.find_elements("css selector", ".figure svg")]
    assert sum(shown) == 3


def test_filter_works_without_scripts(browser: Any, page: Path) -> None:
    size(browser, 1200)
    open_page(browser, page)
    browser.find_element("css selector", "#only-twin").click()
    rows = browser.find_elements("css selector", "details.sample")
    kinds = {"twin" in row.get_attribute("class") for row in rows if row.is_displayed()}
    assert kinds == {True}


def group(number: int, *, harmful: bool) -> RankedGroup:
    roles = ("SR", "SCR", "FHR") if harmful else ("GOOD", "SCR", "SR")
    text = HOSTILE.encode("utf-8", "replace").decode() + "w" * 300
    return RankedGroup(
        id=f"g{number}",
        item_id="i",
        pair_key="k",
        request=f"request {number} {text}",
        category=HOSTILE,
        harmful=harmful,
        opener="",
        responses=tuple(
            Response.model_validate(
                {"rank": rank, "role": role, "text": f"{role} {text}", "cut": 5, "share": 0.5}
            )
            for rank, role in enumerate(roles, 1)
        ),
    )


@pytest.fixture(scope="module")
def groups_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("groups")
    counts = {"seeds": 5, "groups": 4, "rejected": {HOSTILE[:30]: 1}}
    rejected = [{"where": "a.jsonl:1", "why": HOSTILE, "request": HOSTILE}]
    groups = [group(i, harmful=i < 3) for i in range(4)]
    found = Inspection(DataSet(folder, {}, counts), [], None, groups, rejected)
    return write_groups_page(found, folder / "groups.html")


def test_the_groups_page_runs_its_own_script_alone(browser: Any, groups_page: Path) -> None:
    size(browser, 1200)
    assert open_page(browser, groups_page) == [groups_page.as_uri()]
    assert browser.execute_script("return window.pwned") is None
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.querySelectorAll('script').length") == 1
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0


def test_the_policy_of_the_groups_page_stops_other_scripts(
    browser: Any, groups_page: Path, tmp_path: Path
) -> None:
    path = tmp_path / "broken.html"
    text = groups_page.read_text(encoding="utf-8")
    path.write_text(text.replace("</main>", "<script>window.pwned=3</script></main>"), "utf-8")
    open_page(browser, path)
    assert browser.execute_script("return window.pwned") is None


def test_groups_are_filtered_by_text_and_kind(browser: Any, groups_page: Path) -> None:
    size(browser, 1200)
    open_page(browser, groups_page)

    def shown() -> int:
        rows = browser.find_elements("css selector", "details.group")
        return sum(row.is_displayed() for row in rows)

    assert shown() == 4
    browser.find_element("css selector", "#query").send_keys("Request 2")
    assert shown() == 1
    browser.find_element("css selector", "#query").clear()
    browser.execute_script("query.value=''; query.dispatchEvent(new Event('input'))")
    browser.find_element("css selector", "#kind option[value=harmless]").click()
    assert shown() == 1
    browser.find_element("css selector", "#open").click()
    assert browser.execute_script("return document.querySelectorAll('details[open]').length") == 2
    assert browser.find_element("css selector", "#shown").text == "1 of 4 shown"


@pytest.mark.parametrize("width", [320, 1200])
def test_nothing_runs_off_the_groups_page(browser: Any, groups_page: Path, width: int) -> None:
    size(browser, width)
    open_page(browser, groups_page)
    browser.find_element("css selector", "#open").click()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
