#!/usr/bin/python
# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads who can reach a port of a host, whether its rules hold, and its state; changes nothing."""

from __future__ import absolute_import, division, print_function
from __future__ import annotations

__metaclass__ = type

DOCUMENTATION = r"""
---
module: harden993_info
short_description: Ask a host who can reach IMAPS, and whether its rules hold
version_added: 0.1.0
description:
  - Reads and changes nothing. Answers are the program's own objects.
author:
  - The harden993 authors (@harden993)
options:
  query:
    description:
      - What to ask. V(status) is what is loaded and whether it is as confirmed; V(reach) is who can open a connection, whoever
        wrote the rules; V(verify) is whether that is what the profile says.
    type: list
    elements: str
    choices: [status, reach, verify]
    default: [status]
  profile:
    description:
      - The profile for V(verify), as TOML text or as a mapping. Required there.
    type: raw
  lists:
    description:
      - List files and included profiles, as name to text.
    type: dict
    default: {}
  list_files:
    description:
      - The same, as name to path of a file on the controller.
    type: dict
    default: {}
  port:
    description:
      - The port that V(reach) asks about.
    type: int
    default: 993
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
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to compare.
seealso:
  - module: mailsec.harden993.harden993
"""

EXAMPLES = r"""
- name: Who can reach IMAPS
  mailsec.harden993.harden993_info:
    query: [reach, status]
  register: mail

- name: Say it
  ansible.builtin.debug:
    var: mail.reach.questions
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

from ansible_collections.mailsec.harden993.plugins.module_utils import program


def main():
    """Asks each question once."""
    module = AnsibleModule(
        argument_spec={
            "query": {
                "type": "list",
                "elements": "str",
                "choices": ["status", "reach", "verify"],
                "default": ["status"],
            },
            "profile": {"type": "raw"},
            "lists": {"type": "dict", "default": {}},
            "list_files": {"type": "dict", "default": {}},
            "port": {"type": "int", "default": 993},
            "program": {"type": "str", "default": "harden993"},
            "state_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    found = module.get_bin_path(params["program"], opt_dirs=["/usr/local/bin", "/usr/local/sbin"])
    if found is None:
        module.exit_json(**program.missing(params, module.check_mode))
    folder = module.tmpdir
    more = {"status": [], "reach": ["--port", str(params["port"])], "verify": ["--profile", program.PROFILE]}
    if "verify" in params["query"]:
        if params["profile"] is None:
            module.fail_json(msg="query=verify needs a profile")
        try:
            program.write_profile(folder, params["profile"], params["lists"])
        except ValueError as error:
            module.fail_json(msg=str(error))
    head = [found, "--format", "json"] + (["--state-dir", params["state_dir"]] if params["state_dir"] else [])
    answers = {}
    for query in params["query"]:
        code, stdout, stderr = module.run_command(
            head + [query] + more[query], cwd=folder, environ_update={"LC_ALL": "C"}
        )
        answer = program.parse(stdout)
        if answer is None or "error" in answer:
            module.fail_json(**program.result({"program": found, "state": "present"}, True, code, stdout, stderr))
        answers[query] = {k: v for k, v in answer.items() if k != "schema"}
    module.exit_json(changed=False, **answers)


if __name__ == "__main__":
    main()
