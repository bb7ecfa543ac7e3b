"""Every interface of another library that it does not promise, where it is used here, and what for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

UNMARKED = frozenset(
    {
        "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
        "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
        "assigned_work",
        "callspec",
        "collection",
        "fixturenames",
        "registered_collections",
        "wasxfail",
        "workerinput",
        "workeroutput",
        "workqueue",
    }
)
"""Names without an underscore that their libraries do not document for the objects that they are read from."""

AT_WORK = frozenset({"_benchmarksession", "_hf_hook", "workerinput", "workeroutput"})
"""Names that exist only on objects at work: their libraries' own source uses them."""


@dataclass(frozen=True)
class Private:
    """A name that may go away with any version of ``library``; ``owner`` is where it is looked up."""

    library: str
    owner: str
    name: str
    where: tuple[str, ...]
    purpose: str

    def __str__(self) -> str:
        return f"{self.owner.replace(':', '.')}.{self.name}"


MODULE = "torch.nn:Module()"
SCHEDULING = "xdist.scheduler:LoadScopeScheduling()"
STATE = "pytest_steering/oracle/model_state.py"
SETTINGS = "pytest_steering/oracle/process_settings.py"

PRIVATE = (
    Private(
        "torch",
        "torch:UntypedStorage()",
        "_cdata",
        ("pytest_steering/oracle/counting.py",),
        "two tensors in one memory are told by it",
    ),
    Private(
        "pytest-benchmark",
        "pytest_benchmark.plugin:config",
        "_benchmarksession",
        ("pytest_steering/plugin/benchmarks.py",),
        "what was compared is asked of its session",
    ),
    Private(
        "torch",
        "torch._subclasses.fake_tensor",
        "FakeTensor",
        (
            "conformance/selftest/targets/test_full_size.py",
            "pytest_steering/architecture/probing.py",
            "pytest_steering/targets/memory.py",
        ),
        "a tensor of a shape without values is told from others",
    ),
    Private(
        "torch",
        "torch._subclasses.fake_tensor",
        "FakeTensorMode",
        ("pytest_steering/targets/target.py", "pytest_steering/targets/weightless.py"),
        "config: builds full-size shapes without weights",
    ),
    Private(
        "torch",
        MODULE,
        "_forward_hooks",
        (
            "conformance/selftest/architecture/test_detection.py",
            "conformance/selftest/architecture/test_observation.py",
            "conformance/selftest/oracle/diagnosis/test_causes.py",
            "fixtures/findings/pyvene_removes_hooks.py",
            "fixtures/known_bad/further/blocks.py",
            "fixtures/known_bad/further/meanwhile.py",
            "fixtures/known_bad/habits.py",
            "pytest_steering/adapters/libraries/pyvene.py",
            "pytest_steering/scenarios/changing.py",
            STATE,
        ),
        "hooks that an adapter leaves behind or removes are seen",
    ),
    Private(
        "torch",
        MODULE,
        "_forward_pre_hooks",
        (
            "conformance/selftest/architecture/test_detection.py",
            "conformance/selftest/architecture/test_observation.py",
            "pytest_steering/adapters/_resident.py",
            "pytest_steering/adapters/libraries/pyvene.py",
            STATE,
        ),
        "the same of hooks that run before a module",
    ),
    Private(
        "transformers",
        "transformers.integrations.accelerate:module",
        "_hf_hook",
        ("pytest_steering/architecture/weights.py",),
        "weights that accelerate offloads are compared where they lie",
    ),
    Private(
        "transformers",
        "transformers:PreTrainedModel",
        "_no_split_modules",
        ("pytest_steering/targets/placing.py",),
        "auto: what accelerate leaves whole, as from_pretrained(device_map=…) does",
    ),
    Private("torch", MODULE, "_forward_hooks_with_kwargs", (STATE,), "the same of hooks that take keywords"),
    Private("torch", MODULE, "_forward_pre_hooks_with_kwargs", (STATE,), "the same of those that run before"),
    Private("torch", MODULE, "_backward_hooks", (STATE,), "the same of hooks on gradients"),
    Private("torch", MODULE, "_backward_pre_hooks", (STATE,), "the same of those that run before"),
    *(
        Private("torch", "torch.nn.modules.module", name, (SETTINGS,), "the same of hooks on all modules")
        for name in (
            "_global_backward_hooks",
            "_global_backward_pre_hooks",
            "_global_buffer_registration_hooks",
            "_global_forward_hooks",
            "_global_forward_pre_hooks",
            "_global_module_registration_hooks",
            "_global_parameter_registration_hooks",
        )
    ),
    Private("torch", "torch", "_tensor_str", (SETTINGS,), "how tensors are printed has no other question"),
    Private(
        "torch",
        MODULE,
        "_compiled_call_impl",
        ("conformance/test_lifecycle.py", "pytest_steering/architecture/compiled.py"),
        "a model that was compiled in place is put back, and steered in eager mode",
    ),
    Private(
        "torch",
        "torch:",
        "_dynamo",
        (
            "conformance/selftest/adapters/test_compiled.py",
            "pytest_steering/adapters/_resident.py",
            "pytest_steering/steering/token_kinds.py",
            "pytest_steering/survey/side_by_side/measuring.py",
        ),
        "a tensor that a CUDA graph reads where it is, and does not copy for each pass, is marked so; hooks guarded",
    ),
    Private(
        "torch",
        "torch._dynamo.eval_frame:",
        "_stance",
        (SETTINGS,),
        "the stance of torch.compile, which can be set and not asked for",
    ),
    Private(
        "torch",
        "torch.utils._python_dispatch:",
        "TorchDispatchMode",
        ("fixtures/known_good/modes.py", "pytest_steering/oracle/counting.py"),
        "a right adapter that steers below all modules",
    ),
    Private(
        "transformers",
        "transformers:AutoModelForCausalLM",
        "_model_mapping",
        ("pytest_steering/targets/tiny/models.py",),
        "the class of a model type is looked up",
    ),
    Private(
        "transformers",
        "transformers:PreTrainedModel",
        "_from_config",
        ("pytest_steering/targets/tiny/models.py",),
        "a model is built from a config with random weights",
    ),
    Private(
        "transformers",
        "transformers:GPT2Config()",
        "_attn_implementation",
        (
            "fixtures/findings/transformer_lens_replaced_modules.py",
            "pytest_steering/architecture/compiled.py",
            "pytest_steering/vectors/fingerprint.py",
        ),
        "how attention is computed is no part of a fingerprint; one way is compiled for each shape",
    ),
    Private(
        "transformers",
        "transformers:GPT2Config()",
        "_name_or_path",
        ("conformance/selftest/vectors/test_files.py", "pytest_steering/vectors/fingerprint.py"),
        "a fingerprint names the checkpoint",
    ),
    Private(
        "transformers",
        "transformers.models.auto.modeling_auto",
        "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
        ("conformance/selftest/targets/test_type_names.py", "pytest_steering/targets/spec.py"),
        "tiny: knows every type that writes text",
    ),
    Private(
        "transformers",
        "transformers.models.auto.modeling_auto",
        "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
        ("conformance/selftest/targets/test_type_names.py", "pytest_steering/targets/spec.py"),
        "tiny: knows every type that sees",
    ),
    Private(
        "pytest",
        "pytest:Config",
        "_get_unknown_ini_keys",
        ("pytest_steering/plugin/options.py",),
        "a setting of ours that is misspelt is refused",
    ),
    Private(
        "pytest",
        "item",
        "fixturenames",
        (
            "conformance/conftest.py",
            "pytest_steering/plugin/fixtures.py",
            "pytest_steering/plugin/items.py",
            "pytest_steering/plugin/needs.py",
        ),
        "whether a test asks for a model is known before it runs",
    ),
    Private(
        "pytest",
        "item",
        "_fixtureinfo",
        ("pytest_steering/plugin/cases.py",),
        "a method of unittest.TestCase, which pytest does not parametrise, gets its model",
    ),
    Private(
        "pytest",
        "item",
        "callspec",
        (
            "fixtures/known_bad/selecting.py",
            "pytest_steering/plugin/cases.py",
            "pytest_steering/plugin/fixtures.py",
        ),
        "the model and the adapter of a test are read from its parameters",
    ),
    Private(
        "pytest",
        "report",
        "wasxfail",
        (
            "conformance/selftest/report/test_record.py",
            "pytest_steering/plugin/outcomes.py",
            "pytest_steering/report/model.py",
        ),
        "a known failure is an expected one to every report",
    ),
    Private(
        "xdist",
        "xdist.workermanage:WorkerController",
        "workerinput",
        (
            "conformance/selftest/conftest.py",
            "pytest_steering/plugin/__init__.py",
            "pytest_steering/plugin/options.py",
        ),
        "a worker is told the models",
    ),
    Private(
        "xdist",
        "xdist.workermanage:WorkerController",
        "workeroutput",
        ("pytest_steering/plugin/session.py",),
        "a worker tells what it selected",
    ),
    *(
        Private("xdist", SCHEDULING, name, ("pytest_steering/plugin/xdist.py",), purpose)
        for name, purpose in (
            ("assigned_work", "what a worker has left goes to others when it crashes"),
            ("collection", "the places of tests are looked up once"),
            ("registered_collections", "a test that is done is found by its place"),
            ("workqueue", "what a crashed worker left is queued again"),
            ("_assign_work_unit", "overridden: places are looked up, not searched for"),
            ("_reschedule", "the others get what a crashed worker left"),
            ("_split_scope", "overridden: the scope of a test is its model"),
            ("mark_test_complete", "overridden: a model that is done with is forgotten"),
            ("remove_node", "overridden: the test that crashed a worker is not handed on"),
        )
    ),
)


