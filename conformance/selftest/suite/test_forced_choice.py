from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_steering.fixtures.checkpoint import train_tokenizer, write_checkpoint
from tokenizers import processors
from torch import Tensor, nn

from pytest_steering import Positions, SteeringError, SteeringPlan, detect_architecture, load_target
from pytest_steering.adapters.registry import make_adapter
from pytest_steering.byte_tokenizer import tiny_tokenizer
from pytest_steering.suite.encoding import prompt_batch, prompt_ids, question
from pytest_steering.suite.forced_choice import forced_choice, generate_answers
from pytest_steering.targets.tiny.models import random_model, tiny_config

architecture_of = functools.cache(detect_architecture)

TYPES = ("gpt_bigcode", "starcoder2", "qwen2")
PROMPTS = (
    "if (length > limit) { return -1; }\n\nIs it safe?\nAnswer:",
    "x\nAnswer:",
    "free(pointer);\npointer = NULL;\nclass Stack:\n    def push(self, item):\nAnswer:",
    "Answer:",
    "total = total + items[index]\n\nIs there a buffer overflow in this code?\nAnswer:",
)
ONE: dict[str, Any] = {"yes": " the", "no": " no"}
"""Answers of one token each; that tokenizer writes `` yes`` with four."""


@pytest.fixture(scope="module", params=TYPES)
def model(request: pytest.FixtureRequest) -> Any:
    """A random model whose vocabulary is the trained tokenizer's."""
    config = tiny_config(request.param)
    config.vocab_size = len(train_tokenizer())
    return random_model(config)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer()


@contextlib.contextmanager
def steered(model: Any, positions: Positions = Positions.ALL, adapter: str = "hooks") -> Iterator[Any]:
    architecture = architecture_of(model)
    generator = torch.Generator().manual_seed(3)
    vector = torch.randn(architecture.hidden_size, generator=generator)
    plan = SteeringPlan({1: vector, 2: -vector}, scale=2.0, positions=positions)
    with make_adapter(adapter, model, architecture).steer(plan) as call:
        yield call


def by_hand(call: Any, tokenizer: Any, prompt: str, answer: str) -> float:
    """log p(answer) from one row without padding, token by token."""
    context = tokenizer(prompt)["input_ids"]
    tail = tokenizer(prompt + answer)["input_ids"][len(context) :]
    total = 0.0
    for token in tail:
        with torch.no_grad():
            logits = call(input_ids=torch.tensor([context])).logits[0, -1]
        total += float(logits.double().log_softmax(-1)[token])
        context = [*context, token]
    return total


def test_answers_have_one_token_and_several(tokenizer: Any) -> None:
    """What the tests below rely on."""
    for prompt in PROMPTS:
        assert {len(tail) for tail in question(tokenizer, prompt, tuple(ONE.values())).answers} == {1}
        assert {len(tail) for tail in question(tokenizer, prompt, (" yes", " no")).answers} != {1}


@pytest.mark.parametrize("answers", [ONE, {}], ids=["one token", "several tokens"])
def test_difference_of_log_probabilities(model: Any, tokenizer: Any, answers: dict[str, Any]) -> None:
    found = forced_choice(model, tokenizer, PROMPTS, batch_size=3, **answers)
    yes, no = answers.get("yes", " yes"), answers.get("no", " no")
    wanted = [by_hand(model, tokenizer, text, yes) - by_hand(model, tokenizer, text, no) for text in PROMPTS]
    assert found.dtype is torch.float64
    assert found.shape == (5,)
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-5)
    assert len(set(found.tolist())) == 5


@pytest.mark.parametrize("answers", [ONE, {}], ids=["one token", "several tokens"])
@pytest.mark.parametrize("adapter", ["hooks", "folded", "nnsight"])
def test_same_whatever_the_batch(model: Any, tokenizer: Any, answers: dict[str, Any], adapter: str) -> None:
    with steered(model, adapter=adapter) as call:
        alone = forced_choice(call, tokenizer, PROMPTS, batch_size=1, **answers)
        together = forced_choice(call, tokenizer, PROMPTS, batch_size=8, **answers)
        turned = forced_choice(call, tokenizer, PROMPTS[::-1], batch_size=2, **answers).flip(0)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(turned, alone, rtol=0, atol=1e-5)
    assert (together - forced_choice(model, tokenizer, PROMPTS, **answers)).abs().min() > 1e-3


