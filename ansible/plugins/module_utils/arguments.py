# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The options of the modules, which the controller and the host check alike."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

PROFILE = {
    "profile": {"type": "raw"},
    "lists": {"type": "dict", "default": {}},
    "list_files": {"type": "dict", "default": {}},
    "summary": {"type": "bool", "default": False},
    "program": {"type": "str", "default": "harden993"},
    "state_dir": {"type": "str"},
}

CHANGE = dict(
    PROFILE,
    state={"type": "str", "choices": ["present", "absent"], "default": "present"},
    target={"type": "str", "choices": ["nftables", "iptables", "pf"]},
    confirm={"type": "int", "default": 60},
    expect_gain={"type": "list", "elements": "str"},
    expect_loss={"type": "list", "elements": "str"},
    cut={"type": "bool", "default": False},
)
CHANGE_REQUIRED_IF = [("state", "present", ["profile"])]

INFO = dict(
    PROFILE,
    query={
        "type": "list",
        "elements": "str",
        "choices": ["status", "reach", "verify"],
        "default": ["status"],
    },
    port={"type": "int", "default": 993},
)
