# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes profiles as TOML on the controller, once for each distinct profile of a run, whatever number of hosts share it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os

from ansible import constants
from ansible_collections.mailsec.harden993.plugins.module_utils import program, toml


def _folder():
    """The controller's temporary folder of this run: shared by its forks, and removed at its end."""
    folder = os.path.join(constants.DEFAULT_LOCAL_TMP, "harden993")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def once(mapping):
    """The profile's text, and whether this very call wrote it."""
    plain = json.dumps(mapping, sort_keys=True, ensure_ascii=False, default=str)
    path = os.path.join(_folder(), hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest() + ".toml")
    # The first fork writes while the others wait, so that the work is done once.
    with open(path + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as done:
                return done.read(), False
        text = toml.profile_text(mapping)
        with open(path + ".part", "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(path + ".part", path)
        return text, True


def complete(params, find):
    """The options with the profile as text and the controller's files as lists; `find` gives the path of a file. Also whether
    this very call wrote the text."""
    out = dict(params, list_files={})
    written = False
    if isinstance(out["profile"], dict):
        out["profile"], written = once(out["profile"])
    elif out["profile"] is not None:
        out["profile"] = program.profile_text(out["profile"])
    lists = dict(out["lists"])
    for name, path in params["list_files"].items():
        if name in lists:
            raise ValueError("%r is in lists and in list_files" % name)
        lists[name] = _content(find(path))
    out["lists"] = program.checked_lists(lists)
    return out, written


def _content(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError("%s is no UTF-8 text: %s" % (path, error)) from error
