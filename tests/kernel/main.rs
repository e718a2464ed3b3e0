//! The kernel as the judge: rules are loaded in a network namespace, and real packets say what they do.
#![cfg(target_os = "linux")]

mod agree;
mod backend;
#[path = "../support/dice.rs"]
mod dice;
mod lab;
mod neighbours;
#[path = "../support/policies.rs"]
mod policies;
mod probe;
mod traffic;
mod wire;

use std::net::IpAddr;

use lab::{Lab, inside};
use probe::{ACK, Fate, Gun, Probe, SYN, SYN_FIN};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The harness itself: rules whose meaning is plain are seen as what they are.
#[test]
fn the_lab_sees_what_rules_do() {
    inside("the_lab_sees_what_rules_do", || {
        let lab = Lab::new(&["eth0", "wg0"]);
        let mut gun = Gun::new(&lab);
        let mut probes = Vec::new();
        for source in [
            "0.0.0.1",
            "10.0.0.1",
            "10.0.1.1",
            "192.0.2.77",
            "255.255.255.254",
            "::2",
            "fe80::1",
            "2001:db8::1",
            "fec0::",
            "fd00::1",
        ] {
            for port in [22, 993] {
                for flags in [SYN, ACK, SYN_FIN] {
                    for interface in ["eth0", "wg0"].map(|name| lab.number(name)) {
                        probes.push(Probe { interface, ..Probe::new(ip(source), port, flags) });
                    }
                }
            }
        }
        assert!(gun.fire(&probes).iter().all(|f| *f == Fate::Passed), "without rules everything passes");
        lab.nft(
            "table inet t {
                chain c {
                type filter hook input priority 0; policy accept;
                tcp dport != 993 accept
                iifname \"wg0\" accept
                ip saddr 10.0.0.0/24 accept
                ip6 saddr fd00::/8 accept
                tcp flags & (syn | ack) == syn drop
                reject with tcp reset
                }
            }",
        );
        assert_eq!(gun.one(Probe::new(ip("8.8.8.8"), 993, SYN)), Fate::Dropped);
        for (probe, fate) in probes.iter().zip(gun.fire(&probes)) {
            let trusted = ["10.0.0.1", "fd00::1"].map(ip).contains(&probe.source);
            let expected = match (probe.port, probe.interface, trusted, probe.flags) {
                (993, 0, false, SYN | SYN_FIN) => Fate::Dropped,
                (993, 0, false, _) => Fate::Reset,
                _ => Fate::Passed,
            };
            assert_eq!(fate, expected, "{probe:?}");
        }
    });
}
