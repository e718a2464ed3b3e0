# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Recorded answers of the program become results that say the truth."""

from __future__ import annotations

import json
import unittest

from ansible_collections.mailsec.harden993.plugins.module_utils import program

PARAMS = {"program": "harden993", "state": "present", "confirm": 60}
ANSWER = {
    "schema": 1,
    "target": "pf",
    "changed": True,
    "text": "+pass in\n",
    "effect": [
        {"port": 993, "path": "input", "interface": None, "gained": ["203.0.113.7"], "lost": [],
         "counts": {"gained": {"ipv4": "1", "ipv6": "0"}, "lost": {"ipv4": "0", "ipv6": "0"}}}
    ],
    "findings": [],
}


def result(code, answer, check=False, **more):
    """The result of a recorded answer."""
    return program.result(dict(PARAMS, **more), check, code, json.dumps(answer), "said")


class TheCommand(unittest.TestCase):
    """A task becomes the words of one command."""

    def test_check_mode_reads_and_a_run_waits_for_confirmation(self):
        self.assertIn("diff", program.command(PARAMS, True))
        words = program.command(PARAMS, False)
        self.assertEqual(words[3:5], ["apply", "--yes"])
        self.assertEqual(words[words.index("--confirm") + 1], "60")

    def test_absent(self):
        params = dict(PARAMS, state="absent")
        self.assertEqual(program.command(params, True)[3:], ["remove", "--yes", "--dry-run"])
        self.assertEqual(program.command(params, False)[3:], ["remove", "--yes"])

    def test_an_empty_expectation_is_nobody(self):
        words = program.command(dict(PARAMS, expect_gain=["192.0.2.1"], expect_loss=[]), True)
        self.assertEqual(words[-4:], ["--expect-gain", "192.0.2.1", "--expect-loss", "none"])

    def test_a_list_stays_in_its_folder(self):
        for name in ("/etc/passwd", "../x", "a/../../x", "profile.toml", "."):
            self.assertRaises(ValueError, program.checked_lists, {name: ""})
        self.assertEqual(program.checked_lists({"lists/a.txt": "x"}), {"lists/a.txt": "x"})


class TheResult(unittest.TestCase):
    """An answer becomes a result."""

    def test_changed_is_the_programs(self):
        self.assertTrue(result(1, ANSWER, check=True)["changed"])
        self.assertFalse(result(0, dict(ANSWER, changed=False))["changed"])
        self.assertEqual(result(0, ANSWER)["effect_words"], ["port 993: 1 IPv4 addresses gains access (203.0.113.7)"])

    def test_a_stopped_change_failed_and_changed_nothing(self):
        stopped = result(1, ANSWER, expect_loss=[])
        self.assertTrue(stopped["failed"])
        self.assertFalse(stopped["changed"])

    def test_codes_of_failures(self):
        error = {"schema": 1, "error": {"code": "host", "message": "no", "help": None}, "problems": []}
        for code, changed, back in ((2, False, False), (3, False, False), (4, False, True), (5, True, False)):
            failed = result(code, error)
            self.assertEqual((failed["failed"], failed["changed"], failed["rolled_back"]), (True, changed, back))

    def test_a_missing_program_cannot_predict(self):
        check = program.result(PARAMS, True, 127, "", "sh: not found")
        self.assertTrue(check["skipped"])
        self.assertIn("cannot predict", check["msg"])
        self.assertTrue(program.result(PARAMS, False, 127, "", "")["failed"])

    def test_rubbish_is_no_answer(self):
        self.assertTrue(program.result(PARAMS, False, 0, "[]", "")["failed"])

    def test_remarks_of_a_terminal_stand_before_the_answer(self):
        self.assertEqual(program.parse('note: the firewall is pf\r\n{"schema": 1}\r\n'), {"schema": 1})

    def test_the_diff_shows_access_and_rules(self):
        diff = program.difference(result(0, ANSWER))
        self.assertEqual(diff["before"], "")
        self.assertEqual(diff["after"], "port 993: 203.0.113.7\n")
        self.assertIn("+pass in", diff["prepared"])


if __name__ == "__main__":
    unittest.main()
