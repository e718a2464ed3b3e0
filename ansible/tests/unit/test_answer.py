# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Recorded answers of the program become results that say the truth."""

from __future__ import annotations

import json
import unittest

from ansible_collections.mailsec.harden993.plugins.module_utils import answer

PARAMS = {"state": "present"}
NOBODY = {"ipv4": "0", "ipv6": "0"}
ANSWER = {
    "schema": 1,
    "target": "pf",
    "changed": True,
    "text": "+pass in\n",
    "effect": [
        {"port": 993, "path": "input", "interface": None, "to": None, "gained": ["203.0.113.7"], "lost": [],
         "counts": {"gained": {"ipv4": "1", "ipv6": "0"}, "lost": NOBODY}}
    ],
    "findings": [],
}


def result(code, said, **more):
    """The result of a recorded answer."""
    return answer.result(dict(PARAMS, **more), code, json.dumps(said), "said")


class TheResult(unittest.TestCase):
    """An answer becomes a result."""

    def test_changed_is_the_programs(self):
        self.assertTrue(result(1, ANSWER)["changed"])
        self.assertFalse(result(0, dict(ANSWER, changed=False))["changed"])

    def test_a_stopped_change_failed_and_changed_nothing(self):
        stopped = result(1, ANSWER, expect_loss=[])
        self.assertTrue(stopped["failed"])
        self.assertFalse(stopped["changed"])
        self.assertIn("203.0.113.7", stopped["msg"])

    def test_what_stopped_it_is_said_in_the_programs_words(self):
        finding = {"code": "unexpected", "severity": "error", "message": "192.0.2.9 gains access", "rule": None, "help": None}
        stopped = result(1, dict(ANSWER, findings=[finding]), expect_gain=[])
        self.assertTrue(stopped["msg"].endswith("expect_loss. 192.0.2.9 gains access"))
        self.assertEqual(stopped["warnings"], [])

    def test_codes_of_failures(self):
        error = {"schema": 1, "error": {"code": "host", "message": "no", "help": None}, "problems": []}
        for code, changed, back in ((2, False, False), (3, False, False), (4, False, True), (5, True, False)):
            failed = result(code, error)
            self.assertEqual((failed["failed"], failed["changed"], failed["rolled_back"]), (True, changed, back))

    def test_a_refused_profile_says_where_and_what_to_write(self):
        wrong = {"severity": "error", "file": "profile.toml", "line": 6, "column": 1, "message": "`network` is no key",
                 "help": "did you mean `networks`?"}
        error = {"error": {"message": "1 error", "help": None}, "problems": [wrong, dict(wrong, severity="warning")]}
        self.assertEqual(
            result(2, error)["msg"],
            "1 error\nprofile.toml:6:1: error: `network` is no key (did you mean `networks`?)",
        )

    def test_findings_are_shown_but_for_notes(self):
        found = {"code": "missing", "severity": "error", "message": "trusted, but refused: 192.0.2.9",
                 "rule": "ip saddr 192.0.2.9 drop", "help": "take it away"}
        said = dict(ANSWER, findings=[found, dict(found, severity="note")])
        self.assertEqual(
            result(0, said)["warnings"],
            ["trusted, but refused: 192.0.2.9: `ip saddr 192.0.2.9 drop` (take it away)"],
        )

    def test_a_missing_program_cannot_predict(self):
        foretold = answer.missing("harden993", "Linux-armv7l", True)
        self.assertTrue(foretold["skipped"])
        self.assertIn("cannot predict", foretold["msg"])
        self.assertEqual(foretold["warnings"], [foretold["msg"]])
        self.assertIn("Linux-armv7l", foretold["msg"])
        self.assertTrue(answer.missing("harden993", "Linux-armv7l", False)["failed"])

    def test_rubbish_is_no_answer(self):
        self.assertTrue(answer.result(PARAMS, 0, "[]", "")["failed"])
        self.assertIn("Exec format error", answer.result(PARAMS, 126, "", "sh: Exec format error")["msg"])

    def test_remarks_of_a_terminal_stand_before_the_answer(self):
        self.assertEqual(answer.parse('note: the firewall is pf\r\n{"schema": 1}\r\n'), {"schema": 1})


class TheWords(unittest.TestCase):
    """An effect in words."""

    @staticmethod
    def words(counts, **more):
        """The words of one question."""
        return answer.effect_words([dict({"port": 993, "path": "input", "counts": counts}, **more)])

    def test_one_and_several(self):
        self.assertEqual(result(0, ANSWER)["effect_words"], ["port 993: 1 IPv4 address gains access (203.0.113.7)"])
        self.assertEqual(
            self.words({"lost": {"ipv4": "2", "ipv6": "1"}}, interface="wg0", path="forwarded"),
            ["port 993 forwarded by wg0: 2 IPv4 addresses and 1 IPv6 address lose access"],
        )

    def test_numbers_that_nobody_reads_are_rounded(self):
        self.assertEqual(
            self.words({"gained": {"ipv4": "0", "ipv6": "1208925819614629174706176"}}),
            ["port 993: 1.2e+24 IPv6 addresses gain access"],
        )

    def test_long_lists_are_cut(self):
        lost = ["192.0.2.%d" % n for n in range(7)]
        said = self.words({"lost": {"ipv4": "7", "ipv6": "0"}}, lost=lost)
        self.assertEqual(said, ["port 993: 7 IPv4 addresses lose access (%s, and 2 more)" % ", ".join(lost[:5])])

    def test_what_is_unknown_is_said(self):
        unknown = [{"networks": ["192.0.2.1"], "because": "a match that is not modelled"}]
        self.assertEqual(
            self.words({"unknown": {"ipv4": "1", "ipv6": "0"}}, unknown=unknown),
            ["port 993: 1 IPv4 address cannot be told (192.0.2.1)"],
        )

    def test_no_effect_is_no_word(self):
        self.assertEqual(self.words({"gained": NOBODY, "lost": NOBODY}), [])


class TheDiff(unittest.TestCase):
    """What `--diff` shows."""

    def test_it_shows_access_and_rules(self):
        diff = answer.difference(result(0, ANSWER))
        self.assertEqual(diff["before"], "")
        self.assertEqual(diff["after"], "port 993: 203.0.113.7\n")
        self.assertEqual(diff["prepared"], "+pass in\n# port 993: 1 IPv4 address gains access (203.0.113.7)\n")

    def test_it_stays_readable(self):
        lost = ["192.0.2.%d" % n for n in range(30)]
        before = answer.difference({"effect": [{"port": 993, "lost": lost}]})["before"].splitlines()
        self.assertEqual(len(before), answer.SHOWN_IN_DIFF + 1)
        self.assertEqual(before[-1], "port 993: and 20 more networks")
        rules = answer.difference({"text": "+rule\n" * 1000})["prepared"].splitlines()
        self.assertEqual(len(rules), answer.SHOWN_RULES + 1)
        self.assertEqual(rules[-1], "# and 700 more lines, which the result holds as `text`")


if __name__ == "__main__":
    unittest.main()
