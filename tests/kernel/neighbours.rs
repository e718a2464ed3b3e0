//! What loading does beside its work: nothing to what others own, nothing more when it is done again, and log lines where
//! and as often as the policy says.

use std::net::IpAddr;

use harden993::access::{Bucket, LogClass, Per, Rate};
use harden993::policy::{Draft, Forwarded, Grant, Limit, LogPolicy};

use crate::backend::{Backend, IPTABLES_LEGACY, IPTABLES_NFT, NFT};
use crate::dice::Dice;
use crate::lab::{Lab, inside, inside_with, run, try_run};
use crate::policies;
use crate::probe::{ACK, Fate, Gun, Probe, SYN};

/// An administrator's iptables rules that refuse by policy, with what Docker adds to them.
const IPTABLES: &str = "*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m multiport --dports 22,80,443 -m comment --comment \"an office's own\" -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
";

/// A table as firewalld makes it.
const FIREWALLD: &str = "table inet firewalld {
	map zones {
		type ifname : verdict
		elements = { \"eth0\" : goto filter_IN_public, \"wg0\" : goto filter_IN_trusted }
	}

	set management {
		type ipv4_addr
		flags interval
		auto-merge
		elements = { 192.0.2.64/26, 198.51.100.0/24 }
	}

	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		iifname \"lo\" accept
		iifname vmap @zones
		reject with icmpx admin-prohibited
	}

	chain filter_IN_public {
		ip saddr @management tcp dport { 22, 993 } accept
		return
	}

	chain filter_IN_trusted {
		accept
	}
}
";

/// What iptables lists, without the program's comments, which hold the time, and without the counters of policies, which
/// any packet raises.
fn saved(backend: Backend) -> Vec<String> {
    // Without its name a table is only found by who may read the kernel's list of them: not by an ordinary user.
    let tables = |program: &str| ["nat", "filter"].map(|t| run(&format!("{program}-save"), &["-t", t], "")).concat();
    let saved = backend.iptables().map(tables).concat();
    let lines = saved.lines().filter(|l| !l.starts_with('#'));
    lines.map(|l| if l.starts_with(':') { l.split(" [").next().unwrap_or(l) } else { l }.to_owned()).collect()
}

/// Everything that is loaded and not ours, as it is listed.
fn foreign(backend: Backend) -> Vec<String> {
    let listed = run("nft", &["list", "table", "inet", "firewalld"], "");
    let saved = saved(backend).into_iter().filter(|l| !l.contains("H993"));
    listed.lines().map(str::to_owned).chain(saved).collect()
}

/// Everything that is loaded.
fn all(backend: Backend) -> Vec<String> {
    let listed = run("nft", &["list", "ruleset"], "");
    // Rules that packets of the kernel itself have met (neighbour discovery) count them.
    let counted = |l: &&str| !l.contains("counter packets");
    listed.lines().filter(counted).map(str::to_owned).chain(saved(backend)).collect()
}

/// Whether two listings are the same, line by line.
fn same(before: &[String], after: &[String], what: &str) {
    let first = before.iter().zip(after).position(|(a, b)| a != b).unwrap_or(before.len().min(after.len()));
    let around = |lines: &[String]| lines[first.saturating_sub(2)..lines.len().min(first + 5)].join("\n");
    assert!(before == after, "{what}, but line {first}:\n{}\nis now:\n{}", around(before), around(after));
}

fn others_are_left_alone(test: &str, backend: Backend) {
    inside(test, || {
        let _lab = Lab::new(&["eth0", "wg0"]);
        for program in backend.iptables() {
            run(&format!("{program}-restore"), &[], IPTABLES);
        }
        run("nft", &["-f", "-"], FIREWALLD);
        let before = foreign(backend);
        assert!(
            before.iter().any(|l| l.contains("s own\"")) && before.iter().any(|l| l.contains("vmap @zones")),
            "{before:?}"
        );
        for seed in 0..6 {
            let mut draft = policies::draft(&mut Dice::new(700 + seed), false);
            draft.forwarded = if seed % 2 == 0 { Forwarded::Translated } else { Forwarded::No };
            let (_, text) = backend.render(&draft.lower());
            backend.load(&text);
            same(&before, &foreign(backend), &format!("policy {seed} leaves others alone"));
            let once = all(backend);
            backend.load(&text);
            same(&once, &all(backend), &format!("loading policy {seed} twice is loading it once"));
        }
    });
}

#[test]
fn nftables_leaves_others_alone() {
    others_are_left_alone("neighbours::nftables_leaves_others_alone", NFT);
}

#[test]
fn iptables_nft_leaves_others_alone() {
    others_are_left_alone("neighbours::iptables_nft_leaves_others_alone", IPTABLES_NFT);
}

#[test]
fn iptables_legacy_leaves_others_alone() {
    others_are_left_alone("neighbours::iptables_legacy_leaves_others_alone", IPTABLES_LEGACY);
}

/// How many lines of a class the loaded rules have written.
fn written(backend: Backend, class: LogClass) -> u64 {
    let quoted = format!("\"{}\"", class.prefix());
    backend.counters().lines().filter(|l| l.contains(&quoted)).map(count).sum()
}

