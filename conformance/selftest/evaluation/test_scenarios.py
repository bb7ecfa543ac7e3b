from __future__ import annotations

import builtins
import io
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.selftest.evaluation.secllmholmes import CWES
from pytest_steering.evaluation.scenarios import Dataset, embedded_root, load_secllmholmes

HAND = "datasets/hand-crafted/dataset"


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
        "non-trivial: kept, A4 of CWE-416 and A6 of CWE-22: the published answers to them were asked about "
        "out-of-bounds write; here each file is asked about its own CWE, so compare no published figure",
        "hand-crafted: 49 files left out: no code of a scenario, and never opened",
        "few-shot: 1 file left out: no code of a scenario, and never opened",
        "trivial: 84 files left out: no code of a scenario, and never opened",
        "non-trivial: 138 files left out: no code of a scenario, and never opened",
        "non-trivial: 66 files left out: what a misleading change was made to, which hand-crafted has too",
        "non-trivial: 42 files are tested beside the hand-crafted file of the other side, because the change fits one "
        "side only; these pairs build no vector",
        "real-world: 46 files left out: no code of a scenario, and never opened",
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
    assert len(set(inside)) == 2 * 244 + 1
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


def test_loading_scenarios_imports_no_torch() -> None:
    script = "import sys; from pytest_steering.evaluation import folds, styles; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
