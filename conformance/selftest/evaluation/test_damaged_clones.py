"""What is missing, unreadable or odd in a clone of SecLLMHolmes is refused in a sentence, or noted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conformance.selftest.evaluation.secllmholmes import BOTH, CVES, numbered
from pytest_steering import SteeringError
from pytest_steering.evaluation.scenarios import Dataset, load_secllmholmes

REMEDY = "name a whole clone of SecLLMHolmes with --secllmholmes=PATH or SECLLMHOLMES"
HAND = "datasets/hand-crafted/dataset"


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(SteeringError) as caught:
        load_secllmholmes(root, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(root), "CLONE")


def test_wrong_directory(tmp_path: Path) -> None:
    missing, empty, other, file = (tmp_path / name for name in ("missing", "empty", "other", "file"))
    empty.mkdir()
    (other / "datasets").mkdir(parents=True)
    file.write_text("a file")
    assert refusal(missing) == f"CLONE: there is no such directory; {REMEDY}"
    assert refusal(file) == f"CLONE: it is a file, not a directory; {REMEDY}"
    for root in (empty, other):
        assert refusal(root) == (
            f"CLONE: there is neither datasets/hand-crafted nor another part of the data set; {REMEDY}"
        )


def test_part_that_does_not_exist(whole: Path) -> None:
    assert refusal(whole, parts=["real"]) == (
        "there is no part 'real' of SecLLMHolmes; the parts are hand-crafted, few-shot, trivial, non-trivial, "
        "real-world"
    )


def test_half_a_clone(clone: Path) -> None:
    shutil.rmtree(clone / "datasets" / "augmented" / "non-trivial")
    assert refusal(clone) == (
        f"CLONE/datasets: there is no directory augmented/non-trivial, so the clone is not whole; {REMEDY}, "
        "or ask for the parts that are there"
    )


def test_part_that_holds_no_code(clone: Path) -> None:
    shutil.rmtree(clone / HAND)
    assert refusal(clone) == f"CLONE/datasets/hand-crafted: there is no code in it; {REMEDY}"


@pytest.mark.parametrize(
    ("gone", "left", "other"),
    [
        (f"{HAND}/CWE-22/p_2.c", f"{HAND}/CWE-22/2.c", "patched"),
        (f"{HAND}/CWE-22/2.c", f"{HAND}/CWE-22/p_2.c", "vulnerable"),
        ("datasets/few-shot/examples/cwe-79-p.py", "datasets/few-shot/examples/cwe-79.py", "patched"),
        (
            "datasets/augmented/trivial/A6/dataset/CWE-89/p_1.py",
            "datasets/augmented/trivial/A6/dataset/CWE-89/1.py",
            "patched",
        ),
        (
            "datasets/augmented/non-trivial/A4/A4_1/dataset/CWE-416/p_1.c",
            "datasets/augmented/non-trivial/A4/A4_1/dataset/CWE-416/1.c",
            "patched",
        ),
        (
            "datasets/real-world/pjsip/CVE-2004-0001/patch.c",
            "datasets/real-world/pjsip/CVE-2004-0001/vuln.c",
            "patched",
        ),
    ],
)
def test_missing_partner(clone: Path, gone: str, left: str, other: str) -> None:
    (clone / gone).unlink()
    assert refusal(clone) == f"{left}: its {other} file is missing; {REMEDY}"


def test_unreadable_file(clone: Path) -> None:
    path = clone / HAND / "CWE-22" / "p_2.c"
    path.unlink()
    path.mkdir()
    assert refusal(clone) == f"CLONE/{HAND}/CWE-22/p_2.c: it cannot be read (Is a directory); {REMEDY}"
    path.rmdir()
    path.symlink_to(clone / "nowhere.c")
    assert refusal(clone) == f"CLONE/{HAND}/CWE-22/p_2.c: it cannot be read (No such file or directory); {REMEDY}"


def test_empty_file(clone: Path) -> None:
    (clone / HAND / "CWE-22" / "p_2.c").write_text("\n")
    assert refusal(clone) == f"CLONE/{HAND}/CWE-22/p_2.c: the file is empty; {REMEDY}"


def test_stray_bytes_and_line_ends(clone: Path) -> None:
    path = clone / HAND / "CWE-22" / "1.c"
    path.write_bytes("\ufeffint é = 4 * 2;\r\n".encode() + b"// caf\xe9\n")
    found = load_secllmholmes(clone)
    (case,) = (case for case in found.cases() if case.name == f"{HAND}/CWE-22/1.c")
    assert case.code == "int é = 4 * 2;\n// caf\ufffd\n"
    assert f"{HAND}/CWE-22/1.c: 1 byte is not UTF-8 and replaced by U+FFFD" in found.notes


def test_directories_in_small_letters(clone: Path, dataset: Dataset) -> None:
    for path in (clone / "datasets").rglob("CWE-*"):
        path.rename(path.with_name(path.name.lower()))
    found = load_secllmholmes(clone)
    assert [case.code for case in found.cases()] == [case.code for case in dataset.cases()]
    assert {case.cwe for case in found.cases()} == {case.cwe for case in dataset.cases()}


def test_projects_in_capitals(clone: Path) -> None:
    (clone / "datasets" / "real-world" / "gpac").rename(clone / "datasets" / "real-world" / "GPAC")
    assert len(load_secllmholmes(clone, parts=["real-world"]).pairs) == sum(map(len, CVES.values()))


def test_cve_that_is_not_described(clone: Path) -> None:
    path = clone / "datasets" / "real-world" / "cve_details.json"
    details = json.loads(path.read_text())
    del details["pjsip"]["CVE-2004-0001"]
    path.write_text(json.dumps(details))
    found = load_secllmholmes(clone)
    assert len(found.part("real-world").pairs) == 14
    assert "real-world: 2 files left out: a CVE that cve_details.json does not name" in found.notes
    path.write_text('{"pjsip": {"CVE-2004-0001": "none"}}')
    assert refusal(clone) == (
        f"CLONE/datasets/real-world/cve_details.json: it does not tell each CVE's weakness (TypeError); {REMEDY}"
    )
    path.unlink()
    assert refusal(clone) == (
        "CLONE/datasets/real-world/cve_details.json: the file that tells each CVE's weakness is missing; " + REMEDY
    )


def test_weakness_that_nothing_is_asked_about(clone: Path) -> None:
    numbered(clone / "datasets" / "hand-crafted", {"125": BOTH}, "ground-truth")
    found = load_secllmholmes(clone)
    assert "hand-crafted: 6 files left out: CWE-125 is no weakness that is asked about" in found.notes
    assert found.counts()["hand-crafted"] == 48


def test_file_of_no_scenario(clone: Path) -> None:
    (clone / HAND / "CWE-22" / "helper.c").write_text("int helper;\n")
    assert (
        "hand-crafted: 1 file left out: a name that says neither which scenario it is nor whether it is patched"
        in load_secllmholmes(clone).notes
    )


def test_same_scenario_twice(clone: Path) -> None:
    (clone / HAND / "CWE-22" / "1.py").write_text("one = 1\n")
    assert refusal(clone) == f"{HAND}/CWE-22/1.py and {HAND}/CWE-22/1.c are the same scenario; keep one of them"


def test_pair_without_a_difference(clone: Path) -> None:
    shutil.copy(clone / HAND / "CWE-22" / "1.c", clone / HAND / "CWE-22" / "p_1.c")
    found = load_secllmholmes(clone)
    assert len(found.part("hand-crafted").pairs) == 23
    assert f"{HAND}/CWE-22/1.c: left out, because the patched file is the same" in found.notes


def test_clone_from_before_the_repair_of_its_patches(clone: Path) -> None:
    (clone / "UPDATES.md").unlink()
    assert load_secllmholmes(clone).notes[-1] == (
        "CWE-22: without UPDATES.md the clone may be older than November 2024, when the patched scenarios 2 and 3 "
        "were still vulnerable; update it"
    )
