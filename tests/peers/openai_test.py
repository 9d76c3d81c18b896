#!/usr/bin/env python3
"""Talks to slim-run --serve through the openai package, as its users do."""

import asyncio
import importlib.util
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from server_test import PROMPTS, TINY, Server, slim_run  # noqa: E402  (lies outside this folder)

HAVE_OPENAI = importlib.util.find_spec("openai") is not None
if HAVE_OPENAI:
    import openai

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}]


@unittest.skipUnless(HAVE_OPENAI, "the openai package is not installed")
class OpenAi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--served-model-name", "tiny", "--api-key", "s3cret")
        cls.options = dict(base_url=cls.server.ready["url"] + "/v1", api_key="s3cret", max_retries=0)
        cls.client = openai.OpenAI(**cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.__exit__()

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["tiny"])

    def test_completions(self):
        answer = self.client.completions.create(model="tiny", prompt=PROMPTS[0], max_tokens=16, temperature=0, logprobs=3,
                                                echo=True, stop=["\n\n"], seed=5, extra_body={"top_k": 5})
        self.assertTrue(answer.choices[0].text.startswith(PROMPTS[0]))
        logprobs = answer.choices[0].logprobs
        self.assertEqual(len(logprobs.tokens), len(logprobs.token_logprobs))
        self.assertEqual(len(logprobs.tokens), len(logprobs.text_offset))
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
        text = answer.choices[0].text
        for token, offset in list(zip(logprobs.tokens, logprobs.text_offset))[-8:]:
            self.assertEqual(text[offset:offset + len(token)], token)

    def test_streamed_completions(self):
        members = dict(model="tiny", prompt=PROMPTS[1], max_tokens=30, temperature=0)
        whole = self.client.completions.create(**members).choices[0].text
        pieces = list(self.client.completions.create(stream=True, stream_options={"include_usage": True}, **members))
        self.assertEqual("".join(piece.choices[0].text for piece in pieces[:-1]), whole)
        self.assertEqual(pieces[-1].usage.completion_tokens, 30)

    def test_chat(self):
        answer = self.client.chat.completions.create(model="tiny", messages=MESSAGES, max_completion_tokens=12, temperature=0,
                                                     logprobs=True, top_logprobs=2, n=2)
        self.assertEqual(answer.choices[0].message.role, "assistant")
        self.assertEqual(answer.choices[0].message.content, answer.choices[1].message.content)
        self.assertEqual(len(answer.choices[0].logprobs.content[0].top_logprobs), 2)
        alone = slim_run(TINY, "--chat", "--system", "Be brief.", "-p", "Hello there", "-n", "12").stdout
        self.assertEqual(answer.choices[0].message.content + "\n", alone)

    def test_streamed_chat(self):
        with self.client.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=12, temperature=0,
                                                 stream=True) as stream:
            chunks = list(stream)
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual(chunks[-1].choices[0].finish_reason, "length")

    def test_errors_become_the_packages_own(self):
        with self.assertRaises(openai.NotFoundError):
            self.client.completions.create(model="gpt-4", prompt="x")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.completions.create(model="tiny", prompt="x", max_tokens=10 ** 6)
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        with openai.OpenAI(**{**self.options, "api_key": "wrong"}) as other, self.assertRaises(openai.AuthenticationError):
            other.models.list()

    def test_many_at_once(self):
        async def ask():
            async with openai.AsyncOpenAI(**self.options) as client:
                jobs = [client.completions.create(model="tiny", prompt=prompt, max_tokens=24, temperature=0) for prompt in PROMPTS]
                return [answer.choices[0].text for answer in await asyncio.gather(*jobs)]
        texts = asyncio.run(ask())
        for prompt, text in list(zip(PROMPTS, texts))[:4]:
            self.assertEqual(text + "\n", slim_run(TINY, "-p", prompt, "-n", "24").stdout)


if __name__ == "__main__":
    unittest.main()
