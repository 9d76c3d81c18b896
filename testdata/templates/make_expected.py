#!/usr/bin/env python3
"""Renders every NAME.jinja here with NAME.json and writes NAME.txt, with the environment transformers gives to chat
templates: immutable sandbox, trim_blocks, lstrip_blocks, loop controls, tojson without HTML escapes, raise_exception,
strftime_now (at a fixed time) and the generation tag. Needs jinja2; the unit test compares against the files."""

import datetime
import json
import pathlib

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2024, 7, 26, 9, 5, 7)  # template_corpus_test.cc sets the same clock


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def main():
    here = pathlib.Path(__file__).parent
    env = environment()
    for path in sorted(here.glob("*.jinja")):
        context = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with path.open(encoding="utf-8", newline="") as source:
            text = env.from_string(source.read()).render(**context)
        with path.with_suffix(".txt").open("w", encoding="utf-8", newline="") as out:
            out.write(text)


if __name__ == "__main__":
    main()
