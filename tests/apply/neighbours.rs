//! Other people's rules: never touched, and when they take ours away, ours come back.

use crate::lab::{inside, run};
use crate::machine::{Backend, Machine};

/// What somebody else has loaded.
fn neighbours(backend: Backend) {
    match backend {
        Backend::Nftables => {
            run(
                "nft",
                &["-f", "-"],
                "table inet firewalld {\n chain filter_INPUT { type filter hook input priority 10; policy accept; ct state established accept; tcp dport { 22, 993 } accept; }\n}\ntable ip docker {\n chain nat { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80; }\n}\n",
            );
        }
        Backend::IptablesNft | Backend::IptablesLegacy => {
            let tool = if backend == Backend::IptablesNft { "iptables-nft-restore" } else { "iptables-legacy-restore" };
            run(
                tool,
                &[],
                "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j f2b-sshd\n-A INPUT -i lo -j ACCEPT\n-A f2b-sshd -s 192.0.2.66/32 -j DROP\n-A f2b-sshd -j RETURN\nCOMMIT\n",
            );
        }
    }
}

#[test]
fn others_are_as_they_were_after_apply_and_remove() {
    inside("neighbours::others_are_as_they_were_after_apply_and_remove", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            neighbours(backend);
            let before = backend.rules();
            let one = machine.profile("one", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let two = machine.profile("two", &["203.0.113.0/24", "2001:db8:2::/48"], "");
            machine.apply(&one);
            machine.apply(&two);
            let ours = |l: &&str| !l.contains("H993") && !l.contains("harden993");
            if backend != Backend::Nftables {
                let kept: Vec<String> = backend.rules().lines().filter(ours).map(str::to_owned).collect();
                for line in before.lines() {
                    assert!(kept.iter().any(|l| l == line), "{backend:?} lost {line}");
                }
            }
            let done = machine.harden993(&["remove", "--yes"]);
            assert_eq!(done.code, Some(0), "{backend:?}: {done:?}");
            let after = backend.rules();
            let lines = |t: &str| t.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
            // A family that was never loaded before has its empty built-in chains now.
            let new: Vec<String> = lines(&after).difference(&lines(&before)).cloned().collect();
            assert!(new.iter().all(|l| l.starts_with(':') || l == "*filter" || l == "COMMIT"), "{backend:?}: {new:?}");
            assert!(lines(&before).is_subset(&lines(&after)), "{backend:?}:\n{before}\n{after}");
            if backend == Backend::Nftables {
                run("nft", &["flush", "ruleset"], "");
            }
        }
    });
}

#[test]
fn what_others_flush_the_timer_brings_back() {
    inside("neighbours::what_others_flush_the_timer_brings_back", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let profile = machine.profile("one", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            machine.apply(&profile);
            let rules = backend.rules();
            let look = machine.harden993(&["restore"]);
            assert_eq!(look.code, Some(0), "{backend:?}: {look:?}");
            match backend {
                Backend::Nftables => drop(run("nft", &["flush", "ruleset"], "")),
                // Somebody restores the whole of his file.
                Backend::IptablesNft | Backend::IptablesLegacy => {
                    let variant = if backend == Backend::IptablesNft { "nft" } else { "legacy" };
                    for tool in ["iptables", "ip6tables"] {
                        run(
                            &format!("{tool}-{variant}-restore"),
                            &[],
                            "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n",
                        );
                    }
                }
            }
            let status = machine.harden993(&["status"]);
            assert_eq!(status.code, Some(1), "{backend:?}: {status:?}");
            let report = machine.harden993(&["restore", "--dry-run"]);
            assert_eq!(report.code, Some(0), "{backend:?}: {report:?}");
            assert_ne!(backend.rules(), rules);
            let done = machine.harden993(&["restore"]);
            assert_eq!(done.code, Some(0), "{backend:?}: {done:?}");
            assert_eq!(backend.rules(), rules, "{backend:?}");
            assert_eq!(machine.harden993(&["status"]).code, Some(0), "{backend:?}");
            machine.clear();
        }
    });
}

/// A look of the timer lists nothing while nobody has written.
#[test]
fn a_timer_that_finds_nothing_changed_lists_nothing() {
    inside("neighbours::a_timer_that_finds_nothing_changed_lists_nothing", || {
        let machine = Machine::new(Backend::Nftables);
        let profile = machine.profile("one", &["198.51.100.0/24"], "");
        machine.apply(&profile);
        machine.wrap("exec $real \"$@\"");
        let done = machine.harden993(&["restore"]);
        assert_eq!((done.code, machine.count()), (Some(0), 0), "{done:?}");
        run("nft", &["add", "table", "inet", "somebody"], "");
        let done = machine.harden993(&["restore"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(machine.count() > 0);
    });
}
