# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""How a task becomes a command line of harden993, and its JSON the task's result. Knows nothing of firewalls."""

from __future__ import absolute_import, division, print_function
from __future__ import annotations

__metaclass__ = type

import json
import os
import posixpath

from ansible_collections.mailsec.harden993.plugins.module_utils import toml

PROFILE = "profile.toml"

# Exit codes of the program, as its documentation has them.
CLEAN, DIFFERENCE = 0, 1
PUT_BACK, BROKEN = 4, 5
MISSING = 127

# So many networks of one list are shown in a diff; the result holds all of them.
SHOWN = 20


def checked_lists(lists):
    """The list files by name; a name must stay inside the profile's own folder."""
    out = {}
    for name in sorted(lists or {}):
        path = posixpath.normpath(str(name))
        if path in (".", PROFILE) or path.startswith(("/", "../")) or path == ".." or "\x00" in path:
            raise ValueError("lists: %r is no relative path below the profile's folder" % name)
        out[path] = str(lists[name])
    return out


def write_profile(folder, profile, lists):
    """Writes the profile and what it names into a folder of the task's own, which the run of the module takes away."""
    text = profile if isinstance(profile, str) else toml.profile_text(profile)
    files = dict(checked_lists(lists), **{PROFILE: text})
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as out:
            out.write(content)


def command(params, check):
    """The words of the command that does, or in check mode foretells, what the task asks for."""
    words = [params["program"], "--format", "json"]
    if params.get("state_dir"):
        words += ["--state-dir", params["state_dir"]]
    present = params["state"] == "present"
    if not present:
        words += ["remove", "--yes"] + (["--dry-run"] if check else [])
    elif check:
        words += ["diff", "--profile", PROFILE]
    else:
        words += ["apply", "--yes", "--profile", PROFILE]
        if params.get("confirm"):
            words += ["--confirm", str(params["confirm"])]
        if params.get("cut"):
            words += ["--cut"]
    if params.get("target"):
        words += ["--target", params["target"]]
    if params.get("summary"):
        words += ["--summary"]
    if present:
        for key in ("expect_gain", "expect_loss"):
            networks = params.get(key)
            if networks is not None:
                for network in networks or ["none"]:
                    words += ["--" + key.replace("_", "-"), str(network)]
    return words


def parse(stdout):
    """The one JSON object of an answer, or None. On a terminal, which connections may ask for, remarks stand before it."""
    for text in [stdout] + [line for line in stdout.splitlines() if line.startswith("{")][-1:]:
        try:
            answer = json.loads(text)
        except ValueError:
            continue
        if isinstance(answer, dict):
            return answer
    return None


def result(params, check, code, stdout, stderr):
    """The task's result. `changed` comes from the program's answer alone, which looked at the live ruleset."""
    answer = parse(stdout)
    if answer is None:
        return _no_answer(params, check, code, stdout, stderr)
    if "error" in answer:
        return _failure(answer, code)
    out = {k: v for k, v in answer.items() if k != "schema"}
    out["effect_words"] = effect_words(out.get("effect") or [])
    if code == DIFFERENCE and _expects(params):
        # What was asked for stopped it before anything was loaded.
        out.update(
            failed=True,
            changed=False,
            rolled_back=False,
            msg="stopped, nothing was changed: the effect is not the one of expect_gain and expect_loss. %s"
            % ("; ".join(out["effect_words"]) or "Nobody gains or loses access."),
        )
        return out
    if code not in (CLEAN, DIFFERENCE):
        out.update(failed=True, changed=False, msg="harden993 ended with code %s: %s" % (code, stderr.strip()))
        return out
    out["msg"] = "; ".join(out["effect_words"])
    out["rolled_back"] = False
    return out


def _expects(params):
    return params["state"] == "present" and any(params.get(k) is not None for k in ("expect_gain", "expect_loss"))


def missing(params, check):
    """The result where the program is not installed."""
    what = "harden993 is not installed here (looked for %r)" % params["program"]
    if check:
        return {"skipped": True, "changed": False, "msg": "cannot predict: " + what}
    return {
        "failed": True,
        "changed": False,
        "msg": what + "; install its package, run the role, or set harden993_binaries",
    }


def _no_answer(params, check, code, stdout, stderr):
    if code == MISSING:
        return missing(params, check)
    said = (stderr or stdout).strip()
    return {"failed": True, "changed": False, "msg": "harden993 gave no answer (code %s): %s" % (code, said)}


def _failure(answer, code):
    error = answer["error"]
    problems = answer.get("problems") or []
    lines = [error.get("message") or "harden993 failed"]
    lines += [
        "%s:%s:%s: %s: %s%s"
        % (p["file"], p["line"], p["column"], p["severity"], p["message"], " (%s)" % p["help"] if p.get("help") else "")
        for p in problems
        if p.get("severity") == "error"
    ]
    if error.get("help"):
        lines.append(error["help"])
    return {
        "failed": True,
        # Code 5: changed, and not put back. Truth before form.
        "changed": code == BROKEN,
        "rolled_back": code == PUT_BACK,
        "error": error,
        "problems": problems,
        "msg": "\n".join(lines),
    }


def _where(question):
    parts = ["port %s" % question.get("port")]
    if question.get("path") == "forwarded":
        parts.append("forwarded")
    if question.get("interface"):
        parts.append("by %s" % question["interface"])
    return " ".join(parts)


def effect_words(effect):
    """The effect in words: one sentence for each list that is not empty."""
    out = []
    verbs = (("gained", "gains access"), ("lost", "loses access"), ("limited", "is limited from now on"),
             ("unlimited", "is limited no longer"), ("relimited", "is limited otherwise"))
    for question in effect:
        for name, verb in verbs:
            counts = (question.get("counts") or {}).get(name) or {}
            numbers = [
                "%s %s" % (counts[family], word)
                for family, word in (("ipv4", "IPv4 addresses"), ("ipv6", "IPv6 addresses"))
                if str(counts.get(family, "0")) != "0"
            ]
            networks = question.get(name) or []
            if not numbers and not networks:
                continue
            shown = ", ".join(networks[:5]) + (", and %d more" % (len(networks) - 5) if len(networks) > 5 else "")
            out.append("%s: %s %s%s" % (_where(question), " and ".join(numbers) or shown, verb,
                                        " (%s)" % shown if shown and numbers else ""))
    return out


def difference(answer):
    """What `--diff` shows: who has access before and after as far as it changes, and the rules as the program diffs them."""
    sides = {"before": [], "after": []}
    for question in answer.get("effect") or []:
        for name, side in (("lost", "before"), ("gained", "after")):
            networks = question.get(name) or []
            sides[side] += ["%s: %s" % (_where(question), network) for network in networks[:SHOWN]]
            if len(networks) > SHOWN:
                sides[side].append("%s: and %d more networks" % (_where(question), len(networks) - SHOWN))
    prepared = answer.get("text") or ""
    words = answer.get("effect_words") or []
    if words:
        prepared = prepared.rstrip("\n") + "\n" + "".join("# %s\n" % w for w in words)
    return {
        "before_header": "who has access (before)",
        "after_header": "who has access (after)",
        "before": "".join(line + "\n" for line in sides["before"]),
        "after": "".join(line + "\n" for line in sides["after"]),
        "prepared": prepared,
    }
