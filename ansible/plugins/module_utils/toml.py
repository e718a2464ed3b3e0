# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes a mapping as the TOML text of a profile; same mapping, same bytes."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import datetime
import json
import re

# Tables that users write as a dictionary keyed by the entry's name, so that layers of variables merge.
KEYED = ("trusted", "blocked")
BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def profile_text(mapping):
    """The profile as TOML. An entry or key whose value is null is left out: a layer takes away what a wider one gave."""
    if not isinstance(mapping, dict):
        raise ValueError("a profile is a mapping or text, and this is neither")
    whole = {"schema": 1}
    whole.update(mapping)
    for name in KEYED:
        if isinstance(whole.get(name), dict):
            whole[name] = _entries(name, whole[name])
    lines = []
    _table(lines, (), whole)
    return "\n".join(lines) + "\n"


def _entries(table, entries):
    out = []
    for name in sorted(entries):
        entry = entries[name]
        if entry is None:
            continue
        if not isinstance(entry, dict):
            raise ValueError("%s.%s is a mapping with networks, file or via" % (table, name))
        out.append(dict({"name": str(name)}, **entry))
    return out


def _is_tables(value):
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _table(lines, path, mapping):
    """Values first, then tables: what TOML asks for."""
    items = [(str(k), mapping[k]) for k in sorted(mapping, key=str) if mapping[k] is not None]
    for key, value in items:
        if not isinstance(value, dict) and not _is_tables(value):
            lines.append("%s = %s" % (_key(key), _value(key, value)))
    for key, value in items:
        below = path + (key,)
        name = ".".join(_key(k) for k in below)
        if isinstance(value, dict):
            lines.extend(["", "[%s]" % name])
            _table(lines, below, value)
        elif _is_tables(value):
            for one in value:
                lines.extend(["", "[[%s]]" % name])
                _table(lines, below, one)


def _key(key):
    return key if BARE.match(key) else _string(key)


def _string(text):
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped and JSON does not.
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(key, value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()[:10]
    if isinstance(value, list):
        return "[%s]" % ", ".join(_value(key, v) for v in value)
    # A date that came through JSON is text; TOML has dates of its own.
    if key == "expires" and DAY.match(str(value)):
        return str(value)
    return _string(value)
