#!/usr/bin/env python3
"""Holds what `--help` shows against the man pages: every flag in both, every page with its sections."""

import json
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("SLIM_BIN", os.path.join(ROOT, "build", "release", "bin"))
SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO")
FILE_SECTIONS = ("NAME", "DESCRIPTION", "SEE ALSO")


def tools():
    folder = os.path.join(ROOT, "tools")
    return sorted(name for name in os.listdir(folder) if os.path.exists(os.path.join(folder, name, "main.cc")))


def help_text(tool, *words):
    process = subprocess.run([os.path.join(BIN, tool), *words, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 0, f"{tool} {' '.join(words)} --help: exit {process.returncode}\n{process.stderr}"
    assert not process.stderr, process.stderr
    return process.stdout


def commands_of(text):
    match = re.search(r"\nCommands:\n((?:  .*\n| {3,}.*\n)*)", text)
    return re.findall(r"^  (\S+)", match.group(1), re.M) if match else []


def flags_in_help(text):
    """{"--output": "-o" or ""} of the lines that introduce a flag."""
    return {name: letter or "" for letter, name in re.findall(r"^  (?:(-\w), |    )(--[\w-]+)", text, re.M)}


def man_page(name):
    path = os.path.join(ROOT, "man", name)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


def plain(text):
    """A man page without the escapes that dashes and fonts need."""
    text = re.sub(r"\\f(?:[BIRP]|\([A-Z]{2}|\[\w*\])", "", text)
    return text.replace("\\-", "-").replace("\\(hy", "-").replace("\\&", "").replace("\\e", "\\")


def sections_of(text):
    """{title: body}, of man(7) and mdoc(7) pages."""
    parts = re.split(r'^\.S[Hh] +"?([^"\n]+)"?\s*$', text, flags=re.M)
    return {title.strip().upper(): body for title, body in zip(parts[1::2], parts[2::2])}


def flags_in_page(text):
    """Every --flag that a page introduces: at the beginning of a tagged paragraph in its option sections."""
    flags = {}
    for title, body in sections_of(text).items():
        if "OPTION" not in title and "COMMAND" not in title and "ARGUMENT" not in title:
            continue
        lines = plain(body).splitlines()
        for number, line in enumerate(lines):
            tag = number > 0 and lines[number - 1].startswith((".TP", ".TQ")) or line.startswith(".It ")
            if not tag:
                continue
            line = re.sub(r"^\.(?:BR|BI|B|RB|IR|IB|I|It)\s+", "", line)
            line = re.sub(r"\bFl +Fl +", "--", line)  # mdoc(7)
            line = re.sub(r"\bFl +-", "--", line)
            line = re.sub(r"\bFl +(\w)", r"-\1", line)
            line = line.replace('"', " ")
            letter = re.match(r"\s*(-\w)\b", line)
            for name in re.findall(r"(?<![\w-])--[a-z][\w-]*", line):
                flags[name] = letter.group(1) if letter else ""
    return flags


class ManPages(unittest.TestCase):
    def test_every_tool_is_built(self):
        for tool in tools():
            with self.subTest(tool=tool):
                self.assertTrue(os.access(os.path.join(BIN, tool), os.X_OK), f"{tool} is not in {BIN}")

    def test_every_tool_has_a_page(self):
        for tool in tools():
            with self.subTest(tool=tool):
                self.assertIsNotNone(man_page(tool + ".1"), f"man/{tool}.1 is missing")

    def test_every_page_has_a_tool(self):
        for name in os.listdir(os.path.join(ROOT, "man")):
            if name.endswith(".1"):
                self.assertIn(name[:-2], tools())

    def test_flags_of_help_and_page_are_the_same(self):
        for tool in tools():
            page = man_page(tool + ".1")
            if page is None:
                continue  # reported above
            shown = {}
            text = help_text(tool)
            shown.update(flags_in_help(text))
            for command in commands_of(text):
                shown.update(flags_in_help(help_text(tool, command)))
            written = flags_in_page(page)
            with self.subTest(tool=tool):
                self.assertEqual(sorted(set(shown) - set(written)), [], "in --help and not in the man page")
                self.assertEqual(sorted(set(written) - set(shown)), [], "in the man page and not in --help")
            for name in set(shown) & set(written):
                with self.subTest(tool=tool, flag=name):
                    self.assertEqual(written[name], shown[name], "the short form")

    def test_pages_name_the_commands(self):
        for tool in tools():
            page = man_page(tool + ".1")
            if page is None:
                continue
            for command in commands_of(help_text(tool)):
                with self.subTest(tool=tool, command=command):
                    self.assertIn(command, plain(page))

    def test_sections(self):
        for name in sorted(os.listdir(os.path.join(ROOT, "man"))):
            if not re.fullmatch(r".*\.[1-8]", name):
                continue
            present = sections_of(man_page(name))
            for section in SECTIONS if name.endswith(".1") else FILE_SECTIONS:
                with self.subTest(page=name, section=section):
                    self.assertIn(section, present)
                    self.assertTrue(present.get(section, "").strip(), "empty")

    def test_exit_status_names_every_code(self):
        for tool in tools():
            page = man_page(tool + ".1")
            if page is None:
                continue  # reported above
            body = sections_of(page).get("EXIT STATUS", "")
            for code in "02345":
                with self.subTest(tool=tool, code=code):
                    self.assertRegex(plain(body), rf"(?m)(^|[^\d]){code}([^\d]|$)")

    def test_the_help_of_every_tool_has_the_common_flags(self):
        for tool in tools():
            shown = flags_in_help(help_text(tool))
            for flag in ("--help", "--version", "--json", "--quiet", "--verbose", "--threads", "--color"):
                with self.subTest(tool=tool, flag=flag):
                    self.assertIn(flag, shown)


class Completions(unittest.TestCase):
    """What the shells offer for words that tables hold."""

    def offered(self, tool, flag):
        """Of the tool without a command, whose case comes first."""
        script = subprocess.run([os.path.join(BIN, tool), "--completion", "bash"], capture_output=True, text=True, check=True).stdout
        words = re.search(rf"^ +(?:.*\|)?--{flag}(?:\|[^)]*)?\) words='(.*?)' ;;$", script, re.M)
        self.assertIsNotNone(words, f"{tool} --{flag}")
        return set(words.group(1).split())

    def json(self, tool, flag):
        return json.loads(subprocess.run([os.path.join(BIN, tool), flag, "--json"], capture_output=True, text=True, check=True).stdout)

    def test_dialects(self):
        self.assertEqual(self.offered("slim-convert", "to"), {edge["to"] for edge in self.json("slim-convert", "--list")["edges"]})

    def test_loaders(self):
        names = {profile["name"] for profile in self.json("slim-verify", "--list-profiles")["profiles"]}
        for tool in ("slim-quant", "slim-convert", "slim-verify"):
            with self.subTest(tool=tool):
                self.assertEqual(self.offered(tool, "for"), names)

    def test_types(self):
        told = re.search(r"quantization type: (.*?);", " ".join(help_text("slim-quant").split())).group(1)
        self.assertEqual(self.offered("slim-quant", "type"), set(told.replace(" (default)", "").split(", ")))


class Readers(unittest.TestCase):
    """The readers of this test see what they must."""

    def test_help(self):
        text = "Usage: x\n\nOptions:\n  -o, --output PATH           x --not-this\n      --list[=X]  y\n\nCommands:\n  merge    Joins.\n"
        self.assertEqual(flags_in_help(text), {"--output": "-o", "--list": ""})
        self.assertEqual(commands_of(text), ["merge"])

    def test_man7(self):
        page = ('.SH NAME\nx\n.SH OPTIONS\n.TP\n.BR \\-o ", " \\-\\-output " " \\fIPATH\\fR\nText \\-\\-other.\n.TP\n'
                '\\fB\\-\\-list\\fR[=\\fIX\\fR]\nfoo\n.SH "SEE ALSO"\ny\n')
        self.assertEqual(flags_in_page(page), {"--output": "-o", "--list": ""})
        self.assertEqual(list(sections_of(page)), ["NAME", "OPTIONS", "SEE ALSO"])

    def test_mdoc(self):
        page = ".Sh OPTIONS\n.Bl -tag\n.It Fl o , Fl Fl output Ar PATH\nText.\n.It Fl Fl force\n.El\n"
        self.assertEqual(flags_in_page(page), {"--output": "-o", "--force": ""})


if __name__ == "__main__":
    unittest.main()
