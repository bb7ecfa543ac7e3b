from __future__ import annotations

import builtins
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.selftest.evaluation.secllmholmes import BOTH, CVES, CWES, numbered, plant_clone
from pytest_steering import SteeringError
from pytest_steering.evaluation.scenarios import Dataset, embedded_root, load_secllmholmes

REMEDY = "name a whole clone of SecLLMHolmes with --secllmholmes=PATH or SECLLMHOLMES"
HAND = "datasets/hand-crafted/dataset"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant_clone(tmp_path_factory.mktemp("secllmholmes") / "clone")


@pytest.fixture(scope="session")
def dataset(whole: Path) -> Dataset:
    return load_secllmholmes(whole)


@pytest.fixture
def clone(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "clone"))


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(SteeringError) as caught:
        load_secllmholmes(root, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(root), "CLONE")


def test_whole_clone_has_228_scenarios(dataset: Dataset) -> None:
    assert dataset.counts() == {
        "hand-crafted": 48,
        "few-shot": 16,
        "trivial": 84,
        "non-trivial": 66,
        "real-world": 30,
    }
    assert sum(dataset.counts().values()) - 16 == 228
    assert Counter(pair.part for pair in dataset.pairs) == {
        "hand-crafted": 24,
        "few-shot": 8,
        "trivial": 42,
        "non-trivial": 12 + 42,
        "real-world": 15,
    }
    assert dataset.cwes == tuple(f"CWE-{cwe}" for cwe in CWES)


def test_every_misleading_file_has_a_partner(dataset: Dataset) -> None:
    """24 of the 66 are made to both sides; the other 42 stand beside the untouched other side of their scenario."""
    pairs = dataset.part("non-trivial").pairs
    changed = [case for pair in pairs for case in (pair.vulnerable, pair.patched) if case.part == "non-trivial"]
    assert len({case.name for case in changed}) == len(changed) == 66
    assert all(case.variant.endswith("_1") for case in changed)
    alone = [pair for pair in pairs if not pair.builds]
    assert Counter(pair.vulnerable.variant + pair.patched.variant for pair in alone) == {
        "A2_1": 12,
        "A3_1": 12,
        "A5_1": 9,
        "A6_1": 9,
    }
    for pair in alone:
        (original,) = (case for case in (pair.vulnerable, pair.patched) if not case.variant)
        stem = Path(original.name).stem
        assert original.name.startswith(f"{HAND}/{pair.cwe}/")
        assert pair.scenario == f"hand-crafted/{pair.cwe}/{stem.removeprefix('p_')}" == original.scenario
        assert pair.vulnerable.vulnerable
        assert not pair.patched.vulnerable


def test_misleading_files_have_partners_where_hand_crafted_ones_are_not_asked_for(whole: Path) -> None:
    found = load_secllmholmes(whole, parts=["non-trivial"])
    assert {pair.part for pair in found.pairs} == {"non-trivial"}
    assert len(found.pairs) == 54


def test_labels_follow_the_names_of_files(dataset: Dataset) -> None:
    for case in dataset.cases():
        stem = Path(case.name).stem
        assert case.vulnerable is not (stem.startswith("p_") or stem.endswith("-p") or stem == "patch"), case.name
        # The planted code says by itself which side it is.
        assert ("return 4 *" in case.code or "rows * 4" in case.code) is case.vulnerable, case.name


def test_pairs_differ_by_one_byte_and_are_kept(dataset: Dataset) -> None:
    for pair in (pair for pair in dataset.pairs if pair.builds):
        assert pair.vulnerable.vulnerable
        assert not pair.patched.vulnerable
        assert pair.vulnerable.scenario == pair.patched.scenario == pair.scenario
        changed = [a != b for a, b in zip(pair.vulnerable.code, pair.patched.code, strict=True)]
        assert sum(changed) == 1


def test_weaknesses_have_one_spelling(dataset: Dataset) -> None:
    few_shot = dataset.part("few-shot").pairs
    assert [pair.cwe for pair in few_shot] == list(dataset.cwes)
    assert [pair.scenario for pair in few_shot] == [f"few-shot/{cwe}" for cwe in dataset.cwes]
    assert Counter(pair.cwe for pair in dataset.part("real-world").pairs) == {
        "CWE-787": 6,
        "CWE-476": 4,
        "CWE-190": 4,
        "CWE-416": 1,
    }
    assert dataset.cwe("cwe-89") == dataset.cwe("CWE-89")


def test_augmentations_belong_to_the_scenario_of_their_original(dataset: Dataset) -> None:
    of_one = [case for case in dataset.cases() if case.scenario == "hand-crafted/CWE-787/2"]
    assert Counter(case.part for case in of_one) == {"hand-crafted": 2, "trivial": 14, "non-trivial": 8}
    for case in dataset.cases():
        if case.part in ("trivial", "non-trivial"):
            assert case.scenario == f"hand-crafted/{case.cwe}/{Path(case.name).stem.removeprefix('p_')}"


