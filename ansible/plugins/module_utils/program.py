# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""How a task becomes command lines of harden993, wherever they are run. Knows nothing of firewalls."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import posixpath

from ansible_collections.mailsec.harden993.plugins.module_utils import answer, toml

PROFILE = "profile.toml"


def checked_lists(lists):
    """The list files by name; a name must stay inside the profile's own folder."""
    out = {}
    for name in sorted(lists):
        path = posixpath.normpath(str(name))
        if path in (".", PROFILE) or path.startswith(("/", "../")) or path == ".." or "\x00" in path:
            raise ValueError("lists: %r is no relative path below the profile's folder" % name)
        out[path] = str(lists[name])
    return out


def profile_text(profile):
    """The profile as text, however it was given."""
    if not isinstance(profile, str):
        return toml.profile_text(profile)
    if profile.lstrip().startswith("{"):
        # No TOML begins so. Before ansible-core 2.19 a template turns a mapping that holds a date into its representation.
        raise ValueError('the profile is a mapping that became text; write its days in quotes: expires: "2031-03-31"')
    return profile


def write_profile(folder, profile, lists):
    """Writes the profile and what it names into a folder of the task's own, which the run of the module takes away."""
    files = dict(checked_lists(lists), **{PROFILE: profile_text(profile)})
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as out:
            out.write(content)


def change(params, check, run):
    """The result of what the task asks for. `run` runs words where the profile lies: (code, stdout, stderr)."""
    code, stdout, stderr = run(command(params, check))
    result = answer.result(params, code, stdout, stderr)
    if params["state"] == "present" and "effect_words" in result:
        result["warnings"] += _advice(params, result.get("target"), run)
    return result


def command(params, check):
    """The words of the command that does, or in check mode foretells, what the task asks for."""
    words = _head(params)
    present = params["state"] == "present"
    if not present:
        words += ["remove", "--yes"] + (["--dry-run"] if check else [])
    elif check:
        words += ["diff", "--profile", PROFILE]
    else:
        words += ["apply", "--yes", "--profile", PROFILE]
        if params.get("confirm"):
            words.append("--confirm=%s" % params["confirm"])
        if params.get("cut"):
            words.append("--cut")
    if params.get("target"):
        words += ["--target", params["target"]]
    if params.get("summary"):
        words.append("--summary")
    return words + (_expectations(params) if present else [])


def _expectations(params):
    """An option that is not set is left to the program; an empty list is nobody."""
    words = []
    for key in ("expect_gain", "expect_loss"):
        if params.get(key) is not None:
            words += ["--%s=%s" % (key.replace("_", "-"), network) for network in params[key] or ["none"]]
    return words


def _head(params):
    return [params["program"], "--format", "json"] + (["--state-dir", params["state_dir"]] if params.get("state_dir") else [])


def _advice(params, target, run):
    """What the program's `check` warns of, such as an entry that expires soon."""
    words = _head(params) + ["check", "--profile", PROFILE] + (["--target", target] if target else [])
    said = answer.parse(run(words)[1]) or {}
    return [answer.problem(p) for p in said.get("problems") or [] if p.get("severity") == "warning"]


def info(params, check, run):
    """The program's own answers to the questions of the task, which are the same in check mode."""
    del check
    if "verify" in params["query"] and params["profile"] is None:
        return {"failed": True, "msg": "query=verify needs a profile"}
    answers = {"changed": False}
    for query in params["query"]:
        code, stdout, stderr = run(question(params, query))
        said = answer.parse(stdout)
        if said is None or "error" in said:
            return answer.failure(said, code, stdout, stderr)
        answers[query] = answer.without_schema(said)
    return answers


def question(params, query):
    """The words of the command that answers a question."""
    more = {"status": [], "reach": ["--port=%s" % params["port"]], "verify": ["--profile", PROFILE]}
    # A status has no lists to leave out.
    short = ["--summary"] if params.get("summary") and query != "status" else []
    return _head(params) + [query] + more[query] + short
