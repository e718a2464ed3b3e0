# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Confirms an apply over a fresh connection, or finds out what became of it."""

from __future__ import annotations

import time

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.mailsec.harden993.plugins.module_utils import program

PAUSE = 1.0
# After the deadline the guardian needs a moment to put the old rules back; then the host is asked what it did.
GRACE = 3.0
TRIES = 10


def fresh(host):
    """Drops the kept-alive connection: it would pass the firewall as an established one and prove nothing."""
    try:
        host.action._connection.reset()
    except (AnsibleConnectionFailure, AttributeError):
        return


def ask(host, arguments, more):
    """One question to the program over a connection of its own; None where the host cannot be reached."""
    head = [arguments["program"], "--format", "json"]
    if arguments.get("state_dir"):
        head += ["--state-dir", arguments["state_dir"]]
    try:
        return program.parse(host.run(head + more)[1])
    except AnsibleConnectionFailure:
        fresh(host)
        return None


def confirm(host, arguments, result, seconds):
    """The result of an apply that waits, once it is confirmed or put back."""
    deadline = time.monotonic() + seconds
    more = ["confirm", "--token", result.pop("token")]
    fresh(host)
    while time.monotonic() < deadline:
        answer = ask(host, arguments, more)
        if answer and answer.get("confirmed"):
            result.update(stage="kept", confirm_by=None)
            return result
        if answer is not None:
            # It answers, and does not confirm: put back already, or somebody else's apply waits now.
            return lost(result, answer.get("rolled_back"))
        time.sleep(PAUSE)
    return what_became(host, arguments, result, GRACE)


def what_became(host, arguments, result, wait):
    """Asks a host that was cut off, after its guardian had its turn."""
    time.sleep(wait)
    for _try in range(TRIES):
        answer = ask(host, arguments, ["status"])
        if answer is not None:
            last = answer.get("last") or {}
            ours = result.get("id") in (None, last.get("id"))
            return lost(result, ours and last.get("stage") == "restored")
        time.sleep(PAUSE)
    return lost(result, None)


def lost(result, rolled_back):
    """The result of an apply that could not be confirmed."""
    result.update(failed=True, rolled_back=rolled_back)
    if rolled_back:
        result.update(changed=False, stage="restored")
        result["msg"] = "the host could not be reached over a fresh connection; it has put its old rules back"
    elif rolled_back is None:
        result["msg"] = "the host could not be reached any more, and not be asked whether it has put its old rules back"
    else:
        result["msg"] = "the apply was not confirmed, and the host does not say that it was put back; see `harden993 status`"
    return result