def owner_of(private: Private, item: Any) -> Any:
    """The object that the name is looked up on; ``item`` is any parametrised test."""
    if private.owner in ("item", "report"):
        return item if private.owner == "item" else SimpleNamespace(wasxfail=_expected(item.config))
    module, _, attribute = private.owner.partition(":")
    found = import_module(module)
    if not attribute:
        return found
    if private.name in AT_WORK:
        return SimpleNamespace(**dict.fromkeys(set(_names_in(Path(found.__file__ or "").parent)) & AT_WORK))
    owner = getattr(found, attribute.removesuffix("()"))
    if private.owner == SCHEDULING:
        option = SimpleNamespace(tx=["popen"], maxworkerrestart=None, loadscopereorder=True)
        return owner(SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name)))
    return owner() if attribute.endswith("()") else owner


def _names_in(folder: Path) -> Iterator[str]:
    """The attributes that a library's own source uses: some exist only on objects at work."""
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                yield node.attr


def _expected(config: Any) -> str:
    """What pytest calls a skipped report that carries ``wasxfail``."""
    report = pytest.TestReport("a", ("a", 0, "a"), {}, "skipped", None, "call")
    report.wasxfail = "a bug"
    category, *_ = config.hook.pytest_report_teststatus(report=report, config=config)
    if category != "xfailed":
        raise AttributeError("wasxfail")
    return str(category)
