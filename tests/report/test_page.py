"""The page, as a person sees it: in a real browser, clicked through and walked through with the keyboard."""

import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from harness import report
from harness.report.pages import index
from tests.conftest import FAULTY, ROOT, SMALL_CASE

pytestmark = pytest.mark.framework("selenium")  # a browser takes its time, too

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARGUMENTS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
LONG = "long" * 12
HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script> & 'quotes'"


@pytest.fixture(scope="module")
def browser():
    if not (CHROMIUM and DRIVER):
        missing = "needs Debian's packages chromium and chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS.split():
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_window_size(1300, 900)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of four cases, of which two disagree and one has markup for a reason."""
    place = tmp_path_factory.mktemp("page")
    (place / "cases").mkdir()
    (place / "cases" / "small.yaml").write_text(SMALL_CASE + "sweep: {dtype: [float32, float64]}\n")
    about = HOSTILE.replace('"', '\\"')
    (place / "cases" / "hostile.yaml").write_text(SMALL_CASE.replace("Small, and hides nothing.", f'"{about}"'))
    (place / "cases" / "one.yaml").write_text(
        SMALL_CASE.replace("about: Small", "about: For one").replace("layers: 2", "layers: 1")
        + "implementations: [numpy-concat]\n"
    )
    return reported(place, "numpy-concat,sign,transposed,not_a_number,partial")


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """A page of a gru."""
    place = tmp_path_factory.mktemp("gated")
    (place / "cases").mkdir()
    (place / "cases" / "gated.yaml").write_text(SMALL_CASE + "cell: gru\n")
    return reported(place, "numpy-concat")


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(FAULTY), str(ROOT)])}


def reported(place, implementations):
    """Run implementations on the cases of a folder; return the page."""
    command = [sys.executable, "-m", "harness", "run", "--impl", implementations]
    subprocess.run(command, cwd=place, env=environment(), capture_output=True, check=False)
    return place / "reports" / "latest" / "index.html"


@pytest.fixture
def opened(browser, page):
    browser.set_window_size(1300, 900)
    browser.get("about:blank")
    browser.get(page.as_uri())
    yield browser
    assert browser.get_log("browser") == [], "nothing went wrong, and the content security policy held nothing back"


def find(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def names(browser):
    return [each.text.removesuffix(" not as expected") for each in find(browser, "#table tbody th a")]


def rows(browser):
    return browser.execute_script("return document.getElementById('table').tBodies[0]?.rows.length ?? 0")


def cell(browser, case, implementation):
    return next(
        each
        for each in find(browser, ".cell")
        if each.get_attribute("aria-label").startswith(f"{case}, {implementation}:")
    )


def wait_for(browser, found):
    return WebDriverWait(browser, 10).until(lambda _: found())


@pytest.fixture(scope="module")
def many(page, tmp_path_factory):
    """A page of a thousand cases: those of the other page, again and again."""
    read = report.read(page.parent)
    tables = {
        name: [{**row, "case": f"{row['case']}{LONG}{n}"} for n in range(250) for row in rows]
        for name, rows in read.tables.items()
    }
    path = tmp_path_factory.mktemp("many") / "index.html"
    path.write_text(index.text(replace(read, tables=tables, folder=None, plotted=False)))
    return path


def test_it_is_one_small_file(page):
    text = page.read_text()
    assert page.stat().st_size < 500_000
    for outside in ("http://", "https://", 'src="/', "@import"):
        assert outside not in text.replace("http://www.w3.org", ""), outside


def test_the_overview_has_a_cell_for_each_case_and_implementation(opened):
    assert names(opened) == ["hostile", "one", "small[dtype=float32]", "small[dtype=float64]"]
    assert cell(opened, "small[dtype=float64]", "numpy-concat").text == "0"
    assert cell(opened, "small[dtype=float64]", "sign").text == "×"
    assert cell(opened, "small[dtype=float64]", "not_a_number").text == "!"
    assert len(find(opened, "#table tbody tr:nth-child(2) .cell")) == 1, "one is for numpy-concat alone"
    assert find(opened, "h2#wrong")
    find(opened, "#each summary")[0].click()
    said = find(opened, "main")[0].text
    assert "layer0.h0: 10 of 10 elements outside the tolerance" in said
    assert re.search(r"small\[dtype=float64\]\s+sign\s+20\d\d-\d\d-\d\d\s+layer0", said), "since when"


def test_the_banner_states_what_failed_in_words_and_numbers(opened, page):
    banner = find(opened, ".banner.failed")[0].text
    assert "Failed" in banner
    assert "3 of 4 cases are not as expected" in banner
    assert "sign: factor in 3 cases; transposed: transposed in 3 cases." in banner
    facts = {
        each.find_element(By.TAG_NAME, "dt").text: each.find_element(By.TAG_NAME, "dd").text
        for each in find(opened, ".facts div")
    }
    assert facts["cases"] == "4"
    elements = pd.read_csv(page.parent / "comparisons.csv")["elements"].sum()
    assert facts["elements compared"] == f"{elements:,}"


def test_each_cause_is_listed_once_with_its_fault(opened):
    causes = {
        tuple(cell.text for cell in row.find_elements(By.TAG_NAME, "td")[:2]): row.text
        for row in find(opened, "#wrong ~ .causes tbody tr")
    }
    assert ("transposed", "transposed") in causes
    assert "3, such as hostile" in causes["sign", "factor"]
    assert ("not_a_number", "not-finite") in causes


def test_a_fault_leads_to_its_entry_in_the_gallery(opened):
    link = next(each for each in find(opened, "#wrong ~ .causes a") if each.text == "transposed")
    link.click()
    entry = find(opened, "#fault-transposed")[0]
    assert "is the transpose" in entry.text
    assert "Wrong:" in entry.text
    picture = entry.find_element(By.TAG_NAME, "img")
    wait_for(opened, lambda: opened.execute_script("return arguments[0].naturalWidth", picture) > 100)
    assert entry.location["y"] - opened.execute_script("return scrollY") < 900
    assert not find(opened, "#fault-not-finite"), "which has no entry"


def test_cases_are_filtered_by_words_and_sorted_by_the_heads_of_columns(opened):
    field = find(opened, "#filter")[0]
    field.send_keys("FLOAT64 small")
    assert names(opened) == ["small[dtype=float64]"]
    assert find(opened, "#count")[0].text == "1 of 4 cases"
    field.clear()
    field.send_keys("no such case")
    assert find(opened, "#table tbody")[0].text == "none"
    field.clear()
    field.send_keys(Keys.SPACE, Keys.BACKSPACE)
    Select(find(opened, "#show")[0]).select_by_value("wrong")
    assert names(opened) == ["hostile", "small[dtype=float32]", "small[dtype=float64]"]
    Select(find(opened, "#show")[0]).select_by_value("all")

    def sort_by(head):
        find(opened, f"#table button[data-sort='{head}']")[0].click()
        return find(opened, f"#table th:has([data-sort='{head}'])")[0].get_attribute("aria-sort"), names(opened)

    in_order = names(opened)
    assert sort_by("case") == ("ascending", sorted(in_order))
    assert sort_by("case") == ("descending", sorted(in_order, reverse=True))
    assert sort_by("case") == (None, in_order)
    assert sort_by("worst")[1][-1] == "one", "the right one is last"
    assert sort_by("worst")[1][0] == "one"
    direction, by_one = sort_by("sign")
    assert (direction, by_one[-1]) == ("descending", "one"), "in which it takes no part"


def test_implementations_are_in_groups_without_an_empty_column(opened):
    heads = [each.text for each in find(opened, "#table th.implementation")]
    assert heads == ["sign", "transposed", "not_a_number", "partial", "numpy-concat"]
    assert [each.text for each in find(opened, "#table th.group")] == ["yours", "hand-written"]
    find(opened, "#filter")[0].send_keys("one 1")
    assert names(opened) == ["one"]
    assert [each.text for each in find(opened, "#table th.implementation")] == ["numpy-concat"]


def test_heads_stay_in_sight(opened):
    metrics = {"width": 300, "height": 240, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scroll = find(opened, "#scroll")[0]
    before = find(opened, "#table th.implementation")[0].rect["y"] - scroll.rect["y"]
    opened.execute_script("arguments[0].scrollTo(60, 60)", scroll)
    moved = opened.execute_script("return [arguments[0].scrollLeft, arguments[0].scrollTop]", scroll)
    assert min(moved) > 20, "there is something to scroll"
    assert find(opened, "#table th.implementation")[0].rect["y"] - scroll.rect["y"] == pytest.approx(before, abs=2)
    assert find(opened, "#table th.case")[0].rect["x"] == pytest.approx(scroll.rect["x"], abs=3)
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_thousand_cases_are_there_at_once_and_answer(browser, many):
    assert many.stat().st_size < 1_000_000
    browser.get("about:blank")
    browser.get(many.as_uri())
    wait_for(browser, lambda: rows(browser))
    (usable,) = browser.execute_script("return performance.getEntriesByName('overview').map((each) => each.startTime)")
    assert usable < 3_000, "milliseconds, on a machine that does something else, too"
    assert rows(browser) < 1000
    typed = "const at = performance.now(); arguments[0].value = arguments[1]; "
    typed += "arguments[0].dispatchEvent(new Event('input')); document.body.getBoundingClientRect(); "
    field = find(browser, "#filter")[0]
    taken = [
        browser.execute_script(typed + "return performance.now() - at", field, text)
        for text in ("float", "one", "", "hostile", "")
    ]
    assert statistics.median(taken) < 100


def test_more_cases_come_as_one_scrolls_or_steps_down(browser, many):
    browser.get("about:blank")
    browser.get(many.as_uri())
    few = wait_for(browser, lambda: rows(browser))
    assert find(browser, "#more")[0].text == f"{1000 - few} more"
    browser.execute_script("arguments[0].scrollIntoView()", find(browser, "#more")[0])
    wait_for(browser, lambda: rows(browser) > few)
    browser.execute_script("scrollTo(0, 0)")
    more = rows(browser)
    last = find(browser, "#table tbody tr:last-child .cell")[0]
    browser.execute_script("arguments[0].focus()", last)
    ActionChains(browser).send_keys(Keys.ARROW_DOWN).perform()
    assert rows(browser) > more
    assert browser.switch_to.active_element.get_attribute("class").startswith("cell")
    browser.execute_script("arguments[0].click()", find(browser, "#more")[0])
    assert rows(browser) == 1000
    assert not find(browser, "#more")[0].is_displayed()
    assert len(find(browser, ".cell[tabindex='0']")) == 1, "one stop for the tab key"


def test_a_cell_opens_its_case_with_the_diagnosis_and_the_command(opened):
    cell(opened, "small[dtype=float64]", "transposed").click()
    detail = wait_for(opened, lambda: next((each for each in find(opened, "#detail") if each.is_displayed()), None))
    assert find(opened, "#detail h2")[0].text == "small[dtype=float64]"
    assert "Small, and hides nothing." in detail.text
    assert "harness run 'small[dtype=float64]' --impl transposed" in detail.text
    assert "transposed" in find(opened, "#detail .note strong")[0].text
    assert "first wrong" in find(opened, "#detail .note:has(strong)")[0].text, "where two implementations part"
    assert re.search(r"mismatch.*; since 20\d\d-\d\d-\d\d \d\d:\d\d", detail.text)
    rows = {row.find_element(By.TAG_NAME, "td").text: row.text for row in find(opened, "#tensors tbody tr")}
    assert set(rows) >= {"loss", "outputs", "inputs", "layer0.W_hh", "layer1.h0"}
    assert "mismatch" in rows["layer0.W_hh"]
    Select(find(opened, "#implementation")[0]).select_by_value("sign")
    wait_for(opened, lambda: "--impl sign" in find(opened, "#detail")[0].text)
    opened.back()
    wait_for(opened, lambda: "--impl transposed" in find(opened, "#detail")[0].text)


def test_the_pointer_reads_out_an_element(opened):
    cell(opened, "small[dtype=float64]", "sign").click()
    wait_for(opened, lambda: find(opened, ".heatmap"))
    maps = {
        each.find_element(By.TAG_NAME, "figcaption").text: each
        for each in find(opened, "figure")
        if each.find_elements(By.CSS_SELECTOR, ".heatmap")
    }
    of_state = maps["layer0.h0 (2, 5)"]
    squares = of_state.find_elements(By.CSS_SELECTOR, "td")
    assert len(squares) == 10
    assert len(of_state.find_elements(By.CSS_SELECTOR, "td.off")) == 10
    assert not maps["layer0.W_hh (5, 5)"].find_elements(By.CSS_SELECTOR, "td.off")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", squares[7])
    ActionChains(opened).move_to_element(squares[7]).perform()
    said = wait_for(
        opened, lambda: "layer0.h0[1, 2]" in find(opened, "#readout")[0].text and find(opened, "#readout")[0].text
    )
    actual, expected = (float(part.split(" ")[1]) for part in said.partition(": ")[2].split(", ")[:2])
    assert actual == -expected != 0


def test_what_is_off_is_dark_by_its_size_or_by_its_error_ratio(opened):
    """Relative to the tensor's largest element at first, as in the fault gallery: most error ratios are far over 1."""
    cell(opened, "small[dtype=float64]", "transposed").click()
    wait_for(opened, lambda: find(opened, ".heatmap"))
    measure = Select(find(opened, "#measure")[0])
    assert "relative" in measure.first_selected_option.text

    def colours(name):
        (tensor,) = [each for each in find(opened, ".heatmap") if each.get_attribute("aria-label").startswith(name)]
        return [each.value_of_css_property("background-color") for each in tensor.find_elements(By.CSS_SELECTOR, "td")]

    def hues(name):
        return {colour.partition("(")[2].rpartition(",")[0] for colour in colours(name)}

    assert len(set(colours("layer0.W_hh:"))) > 3
    assert hues("outputs:") == {"15, 92, 160"}, "blue: within the tolerance"
    assert hues("layer0.W_hh:") == {"15, 92, 160", "190, 64, 10"}, "the diagonal is right, the rest is off"
    measure.select_by_value("ratio")
    assert {"rgba(190, 64, 10, 1)"} < set(colours("layer0.W_hh:")), "far off"