/// The packets that a listed rule counted: `counter packets 3 bytes 120` or `[3:120]`.
fn count(line: &str) -> u64 {
    let nft = line.split_once("counter packets ").map(|(_, rest)| rest);
    let digits = nft.or_else(|| line.strip_prefix('[')).unwrap_or("").split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|d| d.parse().ok()).unwrap_or_else(|| panic!("no count in {line:?}"))
}

/// Log lines come with their prefix, each prefix at its own rate, and for nothing but connections that are refused.
fn lines_are_written(lab: &Lab, backend: Backend) {
    let mut gun = Gun::new(lab);
    let set = |text: &str| text.parse::<harden993::net::AddrSet>().expect("a network");
    let limit = Limit { rate: Some(Bucket { rate: Rate::new(1, Per::Hour), burst: 1 }), concurrent: None };
    let draft = Draft {
        grants: vec![Grant {
            sources: set("198.51.100.0/24").union(&set("2001:db8:10::/48")),
            via: vec![],
            limit: Some(limit),
        }],
        blocked: set("203.0.113.0/25"),
        // An hour is longer than any test takes, so exactly the burst is written.
        log: Some(LogPolicy { rate: Some(Bucket { rate: Rate::new(1, Per::Hour), burst: 5 }) }),
        ..Draft::default()
    };
    let fire = |gun: &mut Gun<'_>, source: &str, flags: u8, count: usize| {
        let source: IpAddr = crate::ip(source);
        gun.fire(&vec![Probe::new(source, 993, flags); count]).iter().filter(|f| **f == Fate::Passed).count()
    };
    let counts = || [LogClass::Refused, LogClass::Blocked, LogClass::Limited].map(|class| written(backend, class));
    backend.load_counting(&backend.render(&draft.clone().lower()).1);
    for stray in ["198.51.100.7", "203.0.113.7", "203.0.113.200"] {
        fire(&mut gun, stray, ACK, 3);
    }
    assert_eq!(fire(&mut gun, "198.51.100.7", SYN, 1), 1);
    assert_eq!(counts(), [0, 0, 0], "no line for what opens no connection, or is accepted");
    assert_eq!(fire(&mut gun, "203.0.113.200", SYN, 3), 0);
    assert_eq!(fire(&mut gun, "203.0.113.7", SYN, 2), 0);
    assert_eq!(fire(&mut gun, "198.51.100.7", SYN, 4), 0);
    assert_eq!(counts(), [3, 2, 4], "refused, blocked, limited");
    for source in ["203.0.113.200", "203.0.113.7", "198.51.100.7"] {
        assert_eq!(fire(&mut gun, source, SYN, 9), 0, "what is not written is refused all the same");
    }
    assert_eq!(counts(), [5, 5, 5], "each prefix has its own rate");
    backend.load_counting(&backend.render(&Draft { log: None, ..draft }.lower()).1);
    assert_eq!(fire(&mut gun, "203.0.113.200", SYN, 3), 0);
    assert_eq!(counts(), [0, 0, 0], "no log, no line");
}

/// The switch by which the kernel also logs what happens in namespaces; ordinary users have none.
const LOG_NAMESPACES: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

/// The variable that names the interface of the lab, by which the lines of a run are known.
const INTERFACE: &str = "HARDEN993_TEST_INTERFACE";

#[test]
fn log_lines_are_written_as_the_policy_says() {
    const TEST: &str = "neighbours::log_lines_are_written_as_the_policy_says";
    let before = std::fs::read_to_string(LOG_NAMESPACES).unwrap_or_default();
    let readable = std::fs::write(LOG_NAMESPACES, "1").is_ok() && try_run("dmesg", &[], "").is_ok();
    for (suffix, backend) in [("n", NFT), ("i", IPTABLES_NFT), ("l", IPTABLES_LEGACY)] {
        let interface = format!("log{}{suffix}", std::process::id());
        let inner = std::env::var(INTERFACE);
        if inner.as_ref().is_ok_and(|i| !i.ends_with(suffix)) {
            continue;
        }
        let interface = inner.unwrap_or(interface);
        inside_with(TEST, &[(INTERFACE, &interface)], || lines_are_written(&Lab::new(&[&interface]), backend));
        if readable {
            lines_are_in_the_kernel_log(&interface);
        }
    }
    if readable {
        std::fs::write(LOG_NAMESPACES, before).expect("what could be written can be put back");
    }
}

/// Root also sees the lines themselves.
fn lines_are_in_the_kernel_log(interface: &str) {
    let log = run("dmesg", &[], "");
    for (class, source, lines) in [
        (LogClass::Refused, "SRC=203.0.113.200 ", 5),
        (LogClass::Blocked, "SRC=203.0.113.7 ", 5),
        (LogClass::Limited, "SRC=198.51.100.7 ", 5),
    ] {
        let start = format!("{}IN={interface} ", class.prefix());
        let found: Vec<&str> = log.lines().filter(|l| l.contains(&start) && l.contains(source)).collect();
        assert_eq!(found.len(), lines, "{start}: {found:#?}");
        assert!(
            found.iter().all(|l| l.contains("PROTO=TCP") && l.contains("DPT=993") && l.contains(" SYN ")),
            "{found:#?}"
        );
    }
}
