#!/usr/bin/env python3
"""Holds `slim-run --serve` against what it promises: the texts of one client among many, limits and clean errors, strangers'
bytes, signals. Nothing but Python's own library talks to it here; tests/peers/openai_test.py uses the openai client.

SLIM_SERVER_FUZZ=N sends N malformed requests instead of 400 (check.sh --long: 10 000); SLIM_SERVER_SEED chooses others."""

import http.client
import json
import math
import os
import random
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("SLIM_BIN", os.path.join(ROOT, "build", "release", "bin"))
SLIM_RUN = os.path.join(BIN, "slim-run")
TINY = os.path.join(ROOT, "testdata", "models", "tiny-llama")
PROMPTS = ["It was the best of times", "what is large language model?", "Hello", "The capital of France is",
           "Question: \"What's deep learning?\"\nAnswer:", "1 2 3 4", "\u4f60\u597d", "def main():\n"]


class Server:
    """slim-run --serve on a free port, and a client for it."""

    def __init__(self, *words, model=TINY, command=(), env=None):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [SLIM_RUN, *command, model, *([] if command else ["--serve"]), "--port", "0", "--json", "--threads", "2", *words],
            stdout=subprocess.PIPE, stderr=self.log, text=True, env={**os.environ, **(env or {})})
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise AssertionError(f"no server: {self.messages()}")
        self.ready = json.loads(line)
        self.host, port = self.ready["url"].removeprefix("http://").rsplit(":", 1)
        self.host = self.host.strip("[]")
        self.port = int(port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def messages(self):
        self.log.seek(0)
        return self.log.read()

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def request(self, method, path, body=None, **headers):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def post(self, path, **members):
        status, text = self.request("POST", path, json.dumps(members))
        return status, json.loads(text)

    def complete(self, prompt, **members):
        status, answer = self.post("/v1/completions", **{"prompt": prompt, "temperature": 0, **members})
        assert status == 200, answer
        return answer

    def text(self, prompt, **members):
        return self.complete(prompt, **members)["choices"][0]["text"]

    def events(self, path, **members):
        """The objects of a stream, which must end with [DONE]."""
        status, text = self.request("POST", path, json.dumps({"stream": True, **members}))
        assert status == 200, text
        events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
        assert events[-1] == "[DONE]", events[-1]
        return [json.loads(event) for event in events[:-1]]

    def metric(self, name):
        _, text = self.request("GET", "/metrics")
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def wait_for_open_files(self, most):
        """Connections that their clients left are closed within moments."""
        end = time.monotonic() + 10
        while self.open_files() > most and time.monotonic() < end:
            time.sleep(0.05)
        return self.open_files()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)


def slim_run(*words):
    return subprocess.run([SLIM_RUN, *words], capture_output=True, text=True, timeout=60, check=False)


