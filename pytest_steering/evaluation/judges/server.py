"""A judge behind an OpenAI-compatible server: a model is asked what SecLLMHolmes asked GPT-4 about every answer."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_steering.evaluation.judges.judgement import JudgeError, Judgement, Label, Question, Tier
from pytest_steering.suite.cwes import WEAKNESSES

_KEY = "OPENAI_API_KEY"
_ASKED = """\
A language model was asked whether some code contains {name}, and wrote the text below. As its final decision, \
does the text state that the code contains {name}? {meaning} Reply with one word: yes, no, or n/a if the text does not \
decide.

<text>
{answer}
</text>"""
_MEANINGS = {
    1: "A yes of its own says that the code contains it, a no that it does not.",
    -1: "A yes of its own says that the code is free of it, a no that the code contains it.",
    0: "A yes or no of its own decides nothing.",
}
_REPLIES = {"yes": Label.VULNERABLE, "no": Label.SECURE, "n/a": Label.UNCLEAR}


@dataclass(frozen=True)
class ServerJudge:
    """The judge ``openai:MODEL@URL``; the key, where one is needed, is taken from ``OPENAI_API_KEY``."""

    model: str
    url: str
    timeout: float = 120.0
    """Seconds to wait for the server to say something."""
    attempts: int = 6
    """How often a server is asked that is too busy or broken."""
    longest_pause: float = 60.0
    """The most seconds between two attempts, whatever the server wishes."""
    sleep: Callable[[float], object] = time.sleep

    @property
    def name(self) -> str:
        """As it is given to ``--judge``."""
        return f"openai:{self.model}@{self.url}"

    @property
    def version(self) -> str:
        """A hash of the wording: other words may get other replies."""
        return hashlib.sha256(repr((_ASKED, _MEANINGS)).encode()).hexdigest()[:12]

    def __call__(self, answer: str, question: Question) -> Judgement:
        """What the model replies; ``unclear`` unless it is yes or no. ``JudgeError`` where there is no reply."""
        name = WEAKNESSES[str(question.cwe)].name if str(question.cwe) in WEAKNESSES else question.cwe
        asked = _ASKED.format(name=name or "a security weakness", meaning=_MEANINGS[question.yes], answer=answer)
        message = {"role": "user", "content": asked}
        reply = self._reply(self._posted({"model": self.model, "temperature": 0, "messages": [message]}))
        said = re.fullmatch(r"\W*(yes|no|n/a)\W*", reply.rpartition("</think>")[2].lower())
        return Judgement(_REPLIES[said[1]] if said else Label.UNCLEAR, None, (reply.strip(),), Tier.ASKED)

    def _posted(self, body: dict[str, Any]) -> bytes:
        """What the server sends back, asked again with growing pauses while it is too busy or broken."""
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(_KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/chat/completions", json.dumps(body).encode(), headers)
        failed = ""
        for attempt in range(self.attempts):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    return bytes(response.read())
            except urllib.error.HTTPError as error:
                error.close()
                failed = f"{error.code} {error.reason}".strip()
                if error.code in (401, 403):
                    raise self._error(
                        f"the server refuses the key ({failed}); set {_KEY} to one that it takes"
                    ) from None
                if error.code != 429 and error.code < 500:
                    raise self._error(f"the server answers {failed}; check the model's name and the URL") from None
                pause = min(max(2.0**attempt, _wished(error.headers.get("Retry-After"))), self.longest_pause)
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                if isinstance(reason, TimeoutError):
                    raise self._error(f"no answer within {self.timeout:g} s; start a faster server") from None
                raise self._error(f"the server cannot be reached ({reason}); start it, or check the URL") from None
            if attempt + 1 < self.attempts:
                self.sleep(pause)
        raise self._error(
            f"asked {self.attempts} times, and the server answers {failed}; go on later with the same command"
        )

    def _reply(self, content: bytes) -> str:
        try:
            return str(json.loads(content)["choices"][0]["message"]["content"] or "")
        except (ValueError, LookupError, TypeError):
            raise self._error(
                "the server's answer is no chat completion; give a URL such as http://localhost:8000/v1"
            ) from None

    def _error(self, text: str) -> JudgeError:
        return JudgeError(f"judge {self.name}: {text}")


def _wished(retry_after: str | None) -> float:
    """The seconds that a ``Retry-After`` asks for; 0 for none that can be read."""
    return float(retry_after) if retry_after is not None and retry_after.strip().isdecimal() else 0.0