@pytest.mark.parametrize("positions", Positions)
def test_steered_positions_are_those_of_generation(model: Any, tokenizer: Any, positions: Positions) -> None:
    """The answer's tokens are generated ones: from the last of the prompt on, LAST steers each that predicts one."""
    prompt = PROMPTS[0]
    context = tokenizer(prompt)["input_ids"]
    with steered(model, positions) as call:
        (found,) = forced_choice(call, tokenizer, [prompt]).tolist()
    likely = {" yes": 0.0, " no": 0.0}
    for text in likely:
        tail = tokenizer(prompt + text)["input_ids"][len(context) :]
        for length, token in enumerate(tail):
            ids = torch.tensor([[*context, *tail[:length]]])
            likely[text] += log_probability(model, ids, positions, len(context), token)
    assert abs(found - (likely[" yes"] - likely[" no"])) < 1e-5


def log_probability(model: Any, ids: Tensor, positions: Positions, prompt: int, token: int) -> float:
    """log p(token) after ``ids`` with the vectors of :func:`steered` added by plain hooks at the plan's columns."""
    architecture = architecture_of(model)
    vector = torch.randn(architecture.hidden_size, generator=torch.Generator().manual_seed(3))
    column = torch.arange(ids.shape[1])
    chosen = {
        Positions.ALL: column >= 0,
        Positions.PROMPT: column < prompt,
        Positions.GENERATED: column >= prompt,
        Positions.LAST: column >= prompt - 1,
    }[positions]

    def adding(sign: float) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
            delta = 2.0 * sign * vector * chosen[:, None]
            return (output[0] + delta, *output[1:]) if isinstance(output, tuple) else output + delta

        return hook

    hooks = [architecture.layers[layer].register_forward_hook(adding(sign)) for layer, sign in ((1, 1.0), (2, -1.0))]
    try:
        with torch.no_grad():
            return float(model(input_ids=ids).logits[0, -1].double().log_softmax(-1)[token])
    finally:
        for hook in hooks:
            hook.remove()


def test_one_token_is_read_at_the_last_real_token(model: Any, tokenizer: Any) -> None:
    with steered(model, Positions.LAST) as call:
        found = forced_choice(call, tokenizer, PROMPTS, **ONE)
    for row, prompt in enumerate(PROMPTS):
        ids = torch.tensor(tokenizer([prompt])["input_ids"])
        tails = question(tokenizer, prompt, tuple(ONE.values())).answers
        yes, no = (log_probability(model, ids, Positions.LAST, ids.shape[1], tail[0]) for tail in tails)
        assert abs(float(found[row]) - (yes - no)) < 1e-5