def test_gates_are_marked(browser, gated):
    browser.get("about:blank")
    browser.get(f"{gated.as_uri()}#gated&numpy-concat")
    wait_for(browser, lambda: find(browser, ".heatmap"))
    maps = {each.get_attribute("aria-label").partition(":")[0]: each for each in find(browser, ".heatmap")}

    def gates(name):
        return [each.text for each in maps[name].find_elements(By.TAG_NAME, "th")]

    assert gates("layer0.W_hh") == gates("layer0.b_h") == ["r", "z", "n"]
    assert gates("layer0.h0") == gates("inputs") == []
    first = maps["layer0.W_hh"].find_elements(By.CSS_SELECTOR, "tr:nth-child(2) td")
    assert [k for k, each in enumerate(first) if each.get_attribute("class").endswith("gate")] == [5, 10]


def test_numbers_on_cells_are_legible(opened):
    """A contrast of 4.5 to 1 at least on each tint, in both themes."""

    def luminance(parts):
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def parsed(text):
        return [float(each) for each in re.findall(r"[\d.]+", text)]

    for theme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": theme}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        paper = parsed(find(opened, "body")[0].value_of_css_property("background-color"))
        seen = []
        for each in [*find(opened, "#table .cell"), *find(opened, "#legend .swatch"), *find(opened, ".banner *")]:
            *ink, _ = parsed(each.value_of_css_property("color"))
            box = find(opened, ".banner")[0] if each.tag_name in ("h1", "p") else each
            *tint, alpha = parsed(box.value_of_css_property("background-color"))
            behind = [alpha * a + (1 - alpha) * b for a, b in zip(tint, paper, strict=False)]
            low, high = sorted(luminance([part / 255 for part in colour]) for colour in (ink, behind))
            seen.append(alpha)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (theme, each.text, ink, behind)
        assert len(set(seen)) > 3
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_copied_command_is_the_one_that_is_shown(opened, page):
    cell(opened, "small[dtype=float64]", "sign").click()
    wait_for(opened, lambda: find(opened, "#detail .command button"))
    opened.execute_script(
        "window.copied = []; navigator.clipboard.writeText = async (text) => void window.copied.push(text)"
    )
    buttons = find(opened, "#detail .command button")
    for button in buttons:
        opened.execute_script("arguments[0].click()", button)
    wait_for(opened, lambda: all(each.text == "copied" for each in buttons))
    copied = opened.execute_script("return window.copied")
    assert copied == [each.text for each in find(opened, "#detail .command code")]
    place = page.parents[2]
    again, show = (shlex.split(each) for each in copied)
    assert again == ["harness", "run", "small[dtype=float64]", "--impl", "sign"]
    done = subprocess.run(
        [sys.executable, "-m", *show], cwd=place.parent, capture_output=True, text=True, env=environment(), check=False
    )
    assert "small[dtype=float64]" in done.stdout, done.stderr


