# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The options that every module of this collection has: the profile, and the program that reads it."""

from __future__ import annotations


class ModuleDocFragment:
    """Said once, for all modules."""

    DOCUMENTATION = r"""
options:
  profile:
    description:
      - The profile, as TOML text or as a mapping.
      - In a mapping C(trusted) and C(blocked) may be dictionaries keyed by the entry's name, so that layers of variables merge;
        an entry or a key that is null is left out, and C(schema) is 1 unless it is written. Write days in quotes
        (C(expires="2031-03-31")), since ansible-core before 2.19 cannot pass on a mapping with a date.
      - It is never a path on the host, so that a check run can foretell what a host will do that holds nothing yet.
    type: raw
  lists:
    description:
      - List files and included profiles, as name to text. The names are the relative paths that the profile uses.
    type: dict
    default: {}
  list_files:
    description:
      - The same, as name to path of a file on the controller. Use it for large lists, which then never pass through templating.
    type: dict
    default: {}
  summary:
    description:
      - Leave the lists of networks out of the result and keep their counts.
    type: bool
    default: false
  program:
    description:
      - The program on the host.
    type: str
    default: harden993
  state_dir:
    description:
      - Where the program keeps the confirmed state. Without it, the program's own default.
    type: str
notes:
  - "The variable C(harden993_binaries) (a mapping such as C(Linux-x86_64) to the path of a static binary on the controller)
    lends a host the program for the time of the task where it is not installed. Rules that a lent program loaded do not come
    back at boot by themselves."
  - Works on hosts without Python, too, by their shell.
  - Needs root, so C(become=true) where the login is another user.
author:
  - The harden993 authors (@harden993)
"""
