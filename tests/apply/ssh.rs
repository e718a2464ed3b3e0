//! The guardian over a real SSH connection: a profile that cuts the very connection it is applied over is undone in time.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::guardian::until;
use crate::lab::{HOST4, Lab, inside, privileged, require, run, try_run};
use crate::machine::{Backend, Machine};
use crate::restore::guardian_of;

/// The administrator, far away.
const CALLER: &str = "198.51.100.7";

/// A mail server with an SSH server, and an administrator who can only come by that.
struct Remote {
    lab: Lab,
    machine: Machine,
    server: Child,
}

impl Remote {
    fn new(backend: Backend) -> Self {
        let lab = Lab::new(&["eth0"]);
        lab.clients.ip(&format!("addr add {CALLER}/32 dev lo\n"));
        let machine = Machine::new(backend);
        for key in ["host", "user"] {
            let file = machine.path(key).display().to_string();
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &file], "");
        }
        let mut config = String::new();
        for (key, file) in [("HostKey", "host"), ("AuthorizedKeysFile", "user.pub"), ("PidFile", "sshd.pid")] {
            // Writing to a String cannot fail.
            let _ = writeln!(config, "{key} {}", machine.path(file).display());
        }
        config.push_str("ListenAddress 0.0.0.0:22\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n");
        std::fs::write(machine.path("sshd_config"), config).expect("the configuration is written");
        // What it gives up its rights into.
        std::fs::create_dir_all("/run/sshd").expect("its folder is made");
        let server = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(machine.path("sshd_config"))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(machine.path("sshd.log")).expect("a log"))
            .spawn()
            .expect("sshd starts");
        let remote = Self { lab, machine, server };
        until("the SSH server", || remote.log().contains("listening on"));
        remote
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.machine.path("sshd.log")).unwrap_or_default()
    }

    /// The command line that does something on the host over SSH.
    fn ssh(&self, command: &str) -> Vec<String> {
        let key = self.machine.path("user").display().to_string();
        let mut words: Vec<String> = ["-F", "none", "-b", CALLER, "-i", &key].map(str::to_owned).into();
        let options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=3",
        ];
        words.extend(options.iter().flat_map(|o| ["-o".to_owned(), (*o).to_owned()]));
        words.extend([format!("root@{HOST4}"), command.to_owned()]);
        words
    }

    /// Does something on the host over a new connection; what it printed, or that nobody could get in.
    fn over_ssh(&self, command: &str) -> Result<String, String> {
        let words = self.ssh(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.lab.clients.enter(|| try_run("ssh", &words, ""))
    }

    /// An SSH connection that stays open: the shell that it runs says a line when it is there, and another after each line
    /// that it is sent.
    fn session(&self, command: &str) -> (Child, BufReader<std::process::ChildStdout>) {
        let words = self.ssh(command);
        let mut child = self.lab.clients.enter(|| {
            let mut ssh = Command::new("ssh");
            ssh.args(&words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ssh starts")
        });
        let out = BufReader::new(child.stdout.take().expect("piped"));
        (child, out)
    }

    /// The profile of a drill: it guards SSH as well, and blocks the administrator.
    fn drill(&self) -> String {
        let blocked = format!("[[blocked]]\nname = \"me\"\nnetworks = [\"{CALLER}\"]\n");
        self.machine.profile_with("drill", &["198.51.100.0/24"], "ports = [993, 22]", &blocked)
    }

    /// The command that applies a profile and waits for its confirmation, for a shell.
    fn apply(&self, profile: &str, seconds: u32) -> String {
        let path = self.machine.path("state").display().to_string();
        let target = self.machine.backend.target();
        let program = env!("CARGO_BIN_EXE_harden993");
        format!("{program} apply --yes --confirm {seconds} --target {target} --profile {profile} --state-dir {path}")
    }

    fn is_blocked(&self) -> bool {
        self.machine.backend.rules().contains(CALLER)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // The end of the server ends no session; those end with their clients.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs a test that needs an SSH server.
fn remotely(test: &str, body: impl FnOnce()) {
    require("sshd", "openssh-server");
    require("ssh", "openssh-client");
    // A user who is root of a namespace only cannot become the users that an SSH server becomes.
    assert!(privileged(), "this test needs root: the SSH server changes users");
    inside(test, body);
}

/// The connection that the drill is applied over is cut, and comes back by itself; that the session, its shell and the
/// command are killed meanwhile changes nothing.
fn what_cuts_its_own_connection_is_undone(backend: Backend) {
    let remote = Remote::new(backend);
    let office = remote.machine.profile("office", &["198.51.100.0/24"], "");
    remote.machine.apply(&office);
    let rules = backend.rules();
    assert_eq!(remote.over_ssh("echo in").as_deref(), Ok("in\n"), "{}", remote.log());

    // The shell goes on after the load, and says so on a connection on which nothing is heard any more.
    let (mut session, mut heard) =
        remote.session(&format!("echo here; read go; {}; exec cat", remote.apply(&remote.drill(), 12)));
    let mut line = String::new();
    heard.read_line(&mut line).expect("it is heard");
    assert_eq!(line, "here\n");
    std::io::Write::write_all(session.stdin.as_mut().expect("piped"), b"\n").expect("it is told to go");
    until("the rules of the drill", || remote.is_blocked());
    // Nothing comes through the cut connection, and nobody gets in by a new one.
    let refused = remote.over_ssh("echo in");
    assert!(refused.is_err() || backend.rules() == rules, "{refused:?}");
    // The client, the server's part of the session with its shell and all that it runs, and the server itself are killed.
    session.kill().and_then(|()| session.wait()).expect("the client is killed");
    for pid in sessions(&remote.server) {
        let _ = try_run("kill", &["-9", &pid.to_string()], "");
    }
    until("the old rules", || backend.rules() == rules);
    until("the end of the waiting", || remote.machine.harden993(&["confirm"]).out.contains("nothing waits"));
    assert_eq!(remote.over_ssh("echo in again").as_deref(), Ok("in again\n"), "{}", remote.log());
}

/// Everything below a server: its sessions, their shells and what these run. Not the guardian, which has left them.
fn sessions(server: &Child) -> Vec<u32> {
    let mut found = vec![server.id()];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        next += 1;
    }
    found.split_off(1)
}

#[test]
fn what_cuts_its_own_connection_is_undone_nftables() {
    remotely("ssh::what_cuts_its_own_connection_is_undone_nftables", || {
        what_cuts_its_own_connection_is_undone(Backend::Nftables);
    });
}

#[test]
fn what_cuts_its_own_connection_is_undone_iptables_nft() {
    remotely("ssh::what_cuts_its_own_connection_is_undone_iptables_nft", || {
        what_cuts_its_own_connection_is_undone(Backend::IptablesNft);
    });
}

#[test]
fn what_cuts_its_own_connection_is_undone_iptables_legacy() {
    remotely("ssh::what_cuts_its_own_connection_is_undone_iptables_legacy", || {
        what_cuts_its_own_connection_is_undone(Backend::IptablesLegacy);
    });
}

/// What is confirmed over a fresh connection stays, although the connection that it was applied over is killed.
#[test]
fn what_is_confirmed_over_a_fresh_connection_stays() {
    remotely("ssh::what_is_confirmed_over_a_fresh_connection_stays", || {
        let remote = Remote::new(Backend::Nftables);
        let office = remote.machine.profile("office", &["198.51.100.0/24"], "");
        let more = remote.machine.profile("more", &["198.51.100.0/25"], "ports = [993, 22]");
        remote.machine.apply(&office);
        let (mut session, mut heard) = remote.session(&format!("{}; echo loaded; exec cat", remote.apply(&more, 600)));
        let mut line = String::new();
        while line != "loaded\n" {
            line.clear();
            assert_ne!(heard.read_line(&mut line).expect("it is heard"), 0, "{}", remote.log());
        }
        let loaded = Backend::Nftables.rules();
        session.kill().and_then(|()| session.wait()).expect("the client is killed");
        let state = remote.machine.path("state").display().to_string();
        let confirm = format!("{} confirm --state-dir {state}", env!("CARGO_BIN_EXE_harden993"));
        let said = remote.over_ssh(&confirm).expect("the new rules let the caller in");
        assert!(said.contains("kept"), "{said}");
        assert_eq!(Backend::Nftables.rules(), loaded);
        until("the end of the guardian", || guardian_of(&remote.machine).is_none());
        assert_eq!(Backend::Nftables.rules(), loaded);
        assert_eq!(remote.machine.harden993(&["status"]).code, Some(0));
    });
}

/// Whoever is about to cut himself off is told so before the load.
#[test]
fn the_caller_is_warned() {
    remotely("ssh::the_caller_is_warned", || {
        let remote = Remote::new(Backend::Nftables);
        let dry = format!("{} --dry-run", remote.apply(&remote.drill(), 600));
        let said = remote.over_ssh(&dry).expect("a dry run does not fail");
        assert!(said.contains(&format!("you are connected from {CALLER}")), "{said}");
        assert!(!remote.is_blocked());
    });
}
