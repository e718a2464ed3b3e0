//! What is not confirmed in time comes back by itself, whatever became of the command that loaded it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::inside;
use crate::machine::{Backend, Machine};

/// Waits until something holds, as long as a slow machine may need.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn without_a_confirmation_the_old_rules_come_back() {
    inside("guardian::without_a_confirmation_the_old_rules_come_back", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let old = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let new = machine.profile("new", &["203.0.113.0/24", "2001:db8:2::/48"], "");
            machine.apply(&old);
            let rules = backend.rules();
            let target = backend.target();
            let done = machine.harden993(&["apply", "--yes", "--confirm", "2", "--target", target, "--profile", &new]);
            assert_eq!(done.code, Some(0), "{backend:?}: {done:?}");
            let again = machine.harden993(&["apply", "--yes", "--target", target, "--profile", &old]);
            // The machine may be so slow that the time is over already.
            assert!(again.code == Some(3) || backend.rules() == rules, "{backend:?}: {again:?}");
            until("the old rules", || backend.rules() == rules);
            until("the end of the waiting", || machine.harden993(&["confirm"]).out.contains("nothing waits"));
            let status = machine.harden993(&["status"]);
            assert_eq!(status.code, Some(0), "{backend:?}: {status:?}");
            machine.clear();
        }
    });
}

#[test]
fn what_is_confirmed_stays() {
    inside("guardian::what_is_confirmed_stays", || {
        let machine = Machine::new(Backend::Nftables);
        let old = machine.profile("old", &["198.51.100.0/24"], "");
        let new = machine.profile("new", &["203.0.113.0/24"], "");
        machine.apply(&old);
        let args = ["apply", "--yes", "--confirm", "600", "--format", "json", "--profile", &new];
        let done = machine.harden993(&args);
        assert_eq!(done.code, Some(0), "{done:?}");
        let report: serde_json::Value = serde_json::from_str(&done.out).expect("one object");
        assert_eq!(report["stage"], "waiting");
        let token = report["token"].as_str().expect("a token");
        let wrong = machine.harden993(&["confirm", "--token", "0123456789abcdef"]);
        assert_eq!(wrong.code, Some(1), "{wrong:?}");
        let right = machine.harden993(&["confirm", "--token", token]);
        assert_eq!(right.code, Some(0), "{right:?}");
        assert!(Backend::Nftables.rules().contains("203.0.113.0/24"));
        assert_eq!(machine.harden993(&["confirm"]).code, Some(1));
        assert_eq!(machine.harden993(&["status"]).code, Some(0));
    });
}

/// The command, its shell and its session are killed while it waits: the guardian lives on.
#[test]
fn killing_the_session_changes_nothing() {
    inside("guardian::killing_the_session_changes_nothing", || {
        let machine = Machine::new(Backend::Nftables);
        let old = machine.profile("old", &["198.51.100.0/24"], "");
        let new = machine.profile("new", &["203.0.113.0/24"], "");
        machine.apply(&old);
        let rules = Backend::Nftables.rules();
        let script = format!(
            "{} apply --yes --confirm 4 --profile {new} --state-dir {}; echo loaded; exec sleep 1000",
            env!("CARGO_BIN_EXE_harden993"),
            machine.path("state").display()
        );
        let mut shell = Command::new("setsid")
            .args(["--wait", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("setsid starts");
        until("the new rules", || Backend::Nftables.rules().contains("203.0.113.0/24"));
        // Everything that is left of the session: the group of the shell, and the shell's parent.
        let group = format!("-{}", shell.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
        let _ = Command::new("pkill").args(["-9", "-f", "exec sleep 1000"]).status();
        let _ = shell.kill();
        let _ = shell.wait();
        until("the old rules", || Backend::Nftables.rules() == rules);
    });
}

/// A rollback takes back what waits, and then what was kept, exactly.
#[test]
fn a_rollback_is_exact() {
    inside("guardian::a_rollback_is_exact", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let old = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let new = machine.profile("new", &["203.0.113.0/24", "2001:db8:2::/48"], "ports = [993, 995]");
            let empty = backend.rules();
            machine.apply(&old);
            let rules = backend.rules();
            machine.apply(&new);
            let done = machine.harden993(&["rollback"]);
            assert_eq!(done.code, Some(0), "{backend:?}: {done:?}");
            assert_eq!(backend.rules(), rules, "{backend:?}: {done:?}");
            // The state that was gone back to is the confirmed one.
            assert_eq!(machine.harden993(&["status"]).code, Some(0), "{backend:?}");
            let waiting = ["apply", "--yes", "--confirm", "600", "--target", backend.target(), "--profile", &new];
            assert_eq!(machine.harden993(&waiting).code, Some(0), "{backend:?}");
            assert_eq!(machine.harden993(&["rollback"]).code, Some(0), "{backend:?}");
            assert_eq!(backend.rules(), rules, "{backend:?}");
            assert_eq!(machine.harden993(&["rollback", "--list"]).code, Some(0));
            assert_eq!(machine.harden993(&["remove", "--yes"]).code, Some(0), "{backend:?}");
            if backend == Backend::Nftables {
                assert_eq!(backend.rules(), empty);
            } else {
                assert!(!backend.rules().contains("H993"), "{}", backend.rules());
            }
        }
    });
}

/// Runs an apply on a terminal, and presses Enter when it is asked for, if it is to; the exit code, and what was shown.
fn on_a_terminal(machine: &Machine, profile: &str, seconds: &str, enter: bool) -> (Option<i32>, String) {
    use std::io::{Read as _, Write as _};
    let command = format!(
        "{} apply --yes --confirm {seconds} --target nftables --profile {profile} --state-dir {}",
        env!("CARGO_BIN_EXE_harden993"),
        machine.path("state").display()
    );
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let (mut keys, mut screen) = (script.stdin.take().expect("piped"), script.stdout.take().expect("piped"));
    let (mut shown, mut part) = (String::new(), [0; 4096]);
    let mut pressed = !enter;
    while let Ok(n @ 1..) = screen.read(&mut part) {
        shown.push_str(&String::from_utf8_lossy(&part[..n]));
        if !pressed && shown.contains("press Enter") {
            keys.write_all(b"\n").expect("the terminal takes a key");
            pressed = true;
        }
    }
    drop(keys);
    (script.wait().expect("script ends").code(), shown)
}

/// On a terminal the time that is left is shown; Enter confirms, and without it the command tells that the rules are back.
#[test]
fn enter_confirms_on_a_terminal() {
    inside("guardian::enter_confirms_on_a_terminal", || {
        crate::lab::require("script", "bsdutils");
        let machine = Machine::new(Backend::Nftables);
        let old = machine.profile("old", &["198.51.100.0/24"], "");
        let new = machine.profile("new", &["203.0.113.0/24"], "");
        let (code, shown) = on_a_terminal(&machine, &old, "600", true);
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("the old rules come back in "), "{shown}");
        let rules = Backend::Nftables.rules();
        assert!(rules.contains("198.51.100.0/24"), "{rules}");
        assert_eq!(machine.harden993(&["confirm"]).code, Some(1), "nothing waits any more");
        let (code, shown) = on_a_terminal(&machine, &new, "2", false);
        assert_eq!(code, Some(4), "{shown}");
        assert!(shown.contains("the rules from before are loaded again"), "{shown}");
        assert_eq!(Backend::Nftables.rules(), rules);
    });
}
