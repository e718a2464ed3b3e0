//! Whatever goes wrong, the live ruleset is afterwards the old or the new one, entirely, and the next command says which.

use std::time::Duration;

use crate::lab::{inside, run};
use crate::machine::{Backend, Machine};

/// Kills the command at the n-th tool that it runs: before the tool, after it, or so that the tool does its work only after
/// the command is dead.
const KILLS: [(&str, &str); 3] = [
    ("before", "if [ \"$n\" = AT ]; then kill -9 $PPID; exit 1; fi\nexec $real \"$@\""),
    ("after", "$real \"$@\"; rc=$?\nif [ \"$n\" = AT ]; then kill -9 $PPID; fi\nexit $rc"),
    ("while", "if [ \"$n\" = AT ]; then kill -9 $PPID; sleep 0.3; fi\nexec $real \"$@\""),
];

fn killed_at_every_step(backend: Backend) {
    let machine = Machine::new(backend);
    let old = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
    let new = machine.profile("new", &["203.0.113.0/24", "2001:db8:2::/48"], "");
    machine.apply(&new);
    let rules_new = backend.rules();
    machine.apply(&old);
    let rules_old = backend.rules();
    assert_ne!(rules_old, rules_new);

    machine.wrap("exec $real \"$@\"");
    machine.apply(&new);
    let steps = machine.count();
    assert!(steps >= 4, "an apply reads, checks, loads and reads back, but ran {steps} tools");
    machine.unwrap_tools();

    let mut seen = [0, 0];
    for (name, script) in KILLS {
        for at in 0..steps {
            machine.apply(&old);
            machine.wrap(&script.replace("AT", &at.to_string()));
            let done = machine.harden993(&["apply", "--yes", "--target", backend.target(), "--profile", &new]);
            machine.unwrap_tools();
            assert_eq!(done.code, None, "killed {name} step {at}: {done:?}");
            // The tool that is still at work holds the lock, and nobody may look before it has ended.
            let mut next = machine.harden993(&["restore"]);
            for _ in 0..100 {
                if !next.err.contains("another harden993") {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
                next = machine.harden993(&["restore"]);
            }
            assert_eq!(next.code, Some(0), "killed {name} step {at}: {next:?}");
            let rules = backend.rules();
            let is_new = rules == rules_new;
            assert!(is_new || rules == rules_old, "killed {name} step {at}:\n{rules}\n{next:?}");
            seen[usize::from(is_new)] += 1;
            let status = machine.harden993(&["status"]);
            assert_eq!(status.code, Some(0), "killed {name} step {at}: {status:?}");
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "every kill ended alike: {seen:?}");
}

#[test]
fn killed_at_every_step_nftables() {
    inside("faults::killed_at_every_step_nftables", || killed_at_every_step(Backend::Nftables));
}

#[test]
fn killed_at_every_step_iptables_nft() {
    inside("faults::killed_at_every_step_iptables_nft", || killed_at_every_step(Backend::IptablesNft));
}

#[test]
fn killed_at_every_step_iptables_legacy() {
    inside("faults::killed_at_every_step_iptables_legacy", || killed_at_every_step(Backend::IptablesLegacy));
}

/// A tool that fails at each of its runs in turn.
#[test]
fn a_tool_that_fails_changes_nothing_or_is_put_back() {
    inside("faults::a_tool_that_fails_changes_nothing_or_is_put_back", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let old = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let new = machine.profile("new", &["203.0.113.0/24", "2001:db8:2::/48"], "");
            machine.apply(&old);
            let rules = backend.rules();
            machine.wrap("exec $real \"$@\"");
            machine.apply(&new);
            let (steps, loaded) = (machine.count(), backend.rules());
            machine.unwrap_tools();
            for at in 0..steps {
                machine.apply(&old);
                machine.wrap(&format!("if [ \"$n\" = {at} ]; then echo broken >&2; exit 1; fi\nexec $real \"$@\""));
                let done = machine.harden993(&["apply", "--yes", "--target", backend.target(), "--profile", &new]);
                machine.unwrap_tools();
                // A look at what the change names that fails is followed by a listing of everything.
                if done.code == Some(0) {
                    assert_eq!(backend.rules(), loaded, "{backend:?} step {at}: {done:?}");
                    continue;
                }
                assert!(matches!(done.code, Some(3 | 4)), "{backend:?} step {at}: {done:?}");
                assert_eq!(backend.rules(), rules, "{backend:?} step {at}: {done:?}");
                assert!(done.err.contains("error: "), "{done:?}");
            }
            machine.clear();
        }
    });
}