def test_a_plot_of_the_gradient_along_time_is_shown(opened):
    cell(opened, "small[dtype=float64]", "sign").click()
    image = wait_for(opened, lambda: next(iter(find(opened, "#detail img[src^='data:']")), None))
    wait_for(opened, lambda: opened.execute_script("return arguments[0].naturalWidth", image) > 100)
    assert image.get_attribute("alt").startswith("Norm of the gradient of the inputs along time")


def test_the_keyboard_is_enough(opened):
    body = find(opened, "body")[0]
    for _ in range(30):
        ActionChains(opened).send_keys(Keys.TAB).perform()
        focused = opened.switch_to.active_element
        if "cell" in (focused.get_attribute("class") or ""):
            break
    assert focused.get_attribute("aria-label").startswith("hostile, sign:"), body.text[:200]
    ActionChains(opened).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN).perform()
    label = opened.switch_to.active_element.get_attribute("aria-label")
    assert label.startswith("small[dtype=float32], ")
    ActionChains(opened).send_keys(Keys.ENTER).perform()
    wait_for(opened, lambda: find(opened, "#detail h2"))
    assert find(opened, "#detail h2")[0].text == "small[dtype=float32]"


def test_text_from_outside_is_never_markup(opened):
    cell(opened, "hostile", "numpy-concat").click()
    detail = wait_for(opened, lambda: next((each for each in find(opened, "#detail") if each.is_displayed()), None))
    assert HOSTILE in detail.text
    assert opened.title == "Failed: gradient comparison"
    assert not find(opened, "img[src='x']")