def together(functions):
    """What each function returns, all of them called at once."""
    results = [None] * len(functions)

    def call(i):
        results[i] = functions[i]()

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Texts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--max-num-seqs", "6")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def test_the_text_is_that_of_slim_run(self):
        for prompt in PROMPTS[:3]:
            alone = slim_run(TINY, "-p", prompt, "-n", "24").stdout
            self.assertEqual(self.server.text(prompt, max_tokens=24) + "\n", alone)

    def test_clients_get_the_texts_they_get_alone(self):
        sampled = dict(temperature=0.9, top_p=0.95, top_k=40, max_tokens=40, n=2)
        requests = [(prompt, {"max_tokens": 40} if i % 2 else {**sampled, "seed": i}) for i, prompt in enumerate(PROMPTS)]
        alone = [self.server.complete(prompt, **members)["choices"] for prompt, members in requests]
        before = self.server.metric("slim_decode_steps_total")
        at_once = together([lambda r=request: self.server.complete(r[0], **r[1])["choices"] for request in requests * 2])
        self.assertEqual(at_once, alone * 2)
        # 24 answers of 40 tokens: far fewer passes than tokens.
        self.assertLess(self.server.metric("slim_decode_steps_total") - before, 24 * 40 / 2)

    def test_a_stream_is_the_whole_answer_in_pieces(self):
        whole = self.server.complete(PROMPTS[0], max_tokens=30, n=2, temperature=1, seed=3)
        events = self.server.events("/v1/completions", prompt=PROMPTS[0], max_tokens=30, n=2, temperature=1, seed=3,
                                    stream_options={"include_usage": True})
        texts = ["", ""]
        for event in events[:-1]:
            choice = event["choices"][0]
            texts[choice["index"]] += choice["text"]
        self.assertEqual(texts, [choice["text"] for choice in whole["choices"]])
        self.assertEqual(events[-1]["choices"], [])
        self.assertEqual(events[-1]["usage"], whole["usage"])

    def test_seeds(self):
        def sample(**members):
            return self.server.text("Hello", max_tokens=20, temperature=1, **members)
        self.assertEqual(sample(seed=7), sample(seed=7))
        self.assertNotEqual(sample(seed=7), sample(seed=8))
        self.assertNotEqual(sample(), sample())

    def test_stop_texts_end_the_answer_before_them(self):
        whole = self.server.text(PROMPTS[1], max_tokens=60)
        stop = whole[20:24]
        for members in ({"stop": stop}, {"stop": ["not there", stop]}):
            answer = self.server.complete(PROMPTS[1], max_tokens=60, logprobs=0, **members)["choices"][0]
            self.assertEqual(answer["text"], whole[:whole.index(stop)])
            self.assertEqual(answer["finish_reason"], "stop")
            self.assertTrue(all(offset < len(answer["text"]) for offset in answer["logprobs"]["text_offset"]))
        streamed = self.server.events("/v1/completions", prompt=PROMPTS[1], temperature=0, max_tokens=60, stop=stop)
        self.assertEqual("".join(event["choices"][0]["text"] for event in streamed), whole[:whole.index(stop)])

    def test_several_prompts_and_token_ids(self):
        answer = self.server.complete([PROMPTS[0], PROMPTS[2]], max_tokens=8, n=2)
        self.assertEqual([choice["index"] for choice in answer["choices"]], [0, 1, 2, 3])
        self.assertEqual(answer["choices"][2]["text"], self.server.text(PROMPTS[2], max_tokens=8))
        ids = json.loads(slim_run(TINY, "-p", PROMPTS[0], "-n", "0", "--json").stdout)
        self.assertEqual(ids["prompt_tokens"] + self.server.complete(PROMPTS[2], max_tokens=0)["usage"]["prompt_tokens"],
                         answer["usage"]["prompt_tokens"])
        self.assertEqual(self.server.text([[1, 594, 606]], max_tokens=8), self.server.text([1, 594, 606], max_tokens=8))

    def test_echo_and_log_probabilities_are_those_of_the_logits(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "logits")
            slim_run(TINY, "-p", PROMPTS[0], "-n", "4", "--logits", path)
            ids, rows = read_logits(path)
        answer = self.server.complete(PROMPTS[0], max_tokens=4, echo=True, logprobs=2)["choices"][0]
        logprobs = answer["logprobs"]
        self.assertTrue(answer["text"].startswith(PROMPTS[0]))
        self.assertIsNone(logprobs["token_logprobs"][0])
        for i, token in enumerate(ids[1:], 1):
            normalizer = math.log(math.fsum(math.exp(value) for value in rows[i - 1]))
            self.assertAlmostEqual(logprobs["token_logprobs"][i], rows[i - 1][token] - normalizer, delta=1e-4)
            best = max(rows[i - 1]) - normalizer
            self.assertAlmostEqual(max(logprobs["top_logprobs"][i].values()), best, delta=1e-4)
        scored = self.server.complete(PROMPTS[0], max_tokens=0, echo=True, logprobs=0)["choices"][0]
        self.assertEqual(scored["text"], PROMPTS[0])
        self.assertEqual(scored["logprobs"]["token_logprobs"], logprobs["token_logprobs"][:len(ids) - 3])

    def test_chat(self):
        members = dict(messages=[{"role": "user", "content": "Hello there"}], max_tokens=12, temperature=0, logprobs=True,
                       top_logprobs=2)
        status, answer = self.server.post("/v1/chat/completions", **members)
        self.assertEqual(status, 200, answer)
        choice = answer["choices"][0]
        self.assertEqual(choice["message"]["content"] + "\n", slim_run(TINY, "--chat", "-p", "Hello there", "-n", "12").stdout)
        self.assertEqual("".join(item["token"] for item in choice["logprobs"]["content"]).lstrip(), choice["message"]["content"])
        events = self.server.events("/v1/chat/completions", **members)
        self.assertEqual(events[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
        self.assertEqual("".join(event["choices"][0]["delta"].get("content", "") for event in events),
                         choice["message"]["content"])
        parts = [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}]
        members["messages"][0]["content"] = parts
        self.assertEqual(self.server.post("/v1/chat/completions", **members)[1]["choices"], answer["choices"])

    def test_biases_and_penalties(self):
        plain = self.server.complete(PROMPTS[1], max_tokens=60)
        self.assertEqual(self.server.text("Hello", max_tokens=3, logit_bias={"70": 100}),
                         self.server.complete([70], echo=True, max_tokens=0)["choices"][0]["text"] * 3)
        penal = self.server.text(PROMPTS[1], max_tokens=60, frequency_penalty=2, presence_penalty=2)
        self.assertNotEqual(penal, plain["choices"][0]["text"])
        self.assertEqual(self.server.text(PROMPTS[1], max_tokens=60, frequency_penalty=0), plain["choices"][0]["text"])

    def test_s004s_line_and_curl_body(self):
        with Server("--served-model-name", "Qwen2.5-7B-w8a8", "--max-model-len", "1024", "--quantization", "ascend",
                    command=["serve"]) as server:
            self.assertEqual(server.ready["model"], "Qwen2.5-7B-w8a8")
            status, answer = server.post("/v1/completions", model="Qwen2.5-7B-w8a8", prompt="what is large language model?",
                                         max_tokens=128, top_p=0.95, top_k=40, temperature=0.0)
            self.assertEqual(status, 200)
            self.assertEqual(answer["choices"][0]["text"] + "\n", slim_run(TINY, "-p", "what is large language model?").stdout)
            self.assertEqual(server.post("/v1/completions", model="other", prompt="x")[0], 404)


def read_logits(path):
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])

    def values(name, letter):
        begin, end = (8 + size + offset for offset in header[name]["data_offsets"])
        return struct.unpack(f"<{(end - begin) // 4}{letter}", data[begin:end])

    ids, flat, width = values("input_ids", "i"), values("logits", "f"), header["logits"]["shape"][1]
    return ids, [flat[i * width:(i + 1) * width] for i in range(len(ids))]


