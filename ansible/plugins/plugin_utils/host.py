# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A host as the action plugins see it: which program it has, a program lent to it for the time of a task, and how it is run."""

from __future__ import annotations

import posixpath
import shlex

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.mailsec.harden993.plugins.module_utils import answer, program

# Where the program is looked for besides the login's own PATH.
PLACES = "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH"

# One look at a host. Each line starts with its name: a terminal, which a connection may come with, adds lines of its own.
LOOK = """
echo "system $(uname -s)-$(uname -m)"
echo "now $(date -u +%%Y%%m%%dT%%H%%M%%SZ)"
echo "python $(command -v python3 || ls /usr/local/bin/python3* 2>/dev/null | head -n 1)"
echo "program $(command -v %s)"
"""


class Host:
    """One host during one task."""

    def __init__(self, action, task_vars):
        self.action = action
        self.task_vars = task_vars
        self.has_python = True
        # The host's own clock at the start, in the form of the ids of applies.
        self.begun = ""
        self.system = ""
        self.tmp = None

    def find_program(self, wanted):
        """The program to use: the host's own, else a lent one, else None."""
        done = self._shell(PLACES + LOOK % shlex.quote(wanted))
        seen = dict(line.strip().split(" ", 1) for line in done[1].splitlines() if " " in line.strip())
        if "system" not in seen:
            raise AnsibleActionFail("no POSIX shell answers with the rights of this task: %s" % (done[2] or done[1]).strip())
        self.system, self.begun = seen["system"], seen.get("now", "")
        self.has_python = "python" in seen
        return seen.get("program") or self._lend()

    def _lend(self):
        binaries = self.action._templar.template(self.task_vars.get("harden993_binaries") or {})
        if self.system not in binaries:
            return None
        lent = posixpath.join(self._folder(), "harden993")
        source = self.action._find_needle("files", binaries[self.system])
        self.action._transfer_file(source, lent)
        self.action._fixup_perms2((self.tmp, lent))
        return lent

    def _folder(self):
        """A folder of this task on the host."""
        self.tmp = self.tmp or self.action._make_tmp_path()
        return self.tmp

    def execute(self, module, work, params):
        """Runs the module; where the host has no Python, does the module's work by the host's shell."""
        if self.has_python:
            written = {name: value for name, value in params.items() if value is not None}
            return self.action._execute_module(module_name=module, module_args=written, task_vars=self.task_vars)
        folder = self._place(params)
        return work(params, self.action._task.check_mode, lambda words: self.run(words, folder))

    def _place(self, params):
        """Writes the profile and its lists to the host, if there are any; the folder."""
        if params.get("profile") is None:
            return None
        folder = posixpath.join(self._folder(), "profile")
        files = dict(params["lists"], **{program.PROFILE: params["profile"]})
        parents = sorted({posixpath.dirname(posixpath.join(folder, name)) for name in files})
        # The folder belongs to the login, which also transfers the files.
        self.action._low_level_execute_command(shlex.join(["mkdir", "-p"] + parents), sudoable=False)
        sent = [self.action._transfer_data(posixpath.join(folder, name), text) for name, text in files.items()]
        self.action._fixup_perms2([self.tmp, folder] + parents + sent)
        return folder

    def run(self, words, folder=None):
        """Runs a command by the shell alone: (code, stdout, stderr)."""
        # A connection may come with a terminal, and there the program would wait for somebody to press Enter.
        line = shlex.join(words) + " </dev/null"
        if folder:
            line = "cd %s && %s" % (shlex.quote(folder), line)
        return self._shell("%s; LC_ALL=C; export LC_ALL; %s" % (PLACES, line))

    def _shell(self, line):
        """Runs a line of shell, with the rights that the task has."""
        done = self.action._low_level_execute_command("/bin/sh -c %s" % shlex.quote(line), sudoable=True)
        return done["rc"], done.get("stdout", ""), done.get("stderr", "")

    def ask(self, params, words):
        """One question to the program over a connection of its own; None where the host cannot be reached."""
        head = [params["program"], "--format", "json"]
        if params.get("state_dir"):
            head += ["--state-dir", params["state_dir"]]
        try:
            return answer.parse(self.run(head + words)[1])
        except AnsibleConnectionFailure:
            self.reconnect()
            return None

    def reconnect(self):
        """Drops the kept-alive connection: it would pass the firewall as an established one and prove nothing."""
        try:
            self.action._connection.reset()
        except (AnsibleConnectionFailure, AttributeError):
            return

    def clean(self):
        """Takes away what this task left on the host."""
        if self.tmp is None:
            return
        try:
            self.action._remove_tmp_path(self.tmp, force=True)
            self.tmp = None
        except (AnsibleActionFail, AnsibleConnectionFailure):
            # The host cannot be reached; the task says so already.
            return
