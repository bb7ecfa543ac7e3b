"""A judge behind a server: asked over HTTP, patient with one that is busy, and plain about one that does not answer."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from pytest_steering.evaluation.judges.judgement import JudgeError, Question, Tier
from pytest_steering.evaluation.judges.server import ServerJudge
from pytest_steering.evaluation.styles import Polarity


class Reply(NamedTuple):
    status: int = 200
    body: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012
    seconds: float = 0.0


def says(content: Any) -> Reply:
    return Reply(body=json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}))


class Server(ThreadingHTTPServer):
    """Gives the replies in turn, the last one again and again, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = []
        self.asked: list[tuple[str, Any, Any]] = []

    def judge(self, *replies: Reply, **settings: Any) -> ServerJudge:
        self.replies = list(replies)
        return ServerJudge("model", f"http://127.0.0.1:{self.server_port}/v1", **settings)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        reply = self.server.replies.pop(0) if len(self.server.replies) > 1 else self.server.replies[0]
        time.sleep(reply.seconds)
        try:
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body.encode())), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body.encode())
        except OSError:
            """Whoever asked is gone."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("content", "label"),
    [
        ("yes", "vulnerable"),
        ("No.", "secure"),
        ("**Yes**", "vulnerable"),
        ("n/a", "unclear"),
        ("<think>no, or yes?</think>\nno", "secure"),
        ("Yes and no.", "unclear"),
        ("The text says yes.", "unclear"),
        ("", "unclear"),
        (None, "unclear"),
    ],
)
def test_a_reply_is_yes_no_or_unclear(server: Server, content: str | None, label: str) -> None:
    judged = server.judge(says(content))("It is vulnerable.", Question("CWE-89"))
    assert (judged.label, judged.confidence, judged.tier) == (label, None, Tier.ASKED)
    assert judged.evidence == ((content or "").strip(),)


def test_what_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    judge = server.judge(says("yes"))
    judge("The {answer}.", Question("CWE-89", polarity=Polarity.YES_IS_SECURE))
    path, headers, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer key"
    assert headers["Content-Type"] == "application/json"
    assert (body["model"], body["temperature"]) == ("model", 0)
    (message,) = body["messages"]
    assert message["role"] == "user"
    assert "does the text state that the code contains SQL injection?" in message["content"]
    assert "A yes of its own says that the code is free of it" in message["content"]
    assert message["content"].endswith("<text>\nThe {answer}.\n</text>")
    monkeypatch.delenv("OPENAI_API_KEY")
    judge("", Question())
    assert "Authorization" not in server.asked[1][1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_broken_server_is_asked_again_after_growing_pauses(server: Server, status: int) -> None:
    pauses: list[float] = []
    busy = Reply(status)
    judge = server.judge(busy, busy, busy, says("yes"), sleep=pauses.append)
    assert judge("", Question()).label == "vulnerable"
    assert pauses == [1, 2, 4]


def test_a_pause_is_as_long_as_the_server_wishes_within_bounds(server: Server) -> None:
    pauses: list[float] = []
    busy = [Reply(429, headers={"Retry-After": wish}) for wish in ("7", "3600", "soon")]
    server.judge(*busy, says("no"), sleep=pauses.append)("", Question())
    assert pauses == [7, 60, 4]


def test_patience_ends(server: Server) -> None:
    pauses: list[float] = []
    judge = server.judge(Reply(429), attempts=3, sleep=pauses.append)
    with pytest.raises(JudgeError, match=r": asked 3 times, and the server answers 429 Too Many Requests; go on later"):
        judge("", Question())
    assert (len(server.asked), pauses) == (3, [1, 2])


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(body="<html>"), "the server's answer is no chat completion; give a URL such as http"),
        (Reply(body='{"choices": []}'), "the server's answer is no chat completion"),
        (Reply(body='["choices"]'), "the server's answer is no chat completion"),
        (Reply(401), "the server refuses the key (401 Unauthorized); set OPENAI_API_KEY to one that it takes"),
        (Reply(404), "the server answers 404 Not Found; check the model's name and the URL"),
        (Reply(body="cut", headers={"Content-Length": "99"}), "the server cannot be reached (IncompleteRead("),
        (Reply(seconds=0.5), "no answer within 0.1 s; start a faster server"),
    ],
)
def test_a_server_that_gives_no_reply_is_said_to_in_one_sentence(server: Server, reply: Reply, sentence: str) -> None:
    judge = server.judge(reply, timeout=0.1)
    with pytest.raises(JudgeError, match="^" + re.escape(f"judge {judge.name}: {sentence}")) as caught:
        judge("", Question())
    assert "\n" not in str(caught.value)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_said_to_be(server: Server) -> None:
    with Server() as closed:
        judge = closed.judge()
    with pytest.raises(JudgeError, match=r"the server cannot be reached \(.*refused\); start it, or check the URL$"):
        judge("", Question())


def test_the_version_is_of_the_words_that_are_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = server.judge()
    before = judge.version
    assert before == judge.version
    monkeypatch.setattr("pytest_steering.evaluation.judges.server._ASKED", "Does it? {name}{meaning}{answer}")
    assert judge.version != before
