"""The page as a browser shows it: headless Chromium, wide and narrow, light, dark and printed."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest.desk import BAD, FEW, MODEL, RIGHT, Desk
from conformance.selftest.report.test_page import HOSTILE, hostile
from pytest_steering.report.page import render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no browser: install chromium (apt-get install chromium)"),
]
PROBE = """<pre id=probe></pre><script>
const root = document.documentElement, all = query => [...document.querySelectorAll(query)];
const right = each => each.getBoundingClientRect().right;
const over = each => right(each) > root.clientWidth + 1 && !each.closest(".wide, pre, .vh, .skip");
document.getElementById("probe").textContent = "PROBE" + JSON.stringify({
  wide: all("body *").filter(over).map(each => each.tagName + "." + each.className),
  across: root.scrollWidth, room: root.clientWidth, paper: getComputedStyle(root).backgroundColor,
  focusable: all("a[href], summary, [tabindex='0']").length,
  flat: all("svg[role=img]").filter(each => each.getBoundingClientRect().height < 10).length,
}) + "END";
</script>"""


def chromium(page: Path, *options: str) -> str:
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", *options]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, check=False, timeout=120)
    return done.stdout


def probed(desk: Desk, text: str, *options: str) -> Any:
    """What a browser measures of the page; its policy, which forbids scripts, is taken out for the probe alone."""
    allowed = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    path = desk.path / "probe.html"
    path.write_text(allowed.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    found = re.search(r"PROBE(.*?)END", chromium(path, "--dump-dom", *options).rpartition('id="probe"')[2])
    assert found
    return json.loads(html.unescape(found[1]))


@pytest.fixture
def document(desk: Desk) -> Any:
    desk.run(MODEL, BAD, RIGHT, *FEW, "--steering-report=report.json")
    return desk.report()


@pytest.mark.parametrize("width", [1200, 500])
@pytest.mark.parametrize("theirs", [False, True], ids=["plain", "hostile"])
def test_nothing_hangs_over_the_edge(desk: Desk, document: Any, width: int, theirs: bool) -> None:
    text = render(hostile(document), {(HOSTILE, HOSTILE): [HOSTILE]}) if theirs else render(document)
    found = probed(desk, text, f"--window-size={width},900")
    assert found["wide"] == []
    assert found["across"] <= found["room"] + 1
    assert found["flat"] == 0
    assert found["focusable"] > 20


def test_it_is_dark_where_the_reader_is(desk: Desk, document: Any) -> None:
    text = render(document)
    assert probed(desk, text)["paper"] == "rgb(255, 255, 255)"
    assert probed(desk, text, "--blink-settings=preferredColorScheme=0")["paper"] == "rgb(21, 25, 23)"


def test_no_script_runs_on_the_page_itself(desk: Desk, document: Any) -> None:
    path = desk.path / "probe.html"
    path.write_text(render(document).replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    assert "PROBE{" not in chromium(path, "--dump-dom")


def test_it_prints(desk: Desk, document: Any) -> None:
    path, printed = desk.path / "page.html", desk.path / "page.pdf"
    path.write_text(render(document), encoding="utf-8")
    chromium(path, f"--print-to-pdf={printed}")
    assert printed.read_bytes().startswith(b"%PDF")
    assert printed.stat().st_size > 20_000
