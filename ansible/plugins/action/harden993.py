# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The controller's part of the module harden993: the profile as text, a lent program, and the confirmation."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.mailsec.harden993.plugins.module_utils import answer, arguments, program
from ansible_collections.mailsec.harden993.plugins.plugin_utils import confirmation, profiles
from ansible_collections.mailsec.harden993.plugins.plugin_utils.host import Host


class ActionModule(ActionBase):
    """Runs the module on the host and stays until its change is confirmed or known to be put back."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Does the task on one host."""
        result = super().run(tmp, task_vars)
        _validation, params = self.validate_argument_spec(arguments.CHANGE, required_if=arguments.CHANGE_REQUIRED_IF)
        try:
            params, written = profiles.complete(params, lambda path: self._find_needle("files", path))
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        host = Host(self, task_vars or {})
        try:
            result.update(self._change(host, params))
        finally:
            host.clean()
        result.pop("token", None)
        result["rendered"] = written
        return result

    def _change(self, host, params):
        check = self._task.check_mode
        wanted = params["program"]
        params["program"] = host.find_program(wanted)
        if params["program"] is None:
            return answer.missing(wanted, host.system, check)
        try:
            said = host.execute("mailsec.harden993.harden993", program.change, params)
        except AnsibleConnectionFailure:
            if check or not params["confirm"] or params["state"] == "absent":
                raise
            return confirmation.cut_off(host, params)
        if self._task.diff and "effect" in said and not said.get("failed"):
            said["diff"] = answer.difference(said)
        if said.get("stage") == "waiting" and said.get("token"):
            return confirmation.confirm(host, params, said)
        return said
