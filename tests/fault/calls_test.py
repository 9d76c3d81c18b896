#!/usr/bin/env python3
"""Every kind of output under faults of single calls: what fails is reported, what is killed leaves nothing half-written, what
is short or interrupted changes no byte (facts: reliability.md R5, R6, R8, R9, R18)."""

import errno
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from scenes import LONG, SCENES, Stage, snapshot  # noqa: E402

FAILURES = (("create", errno.ENOSPC), ("pwrite", errno.ENOSPC), ("output", errno.ENOSPC), ("fallocate", errno.ENOSPC), ("fsync", errno.EIO),
            ("finish", errno.EDQUOT), ("rename", errno.EACCES), ("mkdir", errno.EROFS))
KILLS = ("create", "pwrite", "output", "fallocate", "fsync", "finish", "rename", "mkdir", "unlink")


def setUpModule():
    global stage
    stage = Stage()


def tearDownModule():
    stage.close()


class Calls(unittest.TestCase):
    def tearDown(self):
        self.assertEqual(stage.inputs, stage.state(), "an input was touched")

    def outputs(self, scene, before=None, failed=False):
        """Each whole, or as it was before (absent, unless another is named); returns those that are whole."""
        whole = []
        if failed and scene.judges:
            return whole
        for name, wanted in stage.wanted[scene].items():
            found = snapshot(stage.folder / name)
            if found == wanted:
                whole.append(name)
            else:
                self.assertEqual(found, (before or {}).get(name), f"{name} is half an output")
        return whole

    def old_outputs(self, scene):
        """Something to be replaced by --force."""
        for name, wanted in stage.wanted[scene].items():
            path = stage.folder / name
            if isinstance(wanted, dict):
                path.mkdir()
                path = path / "config.json"
            path.write_text("old")
        return {name: snapshot(stage.folder / name) for name in scene.outputs}

    def each_fault(self, calls, check):
        """Calls check(scene, call, number, *detail) for every fault to try; how many came about."""
        came = 0
        for scene in SCENES:
            for call, *detail in calls:
                for number in stage.numbers(stage.counts[scene][call]):
                    with self.subTest(scene=str(scene), call=call, number=number):
                        came += check(scene, call, number, *detail)
                    stage.clear(scene)
        return came

    def test_a_failed_call_is_an_error(self):
        def check(scene, call, number, error):
            before = self.old_outputs(scene) if number % 2 == 0 else None
            result, came = stage.play(scene, f"{call} {number} 0 {error}", ("--force",) if before else ())
            # --force takes another way. Closing a journal that goes with the run's success harms nothing.
            if came and call == "finish" and result.returncode == 0:
                self.assertEqual(self.outputs(scene), list(scene.outputs))
            elif came:
                self.assertEqual(result.returncode, 4, result.stderr)
                self.assertIn(os.strerror(error), result.stderr)
                self.outputs(scene, before)
                self.assertEqual(stage.left(), [], "something was left")
            return came

        faults = self.each_fault(FAILURES, check)
        print(f"{faults} failed calls")
        self.assertGreater(faults, 200)

    def test_killed_before_and_after_every_call(self):
        def check(scene, call, number):
            before = self.old_outputs(scene) if number % 2 == 0 else None
            moment = "kill" if number % 4 < 2 or call in ("unlink", "finish") else "killed"
            result, came = stage.play(scene, f"{call} {number} 0 {moment}", ("--force",) if before else ())
            if not came:
                return False
            self.assertEqual(result.returncode, -9)
            self.outputs(scene, before)
            self.assertLessEqual({path.name for path in stage.left()},
                                 {f".{pathlib.Path(name).name}.slim-partial" for name in scene.outputs})
            if LONG or number == 1 or call in ("rename", "unlink"):
                result, _ = stage.play(scene, None, ("--force",))
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(self.outputs(scene), list(scene.outputs))
                self.assertEqual(stage.left(), [], "the next run left what the killed one had left")
            return True

        kills = self.each_fault([(call,) for call in KILLS], check)
        print(f"{kills} kills")
        self.assertGreater(kills, 200)

    def test_short_and_interrupted_calls_change_nothing(self):
        for scene in SCENES:
            for fault in ("pread 1 1 short", "pread 2 3 short", f"pread 1 2 {errno.EINTR}", "pwrite 1 1 short", f"pwrite 1 2 {errno.EINTR}",
                          "output 1 1 short", f"output 1 2 {errno.EINTR}", "stdout 1 1 short"):
                if not stage.counts[scene][fault.split()[0]]:
                    continue
                with self.subTest(scene=str(scene), fault=fault):
                    result, came = stage.play(scene, fault)
                    self.assertTrue(came)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    self.assertEqual(self.outputs(scene), list(scene.outputs))
                    stage.clear(scene)

    def test_a_device_error_of_a_read(self):
        def check(scene, call, number):
            result, came = stage.play(scene, f"{call} {number} 0 {errno.EIO}")
            self.assertEqual(result.returncode, 4, result.stderr)
            self.assertIn("Input/output error", result.stderr)
            self.assertRegex(result.stderr, r"\(at byte \d+\)")
            self.assertEqual(self.outputs(scene, failed=True), [])
            self.assertEqual(stage.left(), [])
            return came

        print(f"{self.each_fault([('pread',)], check)} failed reads")

    def test_an_input_that_cannot_be_opened(self):
        def check(scene, call, number):
            result, came = stage.play(scene, f"{call} {number} 0 {errno.EMFILE}")
            self.assertTrue(came)
            if result.returncode == 0:  # something optional, such as what the system says about itself
                self.assertEqual(self.outputs(scene), list(scene.outputs))
                return came
            self.assertEqual(result.returncode, 4, result.stderr)
            self.assertIn(os.strerror(errno.EMFILE), result.stderr)
            self.outputs(scene, failed=True)
            self.assertEqual(stage.left(), [])
            return came

        self.each_fault([("open",)], check)

    def test_no_memory(self):
        """malloc fails once: out of memory or, where a library does without, the whole output."""
        done = 0
        for scene in SCENES:
            count = stage.counts[scene]["malloc"]
            numbers = range(1, count + 1, 1 if LONG else max(1, count // 10))
            for number in numbers:
                with self.subTest(scene=str(scene), number=number):
                    result, came = stage.play(scene, f"malloc {number} 0 {errno.ENOMEM}")
                    self.assertTrue(came)
                    if result.returncode == 4:  # a call of the C library, such as opendir, that says so itself
                        self.assertIn(os.strerror(errno.ENOMEM), result.stderr)
                    else:
                        self.assertIn(result.returncode, (0, 5), result.stderr)
                    done += 1
                    if result.returncode == 0:
                        self.assertEqual(self.outputs(scene), list(scene.outputs))
                    self.outputs(scene)
                    self.assertEqual(stage.left(), [])
                    stage.clear(scene)
        print(f"{done} failed allocations")


if __name__ == "__main__":
    unittest.main()
