# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The filter profile_toml: a mapping as the TOML text of a profile."""

from __future__ import annotations

DOCUMENTATION = r"""
name: profile_toml
short_description: Write a mapping as the TOML text of a profile
version_added: 0.1.0
description:
  - Writes a profile as M(mailsec.harden993.harden993) does, sorted, so that the same mapping gives the same bytes.
options:
  _input:
    description: The profile as a mapping.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Keep the profile for people and for the program's other commands
  ansible.builtin.copy:
    content: "{{ mail_profile | mailsec.harden993.profile_toml }}"
    dest: /etc/harden993/profile.toml
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.mailsec.harden993.plugins.module_utils.toml import profile_text


def profile_toml(mapping):
    """The filter."""
    try:
        return profile_text(mapping)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible asks for."""

    def filters(self):
        """The filters of this file."""
        return {"profile_toml": profile_toml}
