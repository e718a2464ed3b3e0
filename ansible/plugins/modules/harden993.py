#!/usr/bin/python
# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Brings one host to a profile of who may reach IMAPS, or takes our rules away."""

from __future__ import absolute_import, division, print_function
from __future__ import annotations

__metaclass__ = type

DOCUMENTATION = r"""
---
module: harden993
short_description: Make a host's firewall enforce a profile of who may reach IMAPS
version_added: 0.1.0
description:
  - Loads the rules of one profile (who may reach TCP 993) into the firewall of a host, as a whole or not at all, and touches
    nothing that others own there.
  - The rules are loaded with a guardian that puts the old ones back. This task then opens a fresh connection and confirms.
    A host that cannot be reached again restores itself and is reported as failed.
  - C(changed) is true exactly when the live ruleset changes, whoever changed it last.
  - Runs on Linux, FreeBSD and OpenBSD. For Windows see the role C(mailsec.harden993.harden993).
author:
  - The harden993 authors (@harden993)
options:
  profile:
    description:
      - The profile, as TOML text or as a mapping. Required with O(state=present).
      - In a mapping C(trusted) and C(blocked) may be dictionaries keyed by the entry's name, so that layers of variables merge;
        an entry or a key that is null is left out, and C(schema) is 1 unless it is written.
      - It is never a path on the host, so that a check run can foretell what a host will do that holds nothing yet.
    type: raw
  lists:
    description:
      - List files and included profiles, as name to text. The names are the relative paths that the profile uses.
    type: dict
    default: {}
  list_files:
    description:
      - The same, as name to path of a file on the controller. Use it for large lists, which then never pass through templating.
    type: dict
    default: {}
  state:
    description:
      - V(present) loads the profile's rules, V(absent) takes all rules of harden993 away and leaves everybody else's.
    type: str
    choices: [present, absent]
    default: present
  target:
    description:
      - The firewall. Without it, the one that holds our rules already, else the one that fits the host.
    type: str
    choices: [nftables, iptables, pf]
  confirm:
    description:
      - Seconds until the host puts the old rules back unless this task reaches it over a fresh connection.
      - V(0) loads without a guardian.
    type: int
    default: 60
  expect_gain:
    description:
      - Networks that are to gain access, and no others. An empty list is nobody. With O(expect_loss) unset, nobody may lose any.
      - Any other effect stops the task before the load.
    type: list
    elements: str
  expect_loss:
    description:
      - Networks that are to lose access, and no others. An empty list is nobody. With O(expect_gain) unset, nobody may gain any.
    type: list
    elements: str
  cut:
    description:
      - Also end the open connections of addresses that lose access, once the rules are confirmed.
    type: bool
    default: false
  summary:
    description:
      - Leave the lists of networks out of the result and keep their counts.
    type: bool
    default: false
  program:
    description:
      - The program on the host.
    type: str
    default: harden993
  state_dir:
    description:
      - Where the program keeps the confirmed state. Without it, the program's own default.
    type: path
attributes:
  check_mode:
    support: full
    description: Can run in check mode and foretell the change, its effect and its rules, from the live ruleset.
  diff_mode:
    support: full
    description: Shows who gains and loses access, and the rules as a diff without order, counters and handles.
notes:
  - "The variable C(harden993_binaries) (a mapping such as C(Linux-x86_64) to the path of a static binary on the controller)
    lends a host the program for the time of the task where it is not installed. It also serves hosts without Python. Rules
    that a lent program loaded do not come back at boot by themselves."
  - Keep O(confirm) well above the connection timeout of Ansible.
  - Asynchronous tasks are not supported, because the confirmation must come over a connection of its own.
seealso:
  - module: mailsec.harden993.harden993_info
"""

EXAMPLES = r"""
- name: The office may read mail
  mailsec.harden993.harden993:
    profile:
      name: office-mail
      service:
        plaintext_imap: close
      trusted:
        berlin:
          networks: [198.51.100.0/24, "2001:db8:10::/48"]
        monitoring:
          networks: [203.0.113.7]

- name: A profile in a file, with a large list that never passes through templating
  mailsec.harden993.harden993:
    profile: "{{ lookup('ansible.builtin.file', 'customers.toml') }}"
    list_files:
      lists/customers.txt: "{{ playbook_dir }}/lists/customers.txt"
    summary: true

- name: Nobody may lose access by this change
  mailsec.harden993.harden993:
    profile: "{{ lookup('ansible.builtin.file', 'office.toml') }}"
    expect_gain: [203.0.113.7]
    expect_loss: []

- name: Take everything of harden993 away
  mailsec.harden993.harden993:
    state: absent
"""

RETURN = r"""
target:
  description: The firewall.
  returned: success
  type: str
  sample: nftables
digest:
  description: The digest of the policy, as it stands in the loaded rules.
  returned: when a profile was given
  type: str
effect:
  description: Who gains, loses or keeps access, for each question (port, path, interface), other people's rules included.
  returned: success
  type: list
  elements: dict
effect_words:
  description: The same in words.
  returned: success
  type: list
  elements: str
  sample: ["port 993: 1 IPv4 addresses gains access (203.0.113.7)"]
findings:
  description: What an administrator should know about this host's ruleset.
  returned: success
  type: list
  elements: dict
id:
  description: The id of this apply, to go back behind it with C(harden993 rollback --to).
  returned: when rules were loaded
  type: str
previous:
  description: The id of the apply before it.
  returned: when rules were loaded
  type: str
stage:
  description: How far the change came.
  returned: when not in check mode
  type: str
  sample: kept
rolled_back:
  description: Whether the host put its old rules back. Null if the host could not be asked.
  returned: always
  type: bool
rendered:
  description: Whether this host's task wrote the profile as TOML on the controller. Once for each distinct profile of a run.
  returned: when a profile was given
  type: bool
text:
  description: The rules as a unified diff.
  returned: success
  type: str
problems:
  description: What is wrong with the profile, each with file, line and column.
  returned: when the profile is refused
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.mailsec.harden993.plugins.module_utils import program

ARGUMENTS = {
    "profile": {"type": "raw"},
    "lists": {"type": "dict", "default": {}},
    "list_files": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "target": {"type": "str", "choices": ["nftables", "iptables", "pf"]},
    "confirm": {"type": "int", "default": 60},
    "expect_gain": {"type": "list", "elements": "str"},
    "expect_loss": {"type": "list", "elements": "str"},
    "cut": {"type": "bool", "default": False},
    "summary": {"type": "bool", "default": False},
    "program": {"type": "str", "default": "harden993"},
    "state_dir": {"type": "path"},
}


def main():
    """Runs the program once and hands its answer on."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "present", ["profile"])],
    )
    params = module.params
    found = module.get_bin_path(params["program"], opt_dirs=["/usr/local/bin", "/usr/local/sbin"])
    if found is None:
        module.exit_json(**program.missing(params, module.check_mode))
    folder = module.tmpdir
    if params["state"] == "present":
        try:
            program.write_profile(folder, params["profile"], params["lists"])
        except ValueError as error:
            module.fail_json(msg=str(error), changed=False)
    words = program.command(dict(params, program=found), module.check_mode)
    code, stdout, stderr = module.run_command(words, cwd=folder, environ_update={"LC_ALL": "C"})
    result = program.result(params, module.check_mode, code, stdout, stderr)
    if module._diff and not result.get("failed"):
        result["diff"] = program.difference(result)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
