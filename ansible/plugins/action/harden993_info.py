# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The controller's part of the module harden993_info: the profile as text, and a lent program."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.mailsec.harden993.plugins.module_utils import answer, arguments, program
from ansible_collections.mailsec.harden993.plugins.plugin_utils import profiles
from ansible_collections.mailsec.harden993.plugins.plugin_utils.host import Host


class ActionModule(ActionBase):
    """Asks one host, with the host's own program or a lent one."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Does the task on one host."""
        result = super().run(tmp, task_vars)
        _validation, params = self.validate_argument_spec(arguments.INFO)
        try:
            params, _written = profiles.complete(params, lambda path: self._find_needle("files", path))
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        host = Host(self, task_vars or {})
        try:
            result.update(self._ask(host, params))
        finally:
            host.clean()
        return result

    def _ask(self, host, params):
        wanted = params["program"]
        params["program"] = host.find_program(wanted)
        if params["program"] is None:
            return answer.missing(wanted, host.system, self._task.check_mode)
        return host.execute("mailsec.harden993.harden993_info", program.info, params)
