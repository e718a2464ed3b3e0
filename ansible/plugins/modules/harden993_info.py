#!/usr/bin/python
# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads who can reach a port of a host, whether its rules hold, and its state; changes nothing."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: harden993_info
short_description: Ask a host who can reach IMAPS, and whether its rules hold
version_added: 0.1.0
description:
  - Reads and changes nothing. Answers are the program's own objects.
options:
  query:
    description:
      - What to ask. V(status) is what is loaded and whether it is as confirmed; V(reach) is who can open a connection, whoever
        wrote the rules; V(verify) is whether that is what the profile says, and needs O(profile).
    type: list
    elements: str
    choices: [status, reach, verify]
    default: [status]
  port:
    description:
      - The port that V(reach) asks about.
    type: int
    default: 993
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to compare.
seealso:
  - module: mailsec.harden993.harden993
extends_documentation_fragment:
  - mailsec.harden993.profile
"""

EXAMPLES = r"""
- name: Who can reach IMAPS
  mailsec.harden993.harden993_info:
    query: [reach, status]
  register: mail

- name: Say it
  ansible.builtin.debug:
    var: mail.reach.questions

- name: Whether each host does what the profile says, without lists of networks
  mailsec.harden993.harden993_info:
    query: [verify]
    profile: "{{ lookup('ansible.builtin.file', 'office.toml') }}"
    summary: true
"""

RETURN = r"""
status:
  description: The answer of C(harden993 status).
  returned: when asked for
  type: dict
reach:
  description: The answer of C(harden993 reach).
  returned: when asked for
  type: dict
verify:
  description: The answer of C(harden993 verify); C(holds) says whether all is as the profile says.
  returned: when asked for
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.mailsec.harden993.plugins.module_utils import arguments, program


def main():
    """Asks each question once."""
    module = AnsibleModule(argument_spec=arguments.INFO, supports_check_mode=True)
    params = module.params
    folder = module.tmpdir
    if params["profile"] is not None:
        program.write_profile(folder, params["profile"], params["lists"])

    def run(words):
        return module.run_command(words, cwd=folder, environ_update={"LC_ALL": "C"})

    result = program.info(params, module.check_mode, run)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
