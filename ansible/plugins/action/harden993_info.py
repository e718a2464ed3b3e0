# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The controller's part of the module harden993_info: the profile as text, and a lent program."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.mailsec.harden993.plugins.plugin_utils import profiles
from ansible_collections.mailsec.harden993.plugins.plugin_utils.host import Host


class ActionModule(ActionBase):
    """Asks one host, with the host's own program or a lent one."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Does the task on one host."""
        result = super().run(tmp, task_vars)
        try:
            arguments, _written = profiles.complete(self._task.args, lambda path: self._find_needle("files", path))
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        host = Host(self, task_vars or {})
        try:
            arguments["program"] = host.find_program(arguments.get("program") or "harden993")
            result.update(
                self._execute_module(
                    module_name="mailsec.harden993.harden993_info", module_args=arguments, task_vars=task_vars
                )
            )
        finally:
            host.clean()
        return result