def test_model_that_cannot_generate(model: Any, tokenizer: Any) -> None:
    class Plain(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            return self.inner(input_ids=input_ids, attention_mask=attention_mask)

    found = forced_choice(Plain(model), tokenizer, PROMPTS, batch_size=3)
    torch.testing.assert_close(found, forced_choice(model, tokenizer, PROMPTS), rtol=0, atol=1e-5)


def test_logits_of_no_other_token_are_computed(model: Any, tokenizer: Any) -> None:
    widths = []
    head = model.get_output_embeddings()
    hook = head.register_forward_hook(lambda _module, args, _output: widths.append(args[0].shape[1]))
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(hook.remove)
        forced_choice(model, tokenizer, PROMPTS[:3], **ONE)
    assert widths == [3]


def test_half_precision_is_compared_in_double(tokenizer: Any) -> None:
    config = tiny_config("qwen2")
    config.vocab_size = len(tokenizer)
    half: Any = random_model(config).bfloat16()
    assert forced_choice(half, tokenizer, PROMPTS, **ONE).dtype is torch.float64


def test_space_belongs_to_whom_the_tokenizer_says(tokenizer: Any) -> None:
    after = question(tokenizer, "Answer:", (" yes", " no"))
    assert tokenizer.decode(after.prompt) == "Answer:"
    assert [tokenizer.decode(tail) for tail in after.answers] == [" yes", " no"]
    spaced = question(tokenizer, "Answer:\n", (" yes", " no"))
    assert tokenizer.decode(spaced.prompt) == "Answer:\n"
    assert [tokenizer.decode(tail) for tail in spaced.answers] == ["yes", "no"]
    # "th" and "e" are one token: the prompt ends before it, and the answer begins with it.
    merged = question(tokenizer, "Is th", ("e one", "ose"))
    assert [tokenizer.decode([*merged.prompt, *tail]) for tail in merged.answers] == ["Is the one", "Is those"]


def test_answers_of_unequal_length_share_a_batch(model: Any, tokenizer: Any) -> None:
    prompts = ["x\nAnswer:", "x\nAnswer:\n", "Answer:"]
    assert [len(question(tokenizer, prompt, (" yes", " no")).answers[0]) for prompt in prompts] == [4, 3, 4]
    together = forced_choice(model, tokenizer, prompts)
    alone = torch.cat([forced_choice(model, tokenizer, [prompt]) for prompt in prompts])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_special_tokens_stand_before_and_none_behind() -> None:
    plain, framed = train_tokenizer(), train_tokenizer()
    begin, end = framed.bos_token_id, framed.eos_token_id
    framed.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", begin), ("</s>", end)]
    )
    assert framed("Answer:")["input_ids"][-1] == end
    assert prompt_ids(framed, "Answer:") == (begin, *prompt_ids(plain, "Answer:"))
    assert prompt_ids(framed, "<s>Answer:") == (begin, *prompt_ids(plain, "Answer:"))


def test_batch_of_prompts_is_what_a_choice_reads(tokenizer: Any) -> None:
    right, left = (prompt_batch(tokenizer, PROMPTS[:2], side=side) for side in ("right", "left"))
    short = len(prompt_ids(tokenizer, PROMPTS[1]))
    assert right["attention_mask"][1].tolist() == left["attention_mask"][1].flip(0).tolist()
    assert right["attention_mask"].sum(1).tolist() == [len(prompt_ids(tokenizer, text)) for text in PROMPTS[:2]]
    assert (
        tuple(right["input_ids"][1, :short])
        == tuple(left["input_ids"][1, -short:])
        == prompt_ids(tokenizer, PROMPTS[1])
    )


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(SteeringError) as caught:
        forced_choice(*args, **options)
    return str(caught.value)


def test_what_cannot_be_asked(model: Any, tokenizer: Any) -> None:
    assert refusal(model, None, PROMPTS) == (
        "the model has no tokenizer, so it cannot be asked anything; put tokenizer.json beside it"
    )
    assert refusal(model, tokenizer, PROMPTS, yes=" y", no=" y") == (
        "the tokenizer does not tell the answers ' y', ' y' apart after 'Is it safe?\\nAnswer:'; "
        "choose answers that it has tokens for"
    )
    assert refusal(model, tokenizer, [""]) == "an empty prompt has no answer position; pass a prompt with text in it"
    assert refusal(model, tokenizer, PROMPTS, batch_size=0) == "the batch size is 0; it must be at least 1"


def test_prompt_that_does_not_fit_is_refused(model: Any, tokenizer: Any) -> None:
    limit = model.config.max_position_embeddings
    long = "x = 1; " * limit
    sentence = refusal(model, tokenizer, ["Answer:", long])
    columns = question(tokenizer, long, (" yes", " no")).columns
    assert sentence == (
        f"prompt 1 takes {columns} tokens with its answer, and the model's context has {limit} "
        "(1 of 2 prompts are too long); leave them out, because a cut prompt asks something else"
    )
    with steered(model) as call:
        assert refusal(call, tokenizer, ["Answer:", long], model=model) == sentence
    assert "the model's context has 4 (5 of 5" in refusal(model, tokenizer, PROMPTS, max_tokens=4)
    with pytest.raises(SteeringError, match="prompt 0 takes"):
        generate_answers(model, tokenizer, ["Answer:"], max_new_tokens=limit)


def test_no_prompts_no_answers(model: Any, tokenizer: Any) -> None:
    assert forced_choice(model, tokenizer, []).shape == (0,)
    assert generate_answers(model, tokenizer, []) == []


