# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Stands in for ansible.windows.win_powershell in the recorded run: takes its options, and holds a script to what it promises."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

# Without the first, check mode skips the script; without the others, every run counts as changed and shows no diff.
PROMISES = ("SupportsShouldProcess", "$PSCmdlet.ShouldProcess(", "$Ansible.Changed = ", "$Ansible.Diff = ")


def main():
    """Says that all would change, as on a host without our rules."""
    module = AnsibleModule(
        argument_spec={"script": {"type": "str", "required": True}, "depth": {"type": "int", "default": 2}},
        supports_check_mode=True,
    )
    script = module.params["script"]
    missing = [promise for promise in PROMISES if promise not in script]
    if missing or not module.check_mode:
        module.fail_json(msg="a script without %s, or no check run" % missing)
    module.exit_json(changed=True, removes="Remove-NetFirewallRule" in script, creates="New-NetFirewallRule" in script)


if __name__ == "__main__":
    main()