# Members of a request, what the answer's error names, its status.
REFUSED = [
    ({}, "prompt", 400), ({"prompt": []}, "prompt", 400), ({"prompt": {}}, "prompt", 400),
    ({"prompt": [1, "x"]}, "prompt", 400), ({"prompt": [99999999]}, "prompt", 400), ({"prompt": [-1]}, "prompt", 400),
    ({"prompt": [[]]}, "prompt", 400), ({"prompt": ["x"] * 65}, "prompt", 400), ({"prompt": 5}, "prompt", 400),
    ({"max_tokens": -1}, "max_tokens", 400), ({"max_tokens": 1.5}, "max_tokens", 400), ({"max_tokens": "7"}, "max_tokens", 400),
    ({"max_tokens": 100000}, "prompt", 400), ({"max_tokens": 10 ** 30}, "max_tokens", 400),
    ({"prompt": "word " * 5000}, "prompt", 400), ({"temperature": -1}, "temperature", 400),
    ({"temperature": "hot"}, "temperature", 400), ({"temperature": 1e300}, "temperature", 400), ({"top_p": 2}, "top_p", 400),
    ({"top_k": -2}, "top_k", 400), ({"n": 0}, "n", 400), ({"n": 17}, "n", 400), ({"seed": 1.5}, "seed", 400),
    ({"stop": ""}, "stop", 400), ({"stop": [1]}, "stop", 400), ({"stop": ["x"] * 17}, "stop", 400),
    ({"logprobs": 21}, "logprobs", 400), ({"logprobs": True}, "logprobs", 400), ({"echo": 1}, "echo", 400),
    ({"stream": "yes"}, "stream", 400), ({"logit_bias": {"x": 1}}, "logit_bias", 400),
    ({"logit_bias": {"9999999": 1}}, "logit_bias", 400), ({"logit_bias": {"1": 101}}, "logit_bias", 400),
    ({"best_of": 3}, "best_of", 400), ({"suffix": "x"}, "suffix", 400), ({"temprature": 1}, "temprature", 400),
    ({"model": "gpt-4"}, "model", 404), ({"model": 5}, "model", 400), ({"stop_token_ids": [1.5]}, "stop_token_ids", 400),
]
CHAT_REFUSED = [
    ({"messages": None}, "messages"), ({"messages": []}, "messages"), ({"messages": ["x"]}, "messages"),
    ({"messages": [{"content": "x"}]}, "messages"), ({"messages": [{"role": "user", "content": 5}]}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
    ({"top_logprobs": 3}, "top_logprobs"), ({"tools": [{}]}, "tools"), ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"prompt": "x"}, "prompt"), ({"max_tokens": 100000}, "messages"), ({"echo": True}, "echo"),
]


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--ctx", "512", "--max-body", "64KiB")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def check(self, path, members, param, status):
        found, answer = self.server.post(path, **members)
        self.assertEqual(found, status, (members, answer))
        error = answer["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertEqual(error["param"], param, error)
        self.assertTrue(error["message"])

    def test_completions(self):
        for members, param, status in REFUSED:
            self.check("/v1/completions", {"prompt": "x", **members} if members else {}, param, status)

    def test_chat(self):
        for members, param in CHAT_REFUSED:
            self.check("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], **members}, param, 400)

    def test_the_context_is_named_with_both_numbers(self):
        _, answer = self.server.post("/v1/completions", prompt=[5] * 512)
        self.assertIn("512", answer["error"]["message"])
        self.assertEqual(answer["error"]["code"], "context_length_exceeded")

    def test_http(self):
        for method, path, body, status in (
                ("GET", "/", None, 404), ("GET", "/v1/completions", None, 405), ("POST", "/v1/models", "{}", 405),
                ("DELETE", "/v1/models", None, 405), ("POST", "/v1/completions", "", 400), ("POST", "/v1/completions", "{", 400),
                ("POST", "/v1/completions", "[]", 400), ("POST", "/v1/completions", '{"prompt": "\\ud800"}', 400),
                ("POST", "/v1/completions", b'{"prompt": "\xff"}', 400), ("POST", "/v1/completions", "[" * 1000, 400),
                ("POST", "/v1/completions", "x" * 70000, 413), ("GET", "/" + "x" * 9000, None, 414)):
            found, text = self.server.request(method, path, body)
            self.assertEqual(found, status, (method, path, text))
            self.assertIn("error", json.loads(text))
        self.assertEqual(self.server.request("GET", "/health")[0], 200)


class Limits(unittest.TestCase):
    def test_a_full_queue_is_told(self):
        with Server("--max-num-seqs", "1", "--max-waiting", "1") as server:
            answers = together([lambda: server.post("/v1/completions", prompt="x", max_tokens=200, ignore_eos=True)[0]
                                for _ in range(8)])
            self.assertLessEqual(set(answers), {200, 429})
            self.assertIn(429, answers)
            self.assertIn(200, answers)
            self.assertEqual(server.post("/v1/completions", prompt="x")[0], 200)

    def test_keys(self):
        for words, env in ((["--api-key", "s3cret"], {}), ([], {"SLIM_API_KEY": "s3cret"})):
            with Server(*words, env=env) as server:
                body = json.dumps({"prompt": "x", "max_tokens": 1})
                for key in ("", "Bearer wrong", "Bearer s3cre", "s3cret", "Bearer s3crets"):
                    status, text = server.request("POST", "/v1/completions", body, Authorization=key)
                    self.assertEqual((status, json.loads(text)["error"]["code"]), (401, "invalid_api_key"))
                self.assertEqual(server.request("GET", "/v1/models")[0], 401)
                self.assertEqual(server.request("GET", "/health")[0], 200)
                self.assertEqual(server.request("POST", "/v1/completions", body, Authorization="Bearer s3cret")[0], 200)

    def test_addresses(self):
        open_to_all = slim_run(TINY, "--serve", "--host", "0.0.0.0")
        self.assertEqual(open_to_all.returncode, 2)
        self.assertIn("--api-key", open_to_all.stderr)
        foreign = slim_run(TINY, "--serve", "--host", "192.0.2.1", "--insecure", "--port", "0")
        self.assertEqual(foreign.returncode, 4, foreign.stderr)
        with Server() as server:
            second = slim_run(TINY, "--serve", "--port", str(server.port))
            self.assertEqual(second.returncode, 4)
            self.assertIn("another server has this port", second.stderr)
            self.assertEqual(server.post("/v1/completions", prompt="x")[0], 200)
            with Server("--host", "0.0.0.0", "--insecure") as other:
                other.host = "127.0.0.1"
                self.assertEqual(other.request("GET", "/health")[0], 200)

    def test_a_model_that_computes_nan_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "model")
            subprocess.run(["cp", "-r", TINY, model], check=True)
            path = os.path.join(model, "model.safetensors")
            with open(path, "r+b") as file:
                header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
                file.seek(0)
                size = struct.unpack("<Q", file.read(8))[0]
                file.seek(8 + size + header["model.layers.1.mlp.down_proj.weight"]["data_offsets"][0])
                file.write(b"\xc0\x7f")  # NaN in bf16
            with Server(model=model) as server:
                status, answer = server.post("/v1/completions", prompt="x")
                self.assertEqual(status, 500)
                self.assertIn("model.layers.1", answer["error"]["message"])
                self.assertEqual(server.request("GET", "/health")[0], 200)


class Signals(unittest.TestCase):
    def test_sigterm_finishes_what_runs(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Server("--max-num-seqs", "2") as server:
                wanted = server.text(PROMPTS[1], max_tokens=300)
                results = []
                threads = [threading.Thread(target=lambda: results.append(server.text(PROMPTS[1], max_tokens=300)))
                           for _ in range(4)]
                for thread in threads:
                    thread.start()
                while server.metric("slim_sequences_running") == 0 or server.metric("slim_prompts_waiting") == 0:
                    time.sleep(0.005)
                self.assertEqual(server.stop(number), 0)
                for thread in threads:
                    thread.join()
                self.assertEqual(results, [wanted] * 4)
                with self.assertRaises(OSError):
                    server.request("GET", "/health")
                self.assertIn("every request is answered", server.messages())

    def test_a_second_signal_does_not_wait(self):
        with Server() as server:
            thread = threading.Thread(target=lambda: self.ignore(server))
            thread.start()
            while server.metric("slim_sequences_running") == 0:
                time.sleep(0.005)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            self.assertEqual(server.stop(), -signal.SIGTERM)
            thread.join()

    @staticmethod
    def ignore(server):
        try:
            server.post("/v1/completions", prompt="x", max_tokens=1000, ignore_eos=True, n=8)
        except (OSError, http.client.HTTPException):
            pass

    def test_a_client_that_goes_away_frees_its_place(self):
        with Server("--max-num-seqs", "1") as server:
            body = json.dumps({"prompt": "x", "max_tokens": 1000, "ignore_eos": True, "stream": True})
            connection = server.connect()
            connection.request("POST", "/v1/completions", body)
            self.assertTrue(connection.getresponse().read(200).startswith(b"data: "))
            connection.sock.close() if connection.sock else None
            connection.close()
            for _ in range(1000):
                if server.metric("slim_requests_cancelled_total") == 1:
                    break
                time.sleep(0.01)
            self.assertEqual(server.metric("slim_requests_cancelled_total"), 1)
            self.assertEqual(server.post("/v1/completions", prompt="x")[0], 200)


class Malformed(unittest.TestCase):
    BODIES = [{"prompt": "x", "max_tokens": 1, "temperature": 0.5, "stop": ["a"], "n": 1, "logprobs": 1, "echo": True},
              {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1, "logprobs": True, "top_logprobs": 1}]
    VALUES = [None, True, -1, 0, 1, 1e308, 10 ** 40, "", "x", "\u0000", [], [[]], [None], {}, {"a": {}}, "9" * 500, [0] * 50]

    def body(self, chance):
        members = dict(chance.choice(self.BODIES))
        for _ in range(chance.randrange(3)):
            members[chance.choice(list(members) + ["tools", "seed", "top_p", "logit_bias", "stream"])] = chance.choice(self.VALUES)
        data = bytearray(json.dumps(members).encode())
        for _ in range(chance.choice((0, 0, 1, 1, 3, 20))):
            at = chance.randrange(len(data))
            chance.choice((lambda: data.__setitem__(at, chance.randrange(256)), lambda: data.__delitem__(at),
                           lambda: data.insert(at, chance.choice(b'{}[]",:\\u\x00\xff')),
                           lambda: data.__delitem__(slice(at, None))))()
            if not data:
                data = bytearray(b" ")
        return bytes(data)

    def message(self, chance):
        body = self.body(chance)
        path = chance.choice((b"/v1/completions", b"/v1/chat/completions"))
        length = chance.choice((b"%d" % len(body),) * 6 + (b"0", b"-1", b"99999999999999999999", b"x", b"5, 6", b"%d" % (len(body) + 9)))
        head = [b"%s %s HTTP/1.1" % (chance.choice((b"POST",) * 6 + (b"GET", b"PUT", b"BREW", b"")), path), b"Host: x",
                b"Content-Length: " + length]
        kind = chance.randrange(12)
        if kind == 0:
            head.append(b"Transfer-Encoding: chunked")
        elif kind == 1:
            head.append(b"Content-Type: multipart/form-data; boundary=" + chance.choice((b"", b"a", b"b" * 300)))
        elif kind == 2:
            head.append(chance.choice((b"X: " + b"y" * 9000, b"no colon", b": empty", b"A\x00B: c", b"Content-Encoding: gzip",
                                       b"Range: bytes=5-1,9-", b"Expect: 100-continue")))
        elif kind == 3:
            return bytes(chance.randrange(256) for _ in range(chance.randrange(1, 300)))
        elif kind == 4:
            head[0] = chance.choice((b"POST " + path, b"POST  HTTP/1.1", b"POST /%zz?a=%00&%%% HTTP/1.1", b"HTTP/1.1 200 OK",
                                     b"POST " + path + b" HTTP/9.9", b"GET " + b"/" * 9000 + b" HTTP/1.1"))
        elif kind == 5:
            return b"\n".join(head)[:chance.randrange(1, 80)]
        return b"\r\n".join(head) + b"\r\n\r\n" + body

    def send(self, server, message, chance):
        """One message on a connection of its own; how the server answers is its business."""
        with socket.create_connection((server.host, server.port), timeout=10) as connection:
            try:
                connection.sendall(message)
                if chance.random() < 0.2:
                    return b""  # goes away without listening
                connection.shutdown(socket.SHUT_WR)
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
                return answer
            except (ConnectionResetError, BrokenPipeError):
                return b""

    def test_malformed_requests_leave_it_serving(self):
        count = int(os.environ.get("SLIM_SERVER_FUZZ", "400"))
        seed = int(os.environ.get("SLIM_SERVER_SEED", "7"))
        with Server("--ctx", "64") as server:
            wanted = server.text("Hello", max_tokens=8)
            files = server.open_files()

            def client(number):
                chance = random.Random(seed * 1000 + number)
                for _ in range(count // 4):
                    message = self.message(chance)
                    answer = self.send(server, message, chance)
                    self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 "), (message, answer))
                    self.assertFalse(answer.startswith(b"HTTP/1.1 5"), (message, answer))
                return True

            self.assertEqual(together([lambda n=number: client(n) for number in range(4)]), [True] * 4)
            self.assertIsNone(server.process.poll(), server.messages())
            self.assertEqual(server.text("Hello", max_tokens=8), wanted)
            self.assertEqual(server.request("GET", "/health")[0], 200)
            self.assertLessEqual(server.wait_for_open_files(files), files)
            self.assertEqual(server.stop(), 0, server.messages())


if __name__ == "__main__":
    unittest.main()
