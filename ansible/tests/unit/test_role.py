# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The role knows its own variables: it refuses every other one that looks like them."""

from __future__ import annotations

import pathlib
import re
import unittest

import yaml

COLLECTION = pathlib.Path(__file__).parents[2]
ROLE = COLLECTION / "roles" / "harden993"
NAME = re.compile(r"\bharden993_[a-z_]+")
# Names of other things that begin alike.
NO_VARIABLES = {"harden993_info", "harden993_enable"}


def read(path):
    """A YAML file of the role."""
    return yaml.safe_load((ROLE / path).read_text(encoding="utf-8"))


class TheVariables(unittest.TestCase):
    """Those of argument_specs, and the role's own."""

    options = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    own = read("vars/main.yml")["harden993_own"]

    def test_what_is_used_is_known_and_what_is_known_is_used(self):
        used = set()
        for path in [*ROLE.glob("tasks/*.yml"), *ROLE.glob("vars/*.yml"), *ROLE.glob("defaults/*.yml"),
                     *COLLECTION.glob("playbooks/*.yml")]:
            used |= set(NAME.findall(path.read_text(encoding="utf-8")))
        self.assertEqual(used - NO_VARIABLES, set(self.options) | set(self.own))

    def test_defaults_are_the_documented_ones(self):
        written = read("defaults/main.yml")
        documented = {name: option["default"] for name, option in self.options.items() if "default" in option}
        self.assertEqual({name: written[name] for name in documented}, documented)


if __name__ == "__main__":
    unittest.main()
