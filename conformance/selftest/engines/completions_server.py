"""A server on loopback that answers OpenAI's completions as vLLM does, and runs our own engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from torch import Tensor

from pytest_steering.engines.protocol import Completion, LogProbs, Request, SteeringEngine
from pytest_steering.steering.plan import SteeringPlan


@contextmanager
def serving(engine: SteeringEngine) -> Iterator[str]:
    """The address of a server that runs ``engine`` inside the block."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                request = _asked(body)
                with lock:
                    (response,) = engine.run([request])
                answer = {"choices": [_choice(each, response.prompt_log_probs, body) for each in response.completions]}
                self._send(200, json.dumps(answer))
            except ValueError as error:
                self._send(400, str(error))

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: Any) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _asked(body: dict[str, Any]) -> Request:
    plan = None
    if steering := body.get("steering"):
        vectors = {int(layer): torch.tensor(vector) for layer, vector in steering["vectors"].items()}
        plan = SteeringPlan(vectors, steering["scale"], steering["positions"])
    return Request(
        tuple(body["prompt"]),
        plan,
        body["max_tokens"],
        body["n"],
        body["temperature"],
        body["seed"],
        tuple(body["stop_token_ids"]),
    )


def _choice(completion: Completion, prompt: LogProbs | None, body: dict[str, Any]) -> dict[str, Any]:
    assert prompt is not None
    likely = [
        {f"token_id:{token}": value for token, value in at.items()}
        for at in _top(completion.log_probs.values, body["logprobs"])
    ]
    said = _top(prompt.values, body["prompt_logprobs"])
    return {
        "prompt_logprobs": [None, *({str(token): {"logprob": value} for token, value in at.items()} for at in said)],
        "logprobs": {"tokens": [f"token_id:{token}" for token in completion.tokens], "top_logprobs": likely},
    }


def _top(values: Tensor, count: int) -> list[dict[int, float]]:
    """The likeliest tokens at each position."""
    found = values.topk(count)
    rows = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    return [dict(zip(ids, given, strict=True)) for ids, given in rows]