/// A tool that does its work and then fails: what is loaded counts, and what is said of it is true.
#[test]
fn a_tool_that_fails_after_its_work_is_put_back() {
    inside("faults::a_tool_that_fails_after_its_work_is_put_back", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let old = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let new = machine.profile("new", &["203.0.113.0/24", "2001:db8:2::/48"], "");
            for before in [None, Some(&old)] {
                if let Some(before) = before {
                    machine.apply(before);
                }
                let ours =
                    || backend.rules().lines().filter(|l| l.contains("993")).map(str::to_owned).collect::<Vec<_>>();
                let rules = ours();
                machine.wrap(
                    "case \"$0 $*\" in *-c*-f*|*-f*-c*|*--test*) exec $real \"$@\" ;; \
                     *restore*|*-f*) $real \"$@\"; echo broken >&2; exit 1 ;; esac\nexec $real \"$@\"",
                );
                let done = machine.harden993(&["apply", "--yes", "--target", backend.target(), "--profile", &new]);
                machine.unwrap_tools();
                assert_eq!(done.code, Some(4), "{backend:?}, {before:?}: {done:?}");
                assert_eq!(ours(), rules, "{backend:?}, {before:?}: {done:?}");
                assert_eq!(machine.harden993(&["status"]).code, Some(0), "{backend:?}, {before:?}");
            }
            machine.clear();
        }
    });
}

/// A listing that is rubbish is never taken for an empty one.
#[test]
fn a_tool_that_prints_rubbish_is_refused() {
    inside("faults::a_tool_that_prints_rubbish_is_refused", || {
        let machine = Machine::new(Backend::Nftables);
        let old = machine.profile("old", &["198.51.100.0/24"], "");
        let new = machine.profile("new", &["203.0.113.0/24"], "");
        machine.apply(&old);
        let rules = Backend::Nftables.rules();
        machine.wrap("echo 'table inet harden993 { chain'");
        let done = machine.harden993(&["apply", "--yes", "--profile", &new]);
        machine.unwrap_tools();
        assert_eq!(done.code, Some(3), "{done:?}");
        assert_eq!(Backend::Nftables.rules(), rules);
        // A tool that a signal ends is no host without rules.
        machine.wrap("kill -SEGV $$");
        let done = machine.harden993(&["apply", "--yes", "--profile", &new]);
        machine.unwrap_tools();
        assert_eq!(done.code, Some(3), "{done:?}");
        assert_eq!(Backend::Nftables.rules(), rules);
    });
}

/// A tool that hangs is ended after its time, and nothing is left half done.
#[test]
fn a_tool_that_hangs_is_ended() {
    inside("faults::a_tool_that_hangs_is_ended", || {
        let machine = Machine::new(Backend::Nftables);
        let old = machine.profile("old", &["198.51.100.0/24"], "");
        let new = machine.profile("new", &["203.0.113.0/24"], "");
        machine.apply(&old);
        let rules = Backend::Nftables.rules();
        machine
            .wrap("case \"$*\" in *-f*) case \"$*\" in *-c*) ;; *) exec sleep 1000 ;; esac ;; esac\nexec $real \"$@\"");
        let done = machine.with(&["apply", "--yes", "--profile", &new], &[("HARDEN993_TOOL_SECONDS", "2")]);
        machine.unwrap_tools();
        assert_eq!(done.code, Some(3), "{done:?}");
        assert_eq!(Backend::Nftables.rules(), rules);
    });
}

