"""The page opens from disk by itself, and can be used by hand, by keys and by ear."""

import json
import pathlib
import re

import numpy as np
import pytest

from skpopsteer import (
    PopularityGroups,
    SparseAutoencoderProbe,
    SteeredRecommender,
    as_recommender,
)
from skpopsteer.datasets import load_movielens
from skpopsteer.inspection._explorer import NeuronExplorer
from skpopsteer.model_selection import hide_interactions
from tests.browser.conftest import NO_SELENIUM, wait
from tests.browser.models import DATA, X, Y, fitted, union


def _from_selenium(module, name):
    place = f"selenium.webdriver.common.{module}"
    return getattr(pytest.importorskip(place, reason=NO_SELENIUM), name)


By = _from_selenium("by", "By")
Keys = _from_selenium("keys", "Keys")
ActionChains = _from_selenium("action_chains", "ActionChains")

HOSTILE = [
    "<script>alert(1)</script>",
    '"onmouseover="alert(1)',
    "</script><b>",
    "&amp;",
]
TITLES = [HOSTILE[item % 4] + f" {item}" for item in range(X.shape[1])]
TAGS = ["<i>tag</i>", "noir", *map(str, range(DATA.item_concepts.shape[1] - 2))]
#: Longest task of a move, in milliseconds of the processor.
MOVE = 50


@pytest.fixture(scope="module")
def explorer():
    """A page with two knobs, hostile names, and neurons that differ in stability."""
    probe = SparseAutoencoderProbe(48, k=6, max_iter=8, random_state=0, n_init=2)
    model = fitted(selector=union(), concepts=True, probe=probe)
    names = [f"user <{row}>" for row in range(X.shape[0])]
    return NeuronExplorer.from_model(
        model, X, Y, item_titles=TITLES, user_names=names, random_state=0,
        item_features=(DATA.item_concepts, TAGS),
        n_users=20,
    )  # fmt: skip


@pytest.fixture(scope="module")
def html(explorer):
    """Its page."""
    return explorer.to_html(title="<b>Neurons</b> & more")


def text_of(page, selector):
    return page.find_element(By.CSS_SELECTOR, selector).text


def cards_of(page):
    return [
        int(card.get_attribute("id").rpartition("-")[2])
        for card in page.find_elements(By.CSS_SELECTOR, ".card")
    ]