def test_reasons_are_read_in_both_spellings_of_their_directory(dataset: Dataset) -> None:
    assert all(case.reason for case in dataset.cases())
    assert dataset.part("few-shot").cwe("CWE-22").pairs[0].patched.reason == "Because of cwe-22-p."
    assert dataset.part("trivial").pairs[0].patched.reason == "Scenario 1, p_1: so it is."
    assert dataset.part("real-world").pairs[0].vulnerable.reason == "vuln of CVE-2001-0001"


def test_everything_left_out_is_counted(dataset: Dataset) -> None:
    assert dataset.notes == (
        "hand-crafted: 1 file left out: no code of a scenario",
        "hand-crafted: 48 files left out: no ending, so perhaps a pickle, which is never opened",
        "few-shot: 1 file left out: no code of a scenario",
        "trivial: 84 files left out: no ending, so perhaps a pickle, which is never opened",
        "non-trivial: 42 files are tested beside the hand-crafted file of the other side, because the change fits one "
        "side only; these pairs build no vector",
        "non-trivial: 6 files left out: no code of a scenario",
        "non-trivial: 132 files left out: no ending, so perhaps a pickle, which is never opened",
        "non-trivial: 66 files left out: what a misleading change was made to, which hand-crafted has too",
        "real-world: 16 files left out: no code of a scenario",
        "real-world: 30 files left out: no ending, so perhaps a pickle, which is never opened",
        "non-trivial: kept, A4 of CWE-416 and A6 of CWE-22: the published answers to them were asked about "
        "out-of-bounds write; here each file is asked about its own CWE, so compare no published figure",
    )


def test_no_pickle_is_opened(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def watched(real: Callable[..., object]) -> Callable[..., object]:
        def opening(file: object, *args: object, **options: object) -> object:
            opened.append(Path(str(file)))
            return real(file, *args, **options)

        return opening

    monkeypatch.setattr(builtins, "open", watched(builtins.open))
    monkeypatch.setattr(io, "open", watched(io.open))
    assert len(load_secllmholmes(clone).cases()) == 244
    inside = [path for path in opened if path.is_relative_to(clone)]
    assert len(inside) == 2 * 244 + 1
    assert {path.suffix for path in inside} == {".c", ".py", ".txt", ".json"}


def test_datasets_directory_itself_will_do(whole: Path, dataset: Dataset) -> None:
    found = load_secllmholmes(whole / "datasets")
    assert found.counts() == dataset.counts()
    assert found.notes == dataset.notes
    assert {f"datasets/{case.name}" for case in found.cases()} == {case.name for case in dataset.cases()}


def test_variable_names_the_clone(whole: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECLLMHOLMES", str(whole))
    assert load_secllmholmes() == dataset
    monkeypatch.setenv("SECLLMHOLMES", str(whole / "nowhere"))
    assert load_secllmholmes(whole) == dataset


def test_embedded_pairs_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECLLMHOLMES", raising=False)
    embedded = load_secllmholmes()
    assert embedded.root == embedded_root()
    assert len(embedded.cwes) == 8
    assert {pair.cwe for pair in embedded.part("few-shot").pairs} == set(embedded.cwes)


def test_fingerprint_is_of_names_labels_and_code(clone: Path, dataset: Dataset) -> None:
    assert load_secllmholmes(clone).fingerprint == dataset.fingerprint
    assert load_secllmholmes(clone / "datasets").fingerprint == dataset.fingerprint
    with (clone / HAND / "CWE-22" / "3.c").open("a") as file:
        file.write("\n")
    assert load_secllmholmes(clone).fingerprint != dataset.fingerprint


def test_parts_that_are_asked_for(clone: Path) -> None:
    shutil.rmtree(clone / "datasets" / "real-world")
    found = load_secllmholmes(clone, parts=["hand-crafted", "few-shot"])
    assert found.counts() == {"hand-crafted": 48, "few-shot": 16}
    assert load_secllmholmes(clone, parts="few-shot").counts() == {"few-shot": 16}
    assert refusal(clone, parts=["real"]) == (
        "there is no part 'real' of SecLLMHolmes; the parts are hand-crafted, few-shot, trivial, non-trivial, "
        "real-world"
    )


def test_wrong_directory(tmp_path: Path) -> None:
    missing, empty, other, file = (tmp_path / name for name in ("missing", "empty", "other", "file"))
    empty.mkdir()
    (other / "datasets").mkdir(parents=True)
    file.write_text("a file")
    assert refusal(missing) == f"CLONE: there is no such directory; {REMEDY}"
    assert refusal(empty) == f"CLONE: the directory is empty; {REMEDY}"
    assert refusal(file) == f"CLONE: it is a file, not a directory; {REMEDY}"
    assert refusal(other) == (
        f"CLONE: there is neither datasets/hand-crafted nor another part of the data set; {REMEDY}"
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


def test_fewer_files_than_a_whole_clone(clone: Path) -> None:
    shutil.rmtree(clone / HAND / "CWE-190")
    assert "hand-crafted: 42 files of code where a whole clone has 48" in load_secllmholmes(clone).notes


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
    assert "real-world: 7 files left out: a CVE that cve_details.json does not name" in found.notes
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


def test_loading_scenarios_imports_no_torch() -> None:
    script = "import sys; from pytest_steering.evaluation import folds, styles; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
