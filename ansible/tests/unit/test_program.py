# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A task becomes the words of a few commands, and their answers one result."""

from __future__ import annotations

import json
import unittest

from ansible_collections.mailsec.harden993.plugins.module_utils import program

PARAMS = {"program": "harden993", "state": "present", "confirm": 60}


class TheCommand(unittest.TestCase):
    """The words of the command that does, or foretells, what is asked for."""

    def test_check_mode_reads_and_a_run_waits_for_confirmation(self):
        self.assertIn("diff", program.command(PARAMS, True))
        words = program.command(PARAMS, False)
        self.assertEqual(words[3:5], ["apply", "--yes"])
        self.assertIn("--confirm=60", words)

    def test_absent(self):
        params = dict(PARAMS, state="absent")
        self.assertEqual(program.command(params, True)[3:], ["remove", "--yes", "--dry-run"])
        self.assertEqual(program.command(params, False)[3:], ["remove", "--yes"])

    def test_an_empty_expectation_is_nobody(self):
        words = program.command(dict(PARAMS, expect_gain=["192.0.2.1"], expect_loss=[]), True)
        self.assertEqual(words[-2:], ["--expect-gain=192.0.2.1", "--expect-loss=none"])

    def test_an_option_that_is_not_set_is_not_asked_for(self):
        words = program.command(dict(PARAMS, target=None, expect_gain=None, confirm=0), False)
        self.assertEqual(words, ["harden993", "--format", "json", "apply", "--yes", "--profile", "profile.toml"])

    def test_a_list_stays_in_its_folder(self):
        for name in ("/etc/passwd", "../x", "a/../../x", "profile.toml", "."):
            self.assertRaises(ValueError, program.checked_lists, {name: ""})
        self.assertEqual(program.checked_lists({"lists/a.txt": "x"}), {"lists/a.txt": "x"})

    def test_a_mapping_that_a_template_made_text_is_refused(self):
        with self.assertRaisesRegex(ValueError, "in quotes"):
            program.profile_text("{'name': 'x', 'expires': datetime.date(2031, 3, 31)}")
        self.assertEqual(program.profile_text("schema = 1\n"), "schema = 1\n")
        self.assertIn('name = "x"', program.profile_text({"name": "x"}))


class Commands:
    """Stands in for a host: answers each verb as it is told, and remembers what was asked."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def __call__(self, words):
        verb = next(w for w in words if w in self.answers)
        self.asked.append(verb)
        code, said = self.answers[verb]
        return code, json.dumps(said), "said"


class TheWork(unittest.TestCase):
    """What is run, in which order, and what comes of it."""

    def test_a_change_is_told_with_what_check_warns_of(self):
        soon = {"severity": "warning", "file": "profile.toml", "line": 6, "column": 11, "message": "`c` expires in 5 days", "help": None}
        host = Commands(diff=(1, {"schema": 1, "changed": True, "target": "pf", "effect": []}), check=(0, {"problems": [soon]}))
        result = program.change(PARAMS, True, host)
        self.assertEqual(host.asked, ["diff", "check"])
        self.assertEqual(result["warnings"], ["profile.toml:6:11: warning: `c` expires in 5 days"])
        self.assertTrue(result["changed"])

    def test_a_refused_profile_is_asked_about_once(self):
        host = Commands(apply=(2, {"error": {"message": "no"}}), check=(0, {}))
        self.assertTrue(program.change(PARAMS, False, host)["failed"])
        self.assertEqual(host.asked, ["apply"])

    def test_questions_are_answered_in_turn(self):
        params = {"program": "harden993", "query": ["status", "reach"], "profile": None, "port": 993}
        host = Commands(status=(0, {"schema": 1, "loaded": True}), reach=(1, {"schema": 1, "questions": []}))
        answers = program.info(params, False, host)
        self.assertEqual(answers, {"changed": False, "status": {"loaded": True}, "reach": {"questions": []}})

    def test_lists_are_left_out_where_there_are_any(self):
        params = {"program": "harden993", "summary": True, "port": 143}
        self.assertEqual(program.question(params, "reach")[3:], ["reach", "--port=143", "--summary"])
        self.assertEqual(program.question(params, "status")[3:], ["status"])

    def test_a_question_that_fails_fails_all(self):
        params = {"program": "harden993", "query": ["status"], "profile": None, "port": 993}
        host = Commands(status=(3, {"error": {"message": "no right", "help": "run it as root"}}))
        self.assertEqual(program.info(params, False, host)["msg"], "no right\nrun it as root")

    def test_verify_needs_a_profile(self):
        params = {"program": "harden993", "query": ["verify"], "profile": None, "port": 993}
        self.assertTrue(program.info(params, False, Commands())["failed"])


if __name__ == "__main__":
    unittest.main()