def test_it_opens_from_disk_without_an_error_or_a_request(open_page, html):
    page = open_page(html)
    wait(lambda: text_of(page, "#checked"))
    assert page.get_log("browser") == []
    requests = [
        message["params"]["request"]["url"]
        for entry in page.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    # The page itself is one, so that a request would be seen.
    assert [url for url in requests if url.endswith("/page.html")]
    assert all(url.endswith("/page.html") for url in requests)


def test_the_policy_stops_foreign_scripts_and_connections(open_page, explorer):
    from markupsafe import Markup

    evil = Markup(
        "<p style='color: red' id='said'>figures</p><style>#said { color: red }</style>"
        "<script>window.broken = 1</script>"
        "<img src='https://example.org/x.png' onerror='window.broken = 2'>"
    )
    page = open_page(explorer.to_html(sections=[("A <figure>", evil)]))
    assert page.execute_script("return window.broken") is None
    assert text_of(page, "nav.contents li") == "A <figure>"
    assert text_of(page, "#section-1 h2") == "A <figure>"
    color = "return getComputedStyle(document.getElementById('said')).color"
    assert page.execute_script(color) == "rgb(255, 0, 0)"
    log = " ".join(entry["message"] for entry in page.get_log("browser"))
    assert "Content Security Policy" in log
    fetched = page.execute_async_script(
        "const done = arguments[0];"
        "fetch('https://example.org').then(() => done('yes'), () => done('no'))"
    )
    assert fetched == "no"


def test_hostile_titles_stay_text(open_page, html):
    page = open_page(html)
    for details in page.find_elements(By.CSS_SELECTOR, ".card details"):
        page.execute_script("arguments[0].open = true", details)
    assert (
        page.execute_script(
            "return document.querySelectorAll('[onmouseover], b, i, script').length"
        )
        == 2
    )  # the data and the script
    assert page.title == "<b>Neurons</b> & more"
    shown = page.find_element(By.TAG_NAME, "main").text
    for hostile in HOSTILE:
        assert hostile in shown
    assert "user <" in shown
    assert "<i>tag</i>" in page.page_source.replace("&lt;", "<").replace("&gt;", ">")


def test_the_slider_by_keys_changes_the_list_and_says_so(open_page, explorer, html):
    page = open_page(html)
    slider = page.find_element(By.ID, "knob-0")
    before = page.find_element(By.ID, "list").get_attribute("data-items")
    # From the top of the page by the tab key alone.
    page.execute_script("document.body.tabIndex = -1; document.body.focus()")
    for _ in range(12):
        ActionChains(page).send_keys(Keys.TAB).perform()
        if page.switch_to.active_element == slider:
            break
    assert page.switch_to.active_element == slider
    assert "solid" in page.execute_script(
        "return getComputedStyle(document.activeElement).outline"
    )
    start = float(slider.get_attribute("value"))
    slider.send_keys(Keys.PAGE_DOWN, Keys.PAGE_DOWN, Keys.ARROW_LEFT)
    step = explorer.data["steering"]["knobs"][0]["step"]
    value = float(slider.get_attribute("value"))
    assert value == pytest.approx(start - 21 * step)
    assert slider.get_attribute("aria-valuetext") == f"\N{MINUS SIGN}{abs(value):g}"
    assert page.find_element(By.ID, "list").get_attribute("data-items") != before
    assert f'strength={{"popularity": {value:g}' in text_of(page, "#code")
    live = page.find_element(By.ID, "live")
    assert live.get_attribute("aria-live") == "polite"
    wait(lambda: "NDCG" in live.get_attribute("textContent"))
    assert "entered" in live.get_attribute("textContent")
    # An exact number, also one beyond the slider.
    field = page.find_element(By.CSS_SELECTOR, ".knob-head input")
    field.send_keys(Keys.CONTROL + "a")
    field.send_keys("-7.25", Keys.TAB)
    assert '"popularity": -7.25' in text_of(page, "#code")
    shown = page.find_element(By.ID, "list").get_attribute("data-items")
    lists = page.execute_script(
        "return neuronExplorer.lists({popularity: -7.25, 'concept <0>': 1})[0]"
    )
    assert shown == " ".join(map(str, lists))
    page.find_element(By.ID, "reset").click()
    assert page.find_element(By.ID, "list").get_attribute("data-items") == before


def test_arrows_tell_what_entered_left_rose_and_fell(open_page, explorer, html):
    page = open_page(html)
    host = explorer.data["users"]["host_lists"]
    positions = explorer.data["items"]["positions"]
    page.find_element(By.ID, "zero").click()
    page.execute_script(
        "const s = document.getElementById('knob-0'); s.value = -3;"
        "s.dispatchEvent(new Event('input'))"
    )
    for user in (0, 7):
        page.execute_script(f"document.querySelectorAll('.user input')[{user}].click()")
        now = page.find_element(By.ID, "list").get_attribute("data-items").split()
        now, before = list(map(int, now)), positions[host[user]].tolist()
        words = []
        for place, item in enumerate(now):
            if item not in before:
                words.append("entered")
            else:
                moved = before.index(item) - place
                kind = "rose " if moved > 0 else "fell "
                words.append(f"{kind}{abs(moved)}" if moved else "same place")
        words += [
            f"left, was {i + 1}" for i, item in enumerate(before) if item not in now
        ]
        cells = page.find_elements(By.CSS_SELECTOR, "#list td.move")
        shown = [
            page.execute_script(
                "const c = arguments[0].cloneNode(true);"
                "c.querySelectorAll('[aria-hidden]').forEach((e) => e.remove());"
                "return c.textContent.trim()", cell,
            )
            for cell in cells
        ]  # fmt: skip
        assert shown == words
    assert any(word == "entered" for word in words)


def test_users_are_chosen_by_arrow_keys(open_page, html):
    page = open_page(html)
    first = page.find_element(By.CSS_SELECTOR, ".user input")
    first.send_keys(Keys.ARROW_DOWN)
    name = text_of(page, ".user:nth-child(2) .user-name")
    assert text_of(page, "#list caption strong") == name


def test_search_finds_by_number_tag_and_title(open_page, explorer, html):
    page = open_page(html)
    search = page.find_element(By.ID, "search")

    def search_for(text):
        search.clear()
        search.send_keys(text)
        grid = page.find_element(By.ID, "grid")
        wait(lambda: grid.get_attribute("data-query") == text)
        return cards_of(page)

    firing = [card.neuron for card in explorer.cards if card.n_active]
    assert search_for(f"#{firing[3]}") == [firing[3]]
    assert search_for(str(firing[5]))[0] == firing[5]
    tagged = {c.neuron for c in explorer.cards if TAGS[0] in c.tags and c.n_active}
    assert tagged
    assert tagged <= set(search_for(TAGS[0].upper()))
    title = next(c for c in explorer.cards if c.top_items).top_items[0].name
    word = title.split()[-1]
    expected = {
        c.neuron
        for c in explorer.cards
        if c.n_active and any(
            word in one.name
            for one in (*c.top_items, *c.pushed_up, *c.pushed_down)
        )
    }  # fmt: skip
    assert expected & set(search_for(word))
    assert search_for("nothing has this word") == []
    assert "No neuron matches" in text_of(page, "#count")


def test_neurons_are_sorted(open_page, explorer, html):
    page = open_page(html)
    order = page.find_element(By.ID, "order")
    cards = [card for card in explorer.cards if card.n_active]

    def short(value):
        return float(f"{value:.4g}")

    keys = {
        "number": lambda c: c.neuron,
        "popular": lambda c: -short(c.popularity_score),
        "niche": lambda c: short(c.popularity_score),
        "often": lambda c: -c.n_active,
        "strong": lambda c: -short(c.peak_activation),
        "stability": lambda c: -short(c.stability),
        "weight": lambda c: -max(abs(short(w)) for w in c.weights.values()),
    }
    for name, key in keys.items():
        option = order.find_element(By.CSS_SELECTOR, f"option[value={name}]")
        option.click()
        expected = sorted(cards, key=lambda c: (key(c), c.neuron))[:24]
        assert cards_of(page) == [c.neuron for c in expected], name
    # The next page goes on, and the first of its cards has the focus.
    order.find_element(By.CSS_SELECTOR, "option[value=number]").click()
    page.find_element(By.ID, "next").click()
    assert cards_of(page)[0] == sorted(c.neuron for c in cards)[24]
    assert page.switch_to.active_element.tag_name == "h3"


def test_a_neuron_of_a_card_becomes_a_knob(open_page, explorer, html):
    page = open_page(html)
    neuron = cards_of(page)[0]
    page.find_element(By.CSS_SELECTOR, ".card button").click()
    slider = page.find_element(By.ID, f"neuron-{neuron}")
    assert page.switch_to.active_element == slider
    slider.send_keys(Keys.PAGE_UP, Keys.PAGE_UP)
    value = 20 * explorer.data["steering"]["neuron_knob"]["step"]
    assert f"NeuronSubset({{{neuron}: {value:g}}})" in text_of(page, "#code")
    values = {"popularity": -1, "concept <0>": 1}
    script = "return neuronExplorer.lists(arguments[0], arguments[1])[0]"
    lists = page.execute_script(script, values, {str(neuron): value})
    shown = page.find_element(By.ID, "list").get_attribute("data-items")
    assert shown == " ".join(map(str, lists))
    page.find_element(By.CSS_SELECTOR, "#picked button").click()
    assert "NeuronSubset" not in text_of(page, "#code")
    field = page.find_element(By.ID, "pick-number")
    field.send_keys("4800", Keys.ENTER)
    page.execute_script("document.getElementById('pick').noValidate = true")
    field.send_keys(Keys.ENTER)
    assert "0 to 47" in text_of(page, "#pick-message")


def test_everything_has_a_name_and_a_place(open_page, html):
    page = open_page(html)
    nameless = page.execute_script("""
      const named = (e) => e.getAttribute('aria-label') || e.textContent.trim() ||
        (e.labels && [...e.labels].some((l) => l.textContent.trim()));
      return [...document.querySelectorAll('button, input, select, a, summary, svg')]
        .filter((e) => !e.hidden && !e.closest('[aria-hidden]') && !named(e))
        .map((e) => e.outerHTML.slice(0, 80));
    """)
    assert nameless == []
    ids = page.execute_script(
        "return [...document.querySelectorAll('[id]')].map((e) => e.id)"
    )
    assert len(set(ids)) == len(ids)
    levels = page.execute_script(
        "return [...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert max(np.diff(levels)) <= 1


def _luminance(color):
    red, green, blue = (
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
        for c in (int(v) / 255 for v in re.findall(r"\d+", color)[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(theme, open_page, html):
    page = open_page(html)
    button = page.find_element(By.ID, "theme")
    while theme not in button.text:
        button.click()
    pairs = page.execute_script("""
      const ground = (e) => {
        for (; e; e = e.parentElement) {
          const c = getComputedStyle(e).backgroundColor;
          if (!/rgba\\(.*, 0\\)/.test(c)) return c;
        }
      };
      const seen = {};
      for (const e of document.querySelectorAll('main *, header *, nav *')) {
        const own = [...e.childNodes].filter((n) => n.nodeType === 3);
        if (!own.some((n) => n.textContent.trim()) || !e.offsetParent) continue;
        if (e.closest('.hidden, :disabled, option')) continue;
        seen[getComputedStyle(e).color + '|' + ground(e)] = e.className || e.tagName;
      }
      return seen;
    """)
    assert len(pairs) > 5
    for pair, where in pairs.items():
        light, dark = sorted(map(_luminance, pair.split("|")), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (pair, where)


def test_the_theme_follows_the_system_until_somebody_chooses(open_page, html):
    page = open_page(html)
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = page.execute_script(ground)
    dark_system = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", dark_system)
    try:
        dark = page.execute_script(ground)
        assert dark != light
        page.find_element(By.ID, "theme").click()
        assert page.execute_script(ground) == light
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_it_fits_a_phone_and_a_sheet_of_paper(open_page, html):
    page = open_page(html)
    phone = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        page.execute_script(
            "for (const d of document.querySelectorAll('details')) d.open = true"
        )
        widths = "return [document.documentElement.scrollWidth, innerWidth]"
        scrolled, inner = page.execute_script(widths)
        assert scrolled <= 360
        assert inner == 360
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not page.find_element(By.ID, "pick").is_displayed()
        assert page.find_element(By.CSS_SELECTOR, ".card").is_displayed()
        ground = "return getComputedStyle(document.body).backgroundColor"
        assert page.execute_script(ground) == "rgb(255, 255, 255)"
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_without_a_script_it_says_what_is_missing(browser, tmp_path, html):
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(path.as_uri())
        assert (
            "need JavaScript" in browser.find_element(By.CSS_SELECTOR, "noscript").text
        )
    finally:
        browser.execute_cdp_cmd(
            "Emulation.setScriptExecutionDisabled", {"value": False}
        )


@pytest.fixture(scope="module")
def movies():
    """Real titles and genres, and 1,024 neurons: the page people see."""
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    root = pathlib.Path(__file__).parents[2]
    data = load_movielens(root / "data" / "ml-latest-small", min_item_interactions=2)
    X, y = hide_interactions(data.X, test_size=0.2, random_state=0)
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(
            factors=64, regularization=0.1, alpha=5, iterations=5, random_state=0
        )
        als.fit(csr_matrix(X, dtype=np.float32), show_progress=False)
    probe = SparseAutoencoderProbe(1024, k=32, max_iter=15, random_state=0)
    groups = PopularityGroups("count", head=0.1, tail=0.1)
    model = SteeredRecommender(
        as_recommender(als),
        probe=probe,
        groups=groups,
        rule="shift",
        random_state=0,
    ).fit(X)
    explorer = NeuronExplorer.from_model(
        model, X, y, user_ids=np.arange(X.shape[0]), item_titles=data.item_titles,
        item_features=(data.item_genres, data.genre_names), random_state=0,
    )  # fmt: skip
    return model, X, explorer


def test_a_move_takes_less_than_50_ms_with_1024_neurons(open_page, movies):
    _, _, explorer = movies
    assert len(explorer.data["items"]["positions"]) > 3_700
    page = open_page(explorer.to_html())
    wait(lambda: text_of(page, "#checked"))
    assert page.find_element(By.ID, "checked").get_attribute("data-wrong") == "0"
    # Of the processor, not of the clock: others may use this machine.
    page.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def busy():
        metrics = page.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    move = """
      const s = document.getElementById('knob-0');
      for (const value of arguments[0]) {
        s.value = value;
        s.dispatchEvent(new Event('input'));
      }
    """
    values = np.linspace(-3.9, 3.9, 40).tolist()
    page.execute_script(move, values)
    before = busy()
    page.execute_script(move, values)
    taken = 1000 * (busy() - before) / len(values)
    assert page.execute_script("return neuronExplorer.timing.moves") >= 80
    assert 0 < taken < MOVE
    page.execute_cdp_cmd("Performance.disable", {})


def test_pictures_of_the_page(open_page, movies, pictures):
    _, _, explorer = movies
    title = "Neurons of implicit ALS on MovieLens"
    page = open_page(explorer.to_html(title=title))
    wait(lambda: text_of(page, "#checked"))

    def take(name):
        path = pictures / f"explorer_{name}.png"
        assert page.save_screenshot(str(path))
        return path.read_bytes()

    light = take("light")
    page.execute_script(
        "document.getElementById('order').value = 'confidence';"
        "document.getElementById('order').dispatchEvent(new Event('change'));"
        "document.getElementById('neurons').scrollIntoView()"
    )
    take("neurons")
    button = page.find_element(By.ID, "theme")
    while "dark" not in button.text:
        button.click()
    page.execute_script("scrollTo(0, 0)")
    assert take("dark") != light
    button.click()
    phone = {"width": 360, "height": 1500, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        take("phone")
        assert page.execute_script("return document.documentElement.scrollWidth") == 360
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
