"""``check_adapter`` in a real kernel of Jupyter: an adapter that stands in a cell is judged there."""

from __future__ import annotations

import os

import pytest

from conformance.selftest.places import ROOT

ADAPTER = """
from contextlib import contextmanager
from pytest_steering import check_adapter

class Mine:
    name = "mine"
    capabilities = frozenset()

    def __init__(self, model, architecture):
        self.model, self.architecture = model, architecture

    @contextmanager
    def steer(self, plan):
        plan.check(self.architecture)
        handles = []
        for layer, vector in plan.vectors.items():
            def hook(_module, _args, output, delta=plan.scale * vector):
                return (output[0] + delta, *output[1:]) if isinstance(output, tuple) else output + delta
            handles.append(self.architecture.layers[layer].register_forward_hook(hook))
        try:
            yield self.model
        finally:
            for handle in handles:
                handle.remove()

report = check_adapter("tiny:llama", Mine)
report
"""
MENDED = """
from transformers import AutoModelForCausalLM, LlamaConfig

config = LlamaConfig(num_hidden_layers=4, hidden_size=32, intermediate_size=64, num_attention_heads=4, vocab_size=128)
print(check_adapter(AutoModelForCausalLM.from_config(config), Mine).verdict, report.verdict)
"""


@pytest.mark.slow
def test_a_cell_is_judged_and_shows_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    cells = [nbformat.v4.new_code_cell(text) for text in (ADAPTER, MENDED)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    shown = [
        line
        for cell in notebook.cells
        for output in cell.outputs
        for line in str(output.get("text") or output.get("data", {}).get("text/plain", "")).splitlines()
    ]
    assert any(line.startswith("tiny:llama with mine: fails 1.1 core (") for line in shown), shown
    assert any(line.startswith("dtype-kept: ") for line in shown), shown
    assert shown[-1] == "fails fails"