def test_a_telephone_needs_no_scrolling_sideways(browser, many):
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        for where in ("", f"#small%5Bdtype%3Dfloat64%5D{LONG}0&sign"):
            browser.get("about:blank")
            browser.get(many.as_uri() + where)
            wait_for(browser, lambda: rows(browser))
            assert bool(find(browser, "#detail h2")) == bool(where)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("width", [360, 800, 1900])
def test_it_fits_its_window(opened, width):
    opened.set_window_size(max(width, 500), 800)  # a headless window is no narrower
    opened.execute_script(f"document.body.style.width = '{width}px'")
    cell(opened, "small[dtype=float64]", "sign").click()
    wait_for(opened, lambda: find(opened, "#detail h2"))
    time.sleep(0.2)
    for each in [*find(opened, "section"), *find(opened, "figure")]:
        assert each.size["width"] <= width, each.get_attribute("id")


def test_a_link_to_a_case_opens_it(browser, page):
    browser.get("about:blank")
    browser.get(f"{Path(page).as_uri()}#small%5Bdtype%3Dfloat32%5D&sign")
    wait_for(browser, lambda: "--impl sign" in find(browser, "#detail")[0].text)


def test_the_same_report_makes_the_same_page(page):
    read = report.read(page.parent)
    assert index.text(read) == index.text(read) == page.read_text()
