# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What became of an apply is told as it is, whatever the connection did."""

from __future__ import annotations

import unittest
from unittest import mock

from ansible_collections.mailsec.harden993.plugins.plugin_utils import confirmation

PARAMS = {"program": "harden993", "confirm": 3}
ID = "20310331T120000Z"


class Machine:
    """Stands in for a host that gives these answers in turn; None is no connection, and then there is none any more."""

    begun = "20310331T115959Z"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.connections = 0

    def reconnect(self):
        """A fresh connection."""
        self.connections += 1

    def ask(self, params, words):
        """The next answer."""
        del params
        self.asked.append(words[0])
        return self.answers.pop(0) if self.answers else None


def last(stage, made=ID):
    """An answer of `status`."""
    return {"last": {"id": made, "stage": stage}}


class TheConfirmation(unittest.TestCase):
    """Of an apply that waits."""

    def setUp(self):
        clock = mock.patch.object(confirmation, "time")
        self.time = clock.start()
        self.addCleanup(clock.stop)
        self.time.monotonic.side_effect = range(1000)

    def confirm(self, *answers):
        """The result of an apply that waits on a host with these answers, and the host."""
        machine = Machine(*answers)
        result = {"changed": True, "stage": "waiting", "token": "t", "id": ID, "diff": {}}
        return confirmation.confirm(machine, PARAMS, result), machine

    def test_it_comes_over_a_fresh_connection(self):
        result, machine = self.confirm({"confirmed": True})
        self.assertEqual((result["stage"], result["changed"], machine.connections), ("kept", True, 1))
        self.assertNotIn("token", result)
        self.assertNotIn("failed", result)

    def test_it_is_tried_again(self):
        result, machine = self.confirm(None, {"confirmed": True})
        self.assertEqual((result["stage"], machine.asked), ("kept", ["confirm", "confirm"]))

    def test_a_host_that_was_cut_off_put_its_rules_back(self):
        result, machine = self.confirm(None, None, last("restored"))
        self.assertEqual(machine.asked[-1], "status")
        self.assertEqual((result["failed"], result["changed"], result["rolled_back"]), (True, False, True))
        self.assertNotIn("diff", result)

    def test_a_host_that_stays_away_is_not_guessed_about(self):
        result, machine = self.confirm()
        self.assertEqual((result["failed"], result["changed"], result["rolled_back"]), (True, True, None))
        self.assertEqual(machine.asked.count("status"), confirmation.TRIES)

    def test_another_answer_than_yes_is_no_confirmation(self):
        result, _machine = self.confirm({"confirmed": False, "rolled_back": True})
        self.assertEqual((result["failed"], result["changed"]), (True, False))
        result, _machine = self.confirm({"confirmed": False, "rolled_back": False})
        self.assertEqual((result["failed"], result["changed"], result["rolled_back"]), (True, True, False))


class TheBrokenConnection(unittest.TestCase):
    """Of an apply that never answered."""

    def setUp(self):
        clock = mock.patch.object(confirmation, "time")
        self.time = clock.start()
        self.addCleanup(clock.stop)

    def test_its_guardian_has_its_turn_first(self):
        result = confirmation.cut_off(Machine(last("restored")), PARAMS)
        self.time.sleep.assert_called_once_with(PARAMS["confirm"] + confirmation.GRACE)
        self.assertEqual((result["changed"], result["rolled_back"]), (False, True))

    def test_an_older_apply_is_not_taken_for_this_one(self):
        for older in (last("restored", "20310331T115900Z"), {"last": None}):
            result = confirmation.cut_off(Machine(older), PARAMS)
            self.assertEqual((result["failed"], result["changed"], result["rolled_back"]), (True, False, False))

    def test_rules_that_were_kept_are_said_to_be_there(self):
        result = confirmation.cut_off(Machine(last("kept")), PARAMS)
        self.assertEqual((result["failed"], result["changed"], result["rolled_back"]), (True, True, False))


if __name__ == "__main__":
    unittest.main()
