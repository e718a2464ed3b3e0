#!/usr/bin/python
# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Brings one host to a profile of who may reach IMAPS, or takes our rules away."""

from __future__ import absolute_import, division, print_function

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
options:
  state:
    description:
      - V(present) loads the profile's rules and needs O(profile). V(absent) takes all rules of harden993 away and leaves
        everybody else's.
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
      - V(0) loads without a guardian. O(state=absent) needs none, since taking our rules away locks nobody out.
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
attributes:
  check_mode:
    support: full
    description: Can run in check mode and foretell the change, its effect and its rules, from the live ruleset.
  diff_mode:
    support: full
    description: Shows who gains and loses access, and the rules as a diff without order, counters and handles.
notes:
  - Keep O(confirm) well above the connection timeout of Ansible.
  - Asynchronous tasks are not supported, because the confirmation must come over a connection of its own.
  - What the program warns of in a profile, such as an entry that expires soon, and what it finds in the host's ruleset, is shown
    as warnings of the task. A profile that names a warning under C(check.allow) has considered it.
seealso:
  - module: mailsec.harden993.harden993_info
extends_documentation_fragment:
  - mailsec.harden993.profile
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
  sample: ["port 993: 1 IPv4 address gains access (203.0.113.7)"]
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
  description: Whether this host's task wrote a mapping as TOML on the controller. Once for each distinct profile of a run.
  returned: always
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

from ansible_collections.mailsec.harden993.plugins.module_utils import arguments, program


def main():
    """Runs the program where the profile lies, and hands its answer on."""
    module = AnsibleModule(
        argument_spec=arguments.CHANGE,
        required_if=arguments.CHANGE_REQUIRED_IF,
        supports_check_mode=True,
    )
    params = module.params
    folder = module.tmpdir
    if params["state"] == "present":
        program.write_profile(folder, params["profile"], params["lists"])

    def run(words):
        return module.run_command(words, cwd=folder, environ_update={"LC_ALL": "C"})

    result = program.change(params, module.check_mode, run)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
