# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Confirms an apply over a fresh connection, or finds out what became of it."""

from __future__ import annotations

import time

PAUSE = 1.0
# After the deadline the guardian needs a moment to put the old rules back; then the host is asked what it did.
GRACE = 3.0
TRIES = 10


# What happened, for a person.
NO_ANSWER = "the host could not be reached over a fresh connection"
CUT_OFF = "the connection broke while the rules were loaded"
TOO_LATE = "the confirmation over a fresh connection came too late"


def confirm(host, params, result):
    """The result of an apply that waits, once it is confirmed or put back."""
    deadline = time.monotonic() + params["confirm"]
    words = ["confirm", "--token", result.pop("token")]
    host.reconnect()
    while time.monotonic() < deadline:
        said = host.ask(params, words)
        if said and said.get("confirmed"):
            result.update(stage="kept", confirm_by=None)
            return result
        if said and "error" not in said:
            # It answers, and does not confirm: put back already, or somebody else's apply waits now.
            return lost(result, TOO_LATE, bool(said.get("rolled_back")))
        time.sleep(PAUSE)
    return what_became(host, params, result, NO_ANSWER, GRACE)


def cut_off(host, params):
    """The result of an apply whose own connection broke, as new rules may cut it."""
    host.reconnect()
    return what_became(host, params, {"changed": True}, CUT_OFF, params["confirm"] + GRACE)


def what_became(host, params, result, why, wait):
    """Asks a host that was cut off, after its guardian had its turn."""
    time.sleep(wait)
    for _try in range(TRIES):
        said = host.ask(params, ["status"])
        if said is not None and "error" not in said:
            last = said.get("last") or {}
            if not _is_ours(host, result, last):
                return nothing_loaded(result)
            return lost(result, why, last.get("stage") == "restored")
        time.sleep(PAUSE)
    return lost(result, why, None)


def _is_ours(host, result, last):
    """Whether the host's last apply is this task's. Ids are times of the host's clock, and sort as they come."""
    if result.get("id"):
        return result["id"] == last.get("id")
    return (last.get("id") or "") >= host.begun


def nothing_loaded(result):
    """The result of a task whose connection broke before anything was loaded."""
    result.update(failed=True, changed=False, rolled_back=False)
    result["msg"] = "the connection broke before anything was loaded; nothing was changed"
    return result


def lost(result, why, rolled_back):
    """The result of an apply that could not be confirmed."""
    result.update(failed=True, rolled_back=rolled_back)
    # What it would have changed is no preview any more.
    result.pop("diff", None)
    if rolled_back:
        result.update(changed=False, stage="restored", confirm_by=None)
        became = "the host has put its old rules back"
    elif rolled_back is None:
        became = "the host could not be asked whether it has put its old rules back"
    else:
        became = "the host does not say that it has put its old rules back; see `harden993 status`"
    result["msg"] = "%s; %s" % (why, became)
    return result
