# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""How the program's JSON becomes a task's result, its words and its diff."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json

# Exit codes of the program, as its documentation has them.
CLEAN, DIFFERENCE = 0, 1
PUT_BACK, BROKEN = 4, 5

# The code of the findings that tell what expect_gain and expect_loss stopped.
UNEXPECTED = "unexpected"

# So many networks of one list are shown in a diff, and in a sentence, and so many lines of rules; the result holds all of them.
SHOWN_IN_DIFF = 10
SHOWN_IN_WORDS = 5
SHOWN_RULES = 300


def parse(stdout):
    """The one JSON object of an answer, or None. On a terminal, which connections may ask for, remarks stand before it."""
    for text in [stdout] + [line for line in stdout.splitlines() if line.startswith("{")][-1:]:
        try:
            said = json.loads(text)
        except ValueError:
            continue
        if isinstance(said, dict):
            return said
    return None


def without_schema(said):
    """An answer without the version of its form, which is the program's matter."""
    return {k: v for k, v in said.items() if k != "schema"}


def result(params, code, stdout, stderr):
    """The task's result. `changed` comes from the program's answer alone, which looked at the live ruleset."""
    said = parse(stdout)
    if said is None or "error" in said:
        return failure(said, code, stdout, stderr)
    out = dict(without_schema(said), rolled_back=False)
    out["effect_words"] = effect_words(out.get("effect") or [])
    out["warnings"] = [finding(f) for f in out.get("findings") or [] if f.get("severity") != "note" and f.get("code") != UNEXPECTED]
    if code == DIFFERENCE and _expects(params):
        # What was asked for stopped it before anything was loaded.
        out.update(
            failed=True,
            changed=False,
            msg="stopped, nothing was changed: the effect is not the one of expect_gain and expect_loss. %s"
            % ("; ".join(_unexpected(out) or out["effect_words"]) or "Nobody gains or loses access."),
        )
    elif code not in (CLEAN, DIFFERENCE):
        out.update(failed=True, changed=False, msg="harden993 ended with code %s: %s" % (code, stderr.strip()))
    else:
        out["msg"] = "; ".join(out["effect_words"])
    return out


def _expects(params):
    return params["state"] == "present" and any(params.get(k) is not None for k in ("expect_gain", "expect_loss"))


def _unexpected(said):
    """What the program says of the difference itself."""
    return [f["message"] for f in said.get("findings") or [] if f.get("code") == UNEXPECTED]


def missing(wanted, system, check):
    """The result where the program is not installed, and none is lent for this kind of system."""
    what = "harden993 is not installed here (looked for %r), and harden993_binaries has none for %s" % (wanted, system)
    if check:
        cannot = "cannot predict: " + what
        return {"skipped": True, "changed": False, "rolled_back": False, "msg": cannot, "warnings": [cannot]}
    return {
        "failed": True,
        "changed": False,
        "rolled_back": False,
        "msg": what + "; install its package, run the role, or lend a binary",
    }


def failure(said, code, stdout, stderr):
    """The result where the program refused, could not, or did not answer."""
    out = {
        "failed": True,
        # Code 5: changed, and not put back. Truth before form.
        "changed": code == BROKEN,
        "rolled_back": code == PUT_BACK,
    }
    if said is None:
        out["msg"] = "harden993 gave no answer (code %s): %s" % (code, (stderr or stdout).strip())
        return out
    error = said["error"]
    problems = said.get("problems") or []
    lines = [error.get("message") or "harden993 failed"]
    lines += [problem(p) for p in problems if p.get("severity") == "error"]
    if error.get("help"):
        lines.append(error["help"])
    out.update(error=error, problems=problems, msg="\n".join(lines))
    return out


def problem(found):
    """A problem of a profile in one line: where, what, and what to write instead."""
    return _with_help("%(file)s:%(line)s:%(column)s: %(severity)s: %(message)s" % found, found)


def finding(found):
    """What an administrator should know about a host's ruleset in one line: what, which rule, and what to do."""
    rule = ": `%s`" % found["rule"] if found.get("rule") else ""
    return _with_help(found["message"] + rule, found)


def _with_help(text, found):
    return "%s (%s)" % (text, found["help"]) if found.get("help") else text


def _where(question):
    parts = ["port %s" % question.get("port")]
    if question.get("path") == "forwarded":
        parts.append("forwarded")
    if question.get("interface"):
        parts.append("by %s" % question["interface"])
    if question.get("to"):
        parts.append("to %s" % ", ".join(question["to"]))
    return " ".join(parts)


# What becomes of the addresses of each list of an effect: one of them, several.
VERBS = (
    ("gained", "gains access", "gain access"),
    ("lost", "loses access", "lose access"),
    ("limited", "is limited from now on", "are limited from now on"),
    ("unlimited", "is limited no longer", "are limited no longer"),
    ("relimited", "is limited otherwise", "are limited otherwise"),
    ("unknown", "cannot be told", "cannot be told"),
)


def effect_words(effect):
    """The effect in words: one sentence for each list that is not empty."""
    out = []
    for question in effect:
        counts = question.get("counts") or {}
        for name, one, several in VERBS:
            how_many = counts.get(name) or {}
            numbers = [_addresses(int(how_many.get(f) or 0), f) for f in ("ipv4", "ipv6") if int(how_many.get(f) or 0)]
            if not numbers:
                continue
            alone = sum(int(how_many.get(f) or 0) for f in ("ipv4", "ipv6")) == 1
            shown = _some(_networks(question, name))
            out.append("%s: %s %s%s" % (_where(question), " and ".join(numbers), one if alone else several,
                                        " (%s)" % shown if shown else ""))
    return out


def _networks(question, name):
    """One list of an effect; what is unknown is listed by its reason."""
    listed = question.get(name) or []
    if name == "unknown":
        return [network for group in listed for network in group.get("networks") or []]
    return listed


def _addresses(number, family):
    # Nobody reads forty digits.
    many = str(number) if number < 10 ** 12 else "%.1e" % number
    return "%s %s address%s" % (many, {"ipv4": "IPv4", "ipv6": "IPv6"}[family], "" if number == 1 else "es")


def _some(networks):
    more = len(networks) - SHOWN_IN_WORDS
    return ", ".join(networks[:SHOWN_IN_WORDS]) + (", and %d more" % more if more > 0 else "")


def difference(said):
    """What `--diff` shows: who has access before and after as far as it changes, and the rules as the program diffs them."""
    effect = said.get("effect") or []
    return {
        "before_header": "who has access, as far as it changes",
        "after_header": "who has access, as far as it changes",
        "before": _side(effect, "lost"),
        "after": _side(effect, "gained"),
        "prepared": _rules(said.get("text") or "") + "".join("# %s\n" % words for words in said.get("effect_words") or []),
    }


def _rules(text):
    lines = text.splitlines()
    more = len(lines) - SHOWN_RULES
    shown = lines[:SHOWN_RULES] + (["# and %d more lines, which the result holds as `text`" % more] if more > 0 else [])
    return "".join(line + "\n" for line in shown)


def _side(effect, name):
    lines = []
    for question in effect:
        networks = question.get(name) or []
        lines += ["%s: %s" % (_where(question), network) for network in networks[:SHOWN_IN_DIFF]]
        if len(networks) > SHOWN_IN_DIFF:
            lines.append("%s: and %d more networks" % (_where(question), len(networks) - SHOWN_IN_DIFF))
    return "".join(line + "\n" for line in lines)