/// Somebody who writes between our reading and our loading is noticed.
#[test]
fn a_second_writer_makes_the_plan_stale() {
    inside("faults::a_second_writer_makes_the_plan_stale", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let old = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let new = machine.profile("new", &["203.0.113.0/24", "2001:db8:2::/48"], "");
            machine.apply(&old);
            let before = backend.rules();
            // The firewall's own check is the last thing before the load.
            let write = match backend {
                Backend::Nftables => "/usr/sbin/nft add table inet somebody",
                Backend::IptablesNft => "/usr/sbin/iptables-nft -A OUTPUT -p tcp --dport 9 -j DROP",
                Backend::IptablesLegacy => "/usr/sbin/iptables-legacy -A OUTPUT -p tcp --dport 9 -j DROP",
            };
            machine.wrap(&format!("case \"$*\" in *-c*-f*|*-f*-c*|*--test*) {write} ;; esac\nexec $real \"$@\""));
            let done = machine.harden993(&["apply", "--yes", "--target", backend.target(), "--profile", &new]);
            machine.unwrap_tools();
            assert_eq!(done.code, Some(3), "{backend:?}: {done:?}");
            assert!(done.err.contains("somebody else changed"), "{backend:?}: {done:?}");
            assert_ne!(backend.rules(), before, "the other's rules stay");
            assert!(!backend.rules().contains("203.0.113"), "{backend:?}");
            machine.apply(&new);
            assert!(backend.rules().contains("203.0.113"), "{backend:?}");
            machine.clear();
        }
    });
}

/// Where the way back cannot be written nothing is loaded.
#[test]
fn a_full_disk_stops_before_the_load() {
    inside("faults::a_full_disk_stops_before_the_load", || {
        let machine = Machine::new(Backend::Nftables);
        let profile = machine.profile("new", &["203.0.113.0/24"], "");
        // A file that cannot be made stands for a disk that cannot hold it: the folder is full, or no folder at all.
        std::fs::write(machine.path("state"), "").expect("a file in the place of the folder");
        let done = machine.harden993(&["apply", "--yes", "--profile", &profile]);
        assert_eq!(done.code, Some(3), "{done:?}");
        assert_eq!(Backend::Nftables.rules(), "");
        std::fs::remove_file(machine.path("state")).expect("it goes away");
        // The real thing: a file system of a few kilobytes, mounted in a mount namespace of its own.
        std::fs::create_dir(machine.path("state")).expect("the folder");
        let script = format!(
            "mount -t tmpfs -o size=16k,mode=700 none {state} && dd if=/dev/zero of={state}/full bs=1k count=16 2>/dev/null; \
             {program} apply --yes --profile {profile} --state-dir {state}; echo code=$?",
            state = machine.path("state").display(),
            program = env!("CARGO_BIN_EXE_harden993"),
        );
        let said = run("unshare", &["--mount", "sh", "-c", &script], "");
        assert!(said.contains("code=3"), "{said}");
        assert_eq!(Backend::Nftables.rules(), "");
    });
}

/// IPv4 and IPv6 of iptables succeed together or are both put back.
#[test]
fn a_host_whose_ipv6_fails_keeps_both_families() {
    inside("faults::a_host_whose_ipv6_fails_keeps_both_families", || {
        for backend in [Backend::IptablesNft, Backend::IptablesLegacy] {
            let machine = Machine::new(backend);
            let old = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let new = machine.profile("new", &["203.0.113.0/24", "2001:db8:2::/48"], "");
            machine.apply(&old);
            let rules = backend.rules();
            let tool = machine.tools()[1];
            std::fs::write(machine.path("count"), "0").expect("the counter is written");
            machine.wrap_one(tool, "case \"$*\" in *--test*) exec $real \"$@\" ;; esac\nif grep -q 2001:db8:2; then echo 'no ip6tables' >&2; exit 3; fi");
            let done = machine.harden993(&["apply", "--yes", "--target", "iptables", "--profile", &new]);
            machine.unwrap_tools();
            assert_eq!(done.code, Some(4), "{backend:?}: {done:?}");
            assert_eq!(backend.rules(), rules, "{backend:?}: {done:?}");
            machine.clear();
        }
    });
}
