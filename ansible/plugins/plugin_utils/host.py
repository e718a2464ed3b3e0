# Copyright: The harden993 authors
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A host as the action plugins see it: which program it has, and a program lent to it for the time of a task."""

from __future__ import annotations

import posixpath
import shlex

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.mailsec.harden993.plugins.module_utils import program

# Where the program is looked for besides the login's own PATH.
PLACES = "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH"


class Host:
    """One host during one task."""

    def __init__(self, action, task_vars):
        self.action = action
        self.binaries = action._templar.template(task_vars.get("harden993_binaries") or {})
        self.has_python = True
        self.tmp = None

    def run(self, words, folder=None):
        """Runs a command by the shell alone: (code, stdout, stderr)."""
        # A connection may come with a terminal, and there the program would wait for somebody to press Enter.
        line = " ".join(shlex.quote(w) for w in words) + " </dev/null"
        if folder:
            line = "cd %s && %s" % (shlex.quote(folder), line)
        return self.shell("%s; LC_ALL=C; export LC_ALL; %s" % (PLACES, line))

    def shell(self, line):
        """Runs a line of shell, with the rights that the task has."""
        done = self.action._low_level_execute_command("/bin/sh -c %s" % shlex.quote(line), sudoable=True)
        return done["rc"], done.get("stdout", ""), done.get("stderr", "")

    def find_program(self, wanted):
        """The program to use: the host's own, else a lent one. Looks only where there is one to lend."""
        if not self.binaries:
            return wanted
        seen = self.shell(
            "%s; uname -s -m; command -v %s || echo; command -v python3 || ls /usr/local/bin/python3* 2>/dev/null || echo"
            % (PLACES, shlex.quote(wanted))
        )[1].splitlines()
        system = "-".join(seen[0].split()) if seen else ""
        self.has_python = len(seen) > 2 and bool(seen[2].strip())
        if len(seen) > 1 and seen[1].strip():
            return seen[1].strip()
        if system not in self.binaries:
            return wanted
        self.tmp = self.tmp or self.action._make_tmp_path()
        lent = self.action._connection._shell.join_path(self.tmp, "harden993")
        source = self.action._find_needle("files", self.binaries[system])
        self.action._transfer_file(source, lent)
        self.action._fixup_perms2((self.tmp, lent))
        return lent

    def run_without_python(self, arguments, check):
        """What the module does, by the shell alone."""
        folder = None
        if arguments["state"] == "present":
            self.tmp = self.tmp or self.action._make_tmp_path()
            folder = posixpath.join(self.tmp, "profile")
            files = dict(arguments["lists"], **{program.PROFILE: arguments["profile"]})
            parents = sorted({posixpath.dirname(posixpath.join(folder, name)) for name in files})
            self.run(["mkdir", "-p"] + parents)
            sent = [self.action._transfer_data(posixpath.join(folder, name), text) for name, text in files.items()]
            self.action._fixup_perms2([self.tmp, folder] + parents + sent)
        code, stdout, stderr = self.run(program.command(arguments, check), folder)
        return program.result(arguments, check, code, stdout, stderr)

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
