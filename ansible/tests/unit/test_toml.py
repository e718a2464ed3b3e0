# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The TOML that a mapping becomes is what TOML's own reader reads back."""

from __future__ import annotations

import datetime
import unittest

from ansible_collections.mailsec.harden993.plugins.module_utils.toml import profile_text

try:
    import tomllib
except ImportError:  # Python 3.10 has no reader of TOML
    tomllib = None


class TheProfile(unittest.TestCase):
    """One mapping, one text."""

    def test_entries_are_sorted_and_null_takes_away(self):
        text = profile_text({"name": "x", "trusted": {"b": {"networks": ["192.0.2.1"]}, "a": {"file": "l"}, "gone": None}})
        self.assertLess(text.index('"a"'), text.index('"b"'))
        self.assertNotIn("gone", text)

    def test_the_order_of_keys_does_not_show(self):
        one = {"name": "x", "trusted": {"a": {"networks": ["::1"]}, "b": {"networks": []}}}
        other = {"trusted": {"b": {"networks": []}, "a": {"networks": ["::1"]}}, "name": "x"}
        self.assertEqual(profile_text(one), profile_text(other))

    @unittest.skipIf(tomllib is None, "no reader of TOML")
    def test_hostile_text_stays_text(self):
        hostile = 'a"\n[service]\nports = [1]\x7f\u2028\U0001f600\\'
        read = tomllib.loads(profile_text({"name": "x", "description": hostile, "a.b": {"c d": True}}))
        self.assertEqual(read["description"], hostile)
        self.assertEqual(read["a.b"], {"c d": True})
        self.assertNotIn("service", read)

    @unittest.skipIf(tomllib is None, "no reader of TOML")
    def test_a_day_stays_a_day(self):
        day = datetime.date(2027, 3, 31)
        for expires in (day, "2027-03-31"):
            read = tomllib.loads(profile_text({"trusted": {"a": {"expires": expires, "limits": {"burst": 3}}}}))
            self.assertEqual(read["trusted"], [{"name": "a", "expires": day, "limits": {"burst": 3}}])

    def test_what_is_no_mapping_is_refused(self):
        for wrong in ([], {"trusted": {"a": []}}):
            self.assertRaises(ValueError, profile_text, wrong)


if __name__ == "__main__":
    unittest.main()
