# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The controller's part of the module harden993: the profile as text, a lent program, and the confirmation."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.mailsec.harden993.plugins.module_utils import program
from ansible_collections.mailsec.harden993.plugins.plugin_utils import confirmation, profiles
from ansible_collections.mailsec.harden993.plugins.plugin_utils.host import Host


class ActionModule(ActionBase):
    """Runs the module on the host and stays until its change is confirmed or known to be put back."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Does the task on one host."""
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        try:
            arguments, written = profiles.complete(self._task.args, lambda path: self._find_needle("files", path))
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        host = Host(self, task_vars)
        try:
            answer = self._change(host, arguments, task_vars)
        finally:
            host.clean()
        answer.pop("token", None)
        if "profile" in arguments:
            answer["rendered"] = written
        result.update(answer)
        return result

    def _change(self, host, arguments, task_vars):
        check = self._task.check_mode
        arguments["program"] = host.find_program(arguments.get("program") or "harden993")
        full = dict({"state": "present", "confirm": 60}, **arguments)
        seconds = int(full["confirm"] or 0)
        try:
            answer = self._answer(host, arguments, full, check, task_vars)
        except AnsibleConnectionFailure:
            if check or not seconds or full["state"] != "present":
                raise
            # The rules may have cut the very connection that loaded them.
            confirmation.fresh(host)
            return confirmation.what_became(host, full, {"changed": True}, seconds + confirmation.GRACE)
        if answer.get("stage") == "waiting" and answer.get("token") and not answer.get("failed"):
            answer = confirmation.confirm(host, full, answer, seconds)
            if answer.get("failed"):
                answer.pop("diff", None)
        return answer

    def _answer(self, host, arguments, full, check, task_vars):
        if host.has_python:
            return self._execute_module(
                module_name="mailsec.harden993.harden993", module_args=arguments, task_vars=task_vars
            )
        if full["state"] == "present" and not full.get("profile"):
            raise AnsibleActionFail("state=present needs a profile")
        answer = host.run_without_python(full, check)
        if self._task.diff and not answer.get("failed") and not answer.get("skipped"):
            answer["diff"] = program.difference(answer)
        return answer
