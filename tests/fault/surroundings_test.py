#!/usr/bin/env python3
"""What surrounds a run: standard streams that are full, closed or left by their reader; descriptors, limits and variables that are
odd; outputs that are inputs; modes, links and read-only places (facts: reliability.md R7, R14, R15, R23)."""

import collections
import hashlib
import json
import os
import pathlib
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from scenes import BIN, GOLDEN, MODEL, ROOT, snapshot  # noqa: E402

QUANTIZED = GOLDEN / "one-click" / "mini-qwen2-bfloat16" / "w8a16"
PROMPTS = "The quick brown fox jumps over the lazy dog again and again."
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
REPORTS = {
    "slim-quant": [["--list-presets"], ["float", "-o", "out", "--type", "w8a16", "--json"]],
    "slim-convert": [["--list"], ["weightonly", "-o", "out", "--to", "mindie", "--json"]],
    "slim-verify": [["weightonly"], ["--json", "weightonly"]],
    "slim-diff": [["float", "weightonly", "--prompts", "prompts.txt"], ["--json", "float", "weightonly", "--prompts", "prompts.txt"]],
    "slim-run": [["float", "-p", "Hi", "-n", "1"], ["--json", "float", "-p", "Hi", "-n", "1"]],
}


def works(words):
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Surroundings(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="slim-fault-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)
        self.folder.chmod(0o755)
        shutil.copytree(MODEL, self.folder / "float")
        shutil.copytree(QUANTIZED, self.folder / "weightonly")
        (self.folder / "prompts.txt").write_text(PROMPTS)

    def run_tool(self, *words, prefix=(), cwd=None, **options):
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.run([*prefix, BIN / words[0], *map(str, words[1:])], cwd=cwd or self.folder, text=True, errors="backslashreplace",
                              timeout=60, check=False, **options)

    def clean(self):
        for path in self.folder.iterdir():
            if path.name not in ("float", "weightonly", "prompts.txt"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


class Streams(Surroundings):
    def test_standard_output(self):
        runs = 0
        for tool, reports in REPORTS.items():
            for words in [*reports, ["--help"], ["--version"]]:
                with self.subTest(tool=tool, words=words):
                    with open("/dev/full", "w", encoding="ascii") as full:
                        result = self.run_tool(tool, *words, stdout=full)
                    self.assertEqual(result.returncode, 4, result.stderr)
                    self.assertIn("No space left on device", result.stderr)
                    self.clean()
                    result = self.run_tool(tool, *words, prefix=("sh", "-c", 'exec "$@" >&-', "sh"))
                    self.assertEqual(result.returncode, 4, result.stderr)
                    self.assertIn("standard output", result.stderr)
                    self.clean()
                    read, write = os.pipe()
                    os.close(read)
                    result = self.run_tool(tool, *words, stdout=write)
                    os.close(write)
                    self.assertIn(result.returncode, (-13, 0), result.stderr)
                    self.assertEqual(result.stderr.replace("Generating", ""), result.stderr)
                    self.assertNotIn("error", result.stderr)
                    self.clean()
                    runs += 3
        self.assertEqual(runs, 60)

    def test_no_descriptors_at_all(self):
        """Data never gets onto a descriptor that the parent closed."""
        self.assertEqual(self.run_tool("slim-quant", "float", "-o", "wanted", "--type", "w8a16", "-q").returncode, 0)
        for closed in ("<&- >&- 2>&-", "<&-", "2>&-", "<&- 2>&-"):
            with self.subTest(closed=closed):
                self.run_tool("slim-quant", "float", "-o", "out", "--type", "w8a16", prefix=("sh", "-c", f'exec "$@" {closed}', "sh"))
                self.assertEqual(snapshot(self.folder / "wanted"), snapshot(self.folder / "out"))
                shutil.rmtree(self.folder / "out")
        # One that asks for standard input finds it empty.
        for tool, words in (("slim-verify", ["-"]), ("slim-run", ["float", "-", "-n", "1"])):
            result = self.run_tool(tool, *words, prefix=("sh", "-c", 'exec "$@" <&-', "sh"))
            self.assertIn(result.returncode, (0, 2, 3, 4), result.stderr)


class Environment(Surroundings):
    def test_variables_and_working_directories(self):
        self.assertEqual(self.run_tool("slim-quant", "float", "-o", "wanted", "--type", "w8a16", "-q").returncode, 0)
        wanted = {tool: self.run_tool(tool, *reports[0]).stdout for tool, reports in REPORTS.items()}
        for variables in ({"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}, {"LC_ALL": "C"}, {"TZ": "Pacific/Chatham"}, {"TZ": ":/nowhere"}, {},
                          {"HOME": "/nowhere", "TMPDIR": "/nowhere", "XDG_CACHE_HOME": "/nowhere"}, {"TERM": "\x1b[2J", "COLUMNS": "-1"}):
            for tool, reports in REPORTS.items():
                with self.subTest(tool=tool, variables=variables):
                    result = self.run_tool(tool, *reports[0], env=variables)
                    self.assertEqual((result.returncode, result.stdout), (0, wanted[tool]), result.stderr)
            self.assertEqual(self.run_tool("slim-quant", "float", "-o", "out", "--type", "w8a16", "-q", env=variables).returncode, 0)
            self.assertEqual(snapshot(self.folder / "wanted"), snapshot(self.folder / "out"))
            shutil.rmtree(self.folder / "out")

    def test_limits(self):
        def limited(kind, value):
            return lambda: resource.setrlimit(kind, (value, value))

        for tool, reports in REPORTS.items():
            with self.subTest(tool=tool, limit="16 files"):
                wanted = self.run_tool(tool, *reports[0])
                result = self.run_tool(tool, *reports[0], preexec_fn=limited(resource.RLIMIT_NOFILE, 16))
                self.assertEqual((result.returncode, result.stdout), (0, wanted.stdout), result.stderr)
        for tool, words in (("slim-quant", ["float", "-o", "out", "--type", "w8a16"]), ("slim-convert", ["weightonly", "-o", "out", "--to", "mindie"]),
                            ("slim-verify", ["--format", "html", "-o", "report.html", "weightonly"]),
                            ("slim-run", ["float", "-p", "Hi", "-n", "1", "--logits", "out"]),
                            ("slim-diff", ["float", "weightonly", "--prompts", "prompts.txt", "-o", "report.html"])):
            with self.subTest(tool=tool, limit="1000 bytes a file"):
                result = self.run_tool(tool, *words, preexec_fn=limited(resource.RLIMIT_FSIZE, 1000))
                self.assertEqual(result.returncode, 4, result.stderr)
                self.assertIn("File too large", result.stderr)
                self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["float", "prompts.txt", "weightonly"])

    def test_without_memory(self):
        """An address space that is too small, met by any of four threads."""
        codes = collections.Counter()
        for words in (["slim-quant", "float", "-o", "out", "--calib", GOLDEN / "calib.jsonl"], ["slim-quant", "float", "-o", "out", "--type", "w4a8"],
                      ["slim-convert", "float", "-o", "out", "--to", "gguf"], ["slim-verify", "--deep", "float"], ["slim-run", "float", "-p", "Hi", "-n", "2"],
                      ["slim-diff", "float", "weightonly", "--prompts", "prompts.txt", "--tokens", "8", "--windows", "1"]):
            for size in (*range(34, 90, 8), 120):
                with self.subTest(words=words, size=size):
                    result = self.run_tool(*words, "--threads", "4", prefix=("prlimit", f"--as={size << 20}"))
                    # 127: the loader of the C library had no room for the program.
                    self.assertIn(result.returncode, (0, 5, 127), result.stderr)
                    self.assertEqual(list(self.folder.glob(".*partial")), [])
                    codes[result.returncode] += 1
                    self.clean()
        print("without memory: " + ", ".join(f"exit {code} {count} times" for code, count in sorted(codes.items())))
        self.assertGreater(codes[5], 0)

    @unittest.skipUnless(works([*NOBODY, "true"]), "setpriv does not work here")
    def test_without_threads(self):
        """The work is done by the thread that there is; a server needs two more."""
        self.folder.chmod(0o777)
        for tool, reports in REPORTS.items():
            for words in [*reports, ["float", "-o", "out", "--calib", GOLDEN / "calib.jsonl", "--json"]] if tool == "slim-quant" else reports:
                with self.subTest(tool=tool, words=words):
                    wanted = self.run_tool(tool, *words)
                    self.clean()
                    result = self.run_tool(tool, *words, *([] if "--list" in words[0] else ["--threads", "4"]), prefix=("prlimit", "--nproc=1", *NOBODY))
                    self.assertEqual((result.returncode, result.stdout), (0, wanted.stdout), result.stderr)
                    self.clean()
        for most in (1, 2):
            result = self.run_tool("slim-run", "float", "--serve", "--port", "0", "--threads", "1", prefix=("prlimit", f"--nproc={most}", *NOBODY))
            self.assertEqual(result.returncode, 4, result.stderr)
            self.assertIn("cannot start a thread", result.stderr)
        server = subprocess.Popen(["prlimit", "--nproc=3", *NOBODY, BIN / "slim-run", "float", "--serve", "--port", "0", "--json", "--threads", "1"],
                                  cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            address = json.loads(server.stdout.readline())["url"]
            with urllib.request.urlopen(f"{address}/v1/models", timeout=30) as answer:
                self.assertEqual(answer.status, 200)
        finally:
            server.terminate()
            self.assertEqual(server.wait(30), 0)
            server.stdout.close()

    @unittest.skipUnless(works(["unshare", "-m", "true"]), "a mount namespace is not to be had here")
    def test_without_proc(self):
        wanted = {tool: self.run_tool(tool, *reports[0]).stdout for tool, reports in REPORTS.items()}
        for tool, reports in REPORTS.items():
            with self.subTest(tool=tool):
                result = self.run_tool(tool, *reports[0], prefix=("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"))
                self.assertEqual((result.returncode, result.stdout), (0, wanted[tool]), result.stderr)

    @unittest.skipUnless(works([*NOBODY, "true"]), "setpriv does not work here")
    def test_read_only_working_directory(self):
        for tool, reports in REPORTS.items():
            with self.subTest(tool=tool):
                words = [str(self.folder / word) if (self.folder / word).exists() else word for word in reports[0]]
                result = self.run_tool(tool, *words, prefix=NOBODY, cwd="/")
                self.assertEqual(result.returncode, 0, result.stderr)


class Places(Surroundings):
    def test_output_is_input(self):
        """No spelling of the input as the output touches it."""
        (self.folder / "link").symlink_to("float")
        (self.folder / "inner").mkdir()
        (self.folder / "inner" / "model").symlink_to("../float")
        before = snapshot(self.folder / "float")
        weights = self.folder / "float" / "model.safetensors"
        os.link(weights, self.folder / "hard")
        (self.folder / "soft").symlink_to("float/model.safetensors")
        for force in ((), ("--force",)):
            for output in ("float", "./float", "float/", "float/../float", "link", "inner/model", "float/out", ".", "..", str(self.folder / "float")):
                for words in (["slim-quant", "float", "-o", output, "--type", "w8a16"], ["slim-convert", "float", "-o", output, "--to", "gguf"],
                              ["slim-run", "float", "-p", "Hi", "-n", "1", "--dump-layers", output]):
                    with self.subTest(words=words, force=force):
                        result = self.run_tool(*words, *force)
                        self.assertIn(result.returncode, (2, 4), result.stderr)
                        self.assertEqual(before, snapshot(self.folder / "float"))
                        self.assertEqual(list(self.folder.glob(".*partial")), [])
            for output in ("float/model.safetensors", "soft", "hard"):
                for words in (["slim-run", "float", "-p", "Hi", "-n", "1", "--logits", output], ["slim-verify", "float", "-o", output],
                              ["slim-diff", "float", "weightonly", "--prompts", "prompts.txt", "-o", output],
                              ["slim-quant", "float", "-o", "out", "--type", "w8a16", "--report", output]):
                    with self.subTest(words=words, force=force):
                        result = self.run_tool(*words, *force)
                        if output == "float/model.safetensors" or not force:
                            self.assertIn(result.returncode, (2, 4), result.stderr)
                        self.assertEqual(before, snapshot(self.folder / "float"))
                        shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.assertEqual(weights.stat().st_mode & 0o777, (MODEL / "model.safetensors").stat().st_mode & 0o777)

    @unittest.skipUnless(works(["unshare", "-m", "true"]), "a mount namespace is not to be had here")
    def test_output_is_input_by_another_mount(self):
        (self.folder / "bound").mkdir()
        before = snapshot(self.folder / "float")
        mounted = ("unshare", "-m", "sh", "-c", 'mount --bind float bound && exec "$@"', "sh")
        for force in ((), ("--force",)):
            for words in (["slim-quant", "float", "-o", "bound", "--type", "w8a16"], ["slim-convert", "bound", "-o", "float", "--to", "gguf"],
                          ["slim-quant", "float", "-o", "bound/out", "--type", "w8a16"],
                          ["slim-run", "float", "-p", "Hi", "-n", "1", "--dump-layers", "bound"],
                          ["slim-run", "float", "-p", "Hi", "-n", "1", "--logits", "bound/model.safetensors"],
                          ["slim-verify", "float", "-o", "bound/model.safetensors"],
                          ["slim-diff", "float", "weightonly", "--prompts", "prompts.txt", "-o", "bound/model.safetensors"]):
                with self.subTest(words=words, force=force):
                    result = self.run_tool(*words, *force, prefix=mounted)
                    self.assertIn(result.returncode, (2, 4), result.stderr)
                    self.assertEqual(before, snapshot(self.folder / "float"))

    def modes(self, folder):
        return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}

    def test_modes(self):
        quant = ["slim-quant", "float", "-o", "out", "--type", "w8a16", "-q"]
        report = ["slim-verify", "weightonly", "-o", "report.txt"]
        for umask, directory, file in ((0o022, 0o755, 0o644), (0o077, 0o700, 0o600), (0o002, 0o775, 0o664)):
            for words in (quant, report):
                self.assertEqual(self.run_tool(*words, "--force", preexec_fn=lambda mask=umask: os.umask(mask)).returncode, 0)
            self.assertEqual(stat.S_IMODE((self.folder / "out").stat().st_mode), directory)
            self.assertEqual(self.modes(self.folder / "out"), {file})
            self.assertEqual(stat.S_IMODE((self.folder / "report.txt").stat().st_mode), file)
            self.clean()
        # What is replaced keeps its mode.
        for words in (quant, report):
            self.run_tool(*words)
        (self.folder / "out").chmod(0o750)
        (self.folder / "report.txt").chmod(0o640)
        for words in (quant, report):
            self.assertEqual(self.run_tool(*words, "--force").returncode, 0)
        self.assertEqual(stat.S_IMODE((self.folder / "out").stat().st_mode), 0o750)
        self.assertEqual(stat.S_IMODE((self.folder / "report.txt").stat().st_mode), 0o640)

    def test_a_link_as_destination(self):
        """What a link names is replaced, the link stays."""
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        for name in ("out", "report.txt"):
            (self.folder / name).symlink_to(f"elsewhere/{name}")
        (elsewhere / "keep").write_text("mine")
        (elsewhere / "out").mkdir()
        (elsewhere / "out" / "old").write_text("old")
        (elsewhere / "report.txt").write_text("old")
        for words in (["slim-quant", "float", "-o", "out", "--type", "w8a16", "-q"], ["slim-verify", "weightonly", "-o", "report.txt"]):
            with self.subTest(words=words):
                self.assertEqual(self.run_tool(*words).returncode, 4)
                result = self.run_tool(*words, "--force")
                self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue((self.folder / "out").is_symlink() and (self.folder / "report.txt").is_symlink())
        self.assertTrue((elsewhere / "out" / "config.json").exists())
        self.assertFalse((elsewhere / "out" / "old").exists())
        self.assertIn("ok", (elsewhere / "report.txt").read_text())
        self.assertEqual(sorted(path.name for path in elsewhere.iterdir()), ["keep", "out", "report.txt"])
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["elsewhere", "float", "out", "prompts.txt", "report.txt", "weightonly"])

    def refused(self, *words, **options):
        result = self.run_tool(*words, **options)
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertIn("read-only", result.stderr)

    @unittest.skipUnless(works([*NOBODY, "true"]), "setpriv does not work here")
    def test_read_only_places(self):
        place = self.folder / "read-only"
        place.mkdir()
        place.chmod(0o555)
        self.refused("slim-quant", "float", "-o", "read-only/out", "--type", "w8a16", prefix=NOBODY)
        self.refused("slim-convert", "weightonly", "-o", "read-only/out", "--to", "mindie", prefix=NOBODY)
        self.refused("slim-verify", "weightonly", "-o", "read-only/report.html", prefix=NOBODY)
        self.refused("slim-diff", "float", "weightonly", "--prompts", "prompts.txt", "-o", "read-only/report.html", prefix=NOBODY)
        self.refused("slim-run", "float", "-p", "Hi", "-n", "1", "--logits", "read-only/logits", prefix=NOBODY)
        place.chmod(0o755)
        secret = self.folder / "float" / "config.json"
        secret.chmod(0)
        result = self.run_tool("slim-verify", "float", prefix=NOBODY)
        self.assertIn(result.returncode, (1, 3, 4))
        self.assertIn("Permission denied", result.stdout + result.stderr)

    def test_what_may_not_be_changed(self):
        """chattr +i, which stops root, too; only file systems on a disk have it."""
        with tempfile.TemporaryDirectory(prefix="slim-fault-", dir=ROOT / "build") as scratch:
            place = pathlib.Path(scratch)
            report, folder = place / "report.html", place / "folder"
            report.write_text("old")
            folder.mkdir()
            if not works(["chattr", "+i", report, folder]):
                self.skipTest("chattr +i does not work here")
            try:
                for words in (["slim-verify", "weightonly", "--force", "-o", report], ["slim-quant", "float", "-o", folder / "out", "--type", "w8a16"],
                              ["slim-run", "float", "-p", "Hi", "-n", "1", "--logits", folder / "out"]):
                    with self.subTest(words=words):
                        result = self.run_tool(*words)
                        self.assertEqual(result.returncode, 4, result.stderr)
                        self.assertIn(str(place), result.stderr)
                self.assertEqual((report.read_text(), list(folder.iterdir())), ("old", []))
                self.assertEqual(sorted(path.name for path in place.iterdir()), ["folder", "report.html"])
            finally:
                subprocess.run(["chattr", "-i", report, folder], check=True)

    @unittest.skipUnless(works(["unshare", "-m", "true"]), "a mount namespace is not to be had here")
    def test_read_only_mount(self):
        (self.folder / "read-only").mkdir()
        mounted = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro none read-only && exec "$@"', "sh")
        self.refused("slim-quant", "float", "-o", "read-only/out", "--type", "w8a16", prefix=mounted)
        self.refused("slim-verify", "weightonly", "-o", "read-only/report.html", prefix=mounted)

    @unittest.skipUnless(works(["unshare", "-m", "true"]), "a mount namespace is not to be had here")
    def test_full_file_system(self):
        (self.folder / "small").mkdir()
        mounted = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=100k none small && "$@" >/dev/null; code=$?; ls -A small; exit $code', "sh")
        for words in (["slim-quant", "float", "-o", "small/out", "--type", "w8a16"], ["slim-convert", "weightonly", "-o", "small/out", "--dequantize"],
                      ["slim-run", "float", "-p", PROMPTS * 8, "-n", "1", "--logits", "small/logits"]):
            with self.subTest(words=words):
                result = self.run_tool(*words, "-q", prefix=mounted)
                self.assertEqual(result.returncode, 4, result.stderr)
                self.assertIn("No space left on device", result.stderr)
                self.assertEqual(result.stdout, "", "something was left")


if __name__ == "__main__":
    unittest.main()
