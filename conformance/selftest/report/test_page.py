"""The page: what is in it, for eyes, keyboards and screen readers, whatever names and messages say."""

from __future__ import annotations

import itertools
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import pytest_steering
from conformance.selftest.desk import BAD, FEW, MODEL, RIGHT, TIMID, Desk, new_desk
from conformance.selftest.report.pages import Page
from pytest_steering.report.page import render
from pytest_steering.report.page.model import Subject
from pytest_steering.suite.catalogue import Asked

MEASURING = ("-k", "layers_found or exact_delta or every_row or same_twice or dose_response or logits_diverge or only")
HOSTILE = "</style><script>alert(1)</script>\"' onload=x\n::error::\x1b[31m\x00\u202e\udce9 " + "long" * 300
CSS = (Path(pytest_steering.__file__).parent / "report" / "page" / "page.css").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A run on two models, one of which is broken, under a wrong, a timid and a right adapter."""
    desk = new_desk(tmp_path_factory.mktemp("page"))
    models = (MODEL, "--steering-model=my_models:broken")
    reports = ("--steering-report=report.json", "--steering-report=report.html")
    assert desk.run(*models, BAD, TIMID, RIGHT, *MEASURING, *reports).ret == 1
    return desk


@pytest.fixture(scope="module")
def page(bench: Desk) -> Page:
    return Page((bench.path / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def document(bench: Desk) -> Any:
    return bench.report()


def test_it_says_what_the_json_says(bench: Desk, document: Any) -> None:
    assert (bench.path / "report.html").read_text(encoding="utf-8") == render(document)


def test_every_model_and_adapter_has_its_verdict(page: Page) -> None:
    (matrix,) = page.root.of("matrix")
    rows = [[cell.text for cell in row.all("th", "td")][:2] for row in matrix.all("tr")[1:]]
    assert rows == [
        ["my_models:a with FirstRowOnly", "✗ fails"],
        ["my_models:a with Timid", "◐ partly judged"],
        ["my_models:a with Right", "◐ partly judged"],
        *([f"my_models:broken with my_steering:{name}", "! error"] for name in ("FirstRowOnly", "Timid", "Right")),
    ]
    verdicts = [each.text for each in page.root.of("verdict")]
    assert verdicts[0].startswith("Fails 1.1: ")
    assert verdicts[2] == "Conforms to 1.1 as far as it was judged"
    assert verdicts[3:] == ["Could not be judged"] * 3


def test_a_failure_has_its_sentence_numbers_cause_and_rerun_line(page: Page) -> None:
    (failure,) = (each for each in page.root.all("article") if each.attributes["id"] == "m0-f-every-row")
    assert failure.all("h4")[0].text == "every-row every row of a batch is steered by the same vector"
    assert failure.of("numbers")[0].text.startswith("layer 0, scale 1: max |Δ| ")
    assert failure.of("cause")[0].text.startswith("Likely: only batch row 0 is steered")
    rerun = (
        "pytest --steering-model=my_models:a --steering-adapter=my_steering:FirstRowOnly "
        '"conformance/test_positions.py::test_every_row[my_models:a-first]"'
    )
    assert failure.all("pre")[0].text == rerun
    assert failure.all("summary")[-1].text.endswith("2 more of its tests")


def test_a_model_that_cannot_be_loaded_is_told_once(page: Page) -> None:
    sections = [each for each in page.root.of("subject") if each.attributes["id"] == "m3"]
    assert sections[0].text.count("the weights end in the middle") == 1
    assert sections[0].all("article") == []


def test_the_plots_show_what_was_measured(page: Page, document: Any) -> None:
    bad, _, right = (Subject("m", entry, Asked(), ()) for entry in document["models"][:3])
    assert [plot.title for plot in right.plots] == [
        "Response over scale",
        "A token's logit over the scale",
        "Effect per layer",
    ]
    scales = {(row[0], row[1]): row[2] for row in right.plots[0].table}
    assert scales["layer 0", "-3"] == "-3"
    assert {(row[0], row[1]): row[2] for row in bad.plots[0].table}["layer 0", "-3"] == "-3 to 0"
    effect = {(row[0], row[1]): float(row[2]) for row in right.plots[2].table}
    assert effect["layer 2 steered", "1"] == 0
    assert effect["layer 2 steered", "2"] == pytest.approx(effect["layer 2 steered, reference", "2"])
    assert effect["layer 2 steered", "2"] > 50
    section = next(each for each in page.root.of("subject") if each.attributes["id"] == "m2")
    assert len(section.of("plots")[0].all("figure")) == 3


def test_which_tokens_were_steered(document: Any) -> None:
    bad, _, right = (Subject("m", entry, Asked(), ()) for entry in document["models"][:3])
    cells = {each.title: each for each in right.tokens}
    kinds = ("all", "last", "prompt", "generated")
    runs = {f"positions {positions}, {run}" for positions in kinds for run in ("forward", "generate")}
    assert set(cells) in (runs, {each for each in runs if each.endswith("forward")})
    assert sum(each.wrong for each in cells.values()) == 0
    assert {state for row in cells["positions all, forward"].rows for state in row} == {"steered"}
    assert [row[-1] for row in cells["positions last, forward"].rows] == ["steered"] * 3
    wrong = {each.title: each for each in bad.tokens}["positions all, forward"]
    assert [set(row) for row in wrong.rows] == [{"steered"}, {"missed"}, {"missed"}]


def test_nothing_is_fetched_and_nothing_runs(page: Page, bench: Desk) -> None:
    text = (bench.path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\(|@import", text)
    assert page.root.all("script", "link", "img", "iframe", "object", "form") == []
    (policy,) = (each for each in page.root.all("meta") if "http-equiv" in each.attributes)
    assert policy.attributes["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def hostile(value: Any, name: str = "") -> Any:
    """The document with every text of somebody else's replaced."""
    if isinstance(value, dict):
        return {key: hostile(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, name) for each in value]
    theirs = ("spec", "adapter", "reason", "rerun", "program", "notes", "layers_path", "nodeid", "gaps", "device")
    return HOSTILE if name in theirs and isinstance(value, str) else value