@pytest.mark.parametrize("adapter", ["hooks", "folded", "nnsight"])
def test_written_answers_are_those_of_each_prompt_alone(model: Any, tokenizer: Any, adapter: str) -> None:
    with steered(model, adapter=adapter) as call:
        together = generate_answers(call, tokenizer, PROMPTS, max_new_tokens=6, batch_size=3)
        for prompt, text in zip(PROMPTS, together, strict=True):
            ids = written_alone(call, tokenizer, prompt, 6)
            stop = [*ids, tokenizer.eos_token_id].index(tokenizer.eos_token_id)
            assert text == tokenizer.decode(ids[:stop], skip_special_tokens=True)
            assert text
    assert together != generate_answers(model, tokenizer, PROMPTS, max_new_tokens=6)


def test_written_answers_without_a_padding_token(model: Any) -> None:
    tokenizer = train_tokenizer()
    usual = generate_answers(model, tokenizer, PROMPTS, max_new_tokens=6)
    tokenizer.pad_token = None
    assert generate_answers(model, tokenizer, PROMPTS, max_new_tokens=6) == usual
    tokenizer.eos_token = None
    assert generate_answers(model, tokenizer, PROMPTS, max_new_tokens=6) == usual
    assert forced_choice(model, tokenizer, PROMPTS, **ONE).isfinite().all()


def written_alone(call: Any, tokenizer: Any, prompt: str, most: int) -> list[int]:
    """The tokens that greedy decoding appends to one prompt without padding."""
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    mask = torch.ones_like(ids)
    written = call.generate(input_ids=ids, attention_mask=mask, max_new_tokens=most, do_sample=False)
    return list(written[0, ids.shape[1] :].tolist())


def test_text_ends_before_its_end_token(model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = [written_alone(model, tokenizer, prompt, 12) for prompt in PROMPTS]
    row = next(row for row, ids in enumerate(usual) if len(set(ids)) > 1)
    end = next(token for token in usual[row] if token != usual[row][0])
    monkeypatch.setattr(model.generation_config, "eos_token_id", [end])
    found = generate_answers(model, tokenizer, PROMPTS, max_new_tokens=12)
    for text, ids in zip(found, usual, strict=True):
        stop = min([*ids, token].index(token) for token in (end, tokenizer.eos_token_id))
        assert text == tokenizer.decode(ids[:stop], skip_special_tokens=True)
    assert 0 < len(found[row]) < len(tokenizer.decode(usual[row]))


def test_settings_of_the_checkpoint_do_not_sample(model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = forced_choice(model, tokenizer, PROMPTS), generate_answers(model, tokenizer, PROMPTS, max_new_tokens=6)
    for name, value in {"do_sample": True, "temperature": 5.0, "top_p": 0.5, "num_beams": 2}.items():
        monkeypatch.setattr(model.generation_config, name, value)
    torch.testing.assert_close(forced_choice(model, tokenizer, PROMPTS), plain[0], rtol=0, atol=1e-6)
    assert generate_answers(model, tokenizer, PROMPTS, max_new_tokens=6) == plain[1]


def test_byte_level_tokenizer(tmp_path: Path) -> None:
    target = load_target("tiny:starcoder2")
    found = forced_choice(target.model, tiny_tokenizer(), ["x\nAnswer:", "longer\nAnswer:"])
    wanted = [
        by_hand(target.model, target.tokenizer, text, " yes") - by_hand(target.model, target.tokenizer, text, " no")
        for text in ("x\nAnswer:", "longer\nAnswer:")
    ]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-5)
    write_checkpoint(tmp_path / "checkpoint")
    loaded = load_target(str(tmp_path / "checkpoint"))
    assert forced_choice(loaded.model, loaded.tokenizer, ["x\nAnswer:"]).isfinite().all()


def test_progress_bar(model: Any, tokenizer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    forced_choice(model, tokenizer, PROMPTS, batch_size=2)
    assert capsys.readouterr().err == ""
    forced_choice(model, tokenizer, PROMPTS, batch_size=2, progress=True)
    assert "forced choice: 100%" in capsys.readouterr().err