def test_hostile_names_and_messages_are_text(document: Any) -> None:
    text = render(hostile(deepcopy(document)), {(HOSTILE, HOSTILE): [HOSTILE]})
    text.encode("utf-8")
    found = Page(text)
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "\u202e" not in text
    assert "\\x1b[31m\\x00\\u202e\\udce9" in found.root.text
    assert found.root.all("script") == []
    assert all(not name.startswith("on") for each in found.root.all() for name in each.attributes)
    assert len(found.root.all("article")) == len(Page(render(document)).root.all("article"))


def test_headings_labels_and_tables_are_there_for_those_who_do_not_see(page: Page) -> None:
    root = page.root
    assert root.children[0].attributes["lang"] == "en"
    levels = [int(each.tag[1]) for each in root.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    names = [each.attributes["id"] for each in root.all() if "id" in each.attributes]
    assert len(names) == len(set(names))
    for each in root.all():
        for reference in ("aria-labelledby", "aria-describedby"):
            assert set(each.attributes.get(reference, "").split()) <= set(names)
        if each.tag == "a":
            assert each.text
            assert each.attributes["href"].removeprefix("#") in names, each.attributes
        if each.attributes.get("role") in ("img", "region"):
            assert "aria-label" in each.attributes or "aria-labelledby" in each.attributes
        if each.tag == "svg":
            assert each.attributes.get("role") == "img" or "aria-hidden" in each.attributes or within_hidden(root, each)
        if each.tag == "th":
            assert each.attributes.get("scope") in ("col", "row")
    assert root.all("main", "header")


def within_hidden(root: Any, wanted: Any) -> bool:
    return any(wanted in each.all() for each in root.all() if each.attributes.get("aria-hidden") == "true")


def colours() -> dict[str, dict[str, str]]:
    """The colours of the light, the dark and the printed page."""
    found: dict[str, dict[str, str]] = {}
    for name, block in zip(("light", "dark", "print"), re.findall(r":root \{(.*?)\}", CSS, re.DOTALL), strict=True):
        found[name] = found.get("light", {}) | dict(re.findall(r"--([\w-]+): (#\w+)", block))
    found["dark"] = found["light"] | found["dark"]
    return found


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_every_text_stands_out(theme: str) -> None:
    """WCAG AA: 4.5 for text, 3 for what is drawn."""
    palette = colours()[theme]

    def contrast(one: str, other: str) -> float:
        light, dark = sorted((luminance(palette[one]), luminance(palette[other])), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    pairs = [(text, paper) for text in ("text", "quiet", "link", "good", "bad", "known") for paper in ("paper", "soft")]
    pairs += [(text, f"{text}-soft") for text in ("good", "bad", "known", "na")]
    pairs += [("text", f"{state}-soft") for state in ("good", "bad", "known")]
    assert [pair for pair in pairs if contrast(*pair) < 4.5] == []
    assert [f"s{n}" for n in range(6) if contrast(f"s{n}", "paper") < 3] == []


def test_it_is_the_same_under_xdist(bench: Desk, desk: Desk) -> None:
    args = (MODEL, BAD, *FEW, "--steering-report=page.html")
    pages = []
    for of, workers in ((bench, ("-p", "no:xdist")), (desk, ("-n", "2"))):
        assert of.run(*args, *workers).ret == 1
        text = Page((of.path / "page.html").read_text(encoding="utf-8")).root.text
        pages.append(re.sub(r"\d+\.\d\d?\b", "#", text))
    assert pages[0] == pages[1]


def test_measured_counts_and_a_baseline_have_their_place(document: Any) -> None:
    document = deepcopy(document)
    for entry in document["models"][0]["requirements"]:
        entry["measured"] = {}
    document["models"][0]["requirements"][0]["measured"] = {"extra operations": 3, "synchronisations": 0}
    compared = {("my_models:a", "Timid"): ["exact-delta passed and fails"]}
    first, second = Page(render(document, compared)).root.of("subject")[:2]
    assert [cell.text for cell in first.of("measured")[0].all("td")] == [
        "extra operations",
        "3",
        "synchronisations",
        "0",
    ]
    assert [each.text for each in second.of("compared")] == ["exact-delta passed and fails"]


def test_every_failing_requirement_is_there_however_many(document: Any) -> None:
    document = deepcopy(document)
    model = document["models"][0]
    failing = next(each for each in model["requirements"] if each["outcome"] == "failed")
    model["requirements"] = [{**failing, "id": f"odd-{at // 50}", "rerun": f"pytest {at}"} for at in range(60 * 50)]
    articles = Page(render(document)).root.all("article")[:60]
    assert [each.attributes["id"] for each in articles] == [f"m0-f-odd-{at}" for at in range(60)]
    assert [len(each.all("pre")) for each in articles] == [40] * 60
    assert articles[-1].text.endswith("and 10 more, in the JSON report")


def test_nothing_judged_is_no_page_that_says_conforms() -> None:
    document = {"suite": "1.1", "environment": {"versions": {}, "platform": "p", "device": ""}, "models": []}
    page = Page(render(document))
    assert "No requirement was judged." in page.root.text
    assert "onforms" not in page.root.of("band")[0].text
