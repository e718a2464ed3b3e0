//! Limits that come, go and change: who is said to be limited, unlimited or limited otherwise, beside how much of a burst of
//! packets gets in before and after.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::altered::{listing, reload};
use crate::judge::{Entry, Field, entries, entry};
use crate::lab::{Lab, inside};
use crate::machine::Backend;
use crate::probe::{Probe, SYN};

/// How many packets one source sends at once.
const SHOTS: usize = 12;

/// What a profile says of a network: not trusted, trusted, or trusted under a limit of so many connections at once and one
/// in an hour.
type Class = Option<usize>;
const REFUSED: Class = Some(0);
const FREE: Class = None;
const CLASSES: [Class; 4] = [REFUSED, FREE, Some(3), Some(6)];

/// Each network with its class before and after: every pair.
fn networks() -> impl Iterator<Item = (usize, Class, Class)> {
    let pairs = CLASSES.iter().flat_map(|old| CLASSES.iter().map(move |new| (*old, *new)));
    pairs.enumerate().map(|(n, (old, new))| (n, old, new))
}

/// A source in a network; another for each turn, so that none has a past.
fn sources(network: usize, turn: usize) -> [IpAddr; 2] {
    [format!("10.77.{network}.{}", 10 + turn), format!("fd77:{network:x}:0:{turn:x}::1")]
        .map(|text| text.parse().expect("an address"))
}

/// The profile of one side.
fn profile(backend: Backend, class: impl Fn(Class, Class) -> Class) -> String {
    let mut out =
        "schema = 1\nname = \"limits\"\n[service]\nplaintext_imap = \"leave\"\n[untrusted]\nlog = false\n".to_owned();
    // Writing to a String cannot fail.
    for (name, wanted) in [("free", FREE), ("three", Some(3)), ("six", Some(6))] {
        let of: Vec<usize> = networks().filter(|(_, a, b)| class(*a, *b) == wanted).map(|(n, ..)| n).collect();
        let list: Vec<String> = of.iter().map(|n| format!("\"10.77.{n}.0/24\", \"fd77:{n:x}::/48\"")).collect();
        let _ = writeln!(out, "[[trusted]]\nname = \"{name}\"\nnetworks = [{}]", list.join(", "));
        if let Some(burst) = wanted {
            let _ = writeln!(out, "limits = {{ new_connections = \"1/hour\", burst = {burst} }}");
        }
    }
    out + backend.settings()
}

/// How many packets of each network's two sources get in.
fn measured(field: &mut Field<'_>, turn: usize) -> Vec<[usize; 2]> {
    let all: Vec<IpAddr> = networks().flat_map(|(n, ..)| sources(n, turn)).collect();
    let probes: Vec<Probe> = all.iter().flat_map(|ip| vec![Probe::new(*ip, 993, SYN); SHOTS]).collect();
    let fates = field.fire(&probes);
    let counts: Vec<usize> = fates.chunks(SHOTS).map(|c| c.iter().filter(|f| **f).count()).collect();
    counts.chunks(2).map(|pair| [pair[0], pair[1]]).collect()
}

/// What packets say of a change.
fn kind(old: usize, new: usize) -> Option<&'static str> {
    match (old, new) {
        (a, b) if a == b => None,
        (0, _) => Some("gained"),
        (_, 0) => Some("lost"),
        (SHOTS, _) => Some("limited"),
        (_, SHOTS) => Some("unlimited"),
        _ => Some("relimited"),
    }
}

/// Holds what is said to packets; how many sources of each kind there were.
fn agree(
    effect: &[Entry],
    (turn, old): (usize, &[[usize; 2]]),
    (next, new): (usize, &[[usize; 2]]),
    what: &str,
) -> usize {
    let mut told = 0;
    for (n, ..) in networks() {
        for (family, (before, after)) in old[n].into_iter().zip(new[n]).enumerate() {
            for source in [sources(n, turn)[family], sources(n, next)[family]] {
                let of = entry(effect, 993, "eth0").expect("the question is asked");
                let said: Vec<&str> = ["gained", "lost", "limited", "unlimited", "relimited"]
                    .into_iter()
                    .filter(|list| of.list(list).contains(source))
                    .collect();
                let seen: Vec<&str> = kind(before, after).into_iter().collect();
                assert_eq!(said, seen, "{what}: {source}, of {SHOTS} first {before}, then {after}");
                told += seen.len();
            }
        }
    }
    told
}

fn limits_are_told(test: &str, backend: Backend) {
    inside(test, || {
        let lab = Lab::new(&["eth0"]);
        let mut field = Field::new(&lab, backend);
        std::fs::write(&field.profile, profile(backend, |old, _| old)).expect("the profile is written");
        field.machine.apply(&field.profile);
        std::fs::write(&field.profile, profile(backend, |_, new| new)).expect("the profile is written");
        let said = entries(&field.json("diff", 1)["effect"]);
        let old = measured(&mut field, 0);
        field.machine.apply(&field.profile);
        let new = measured(&mut field, 1);
        for (n, a, b) in networks() {
            assert_eq!(old[n], [a.unwrap_or(SHOTS); 2], "{backend:?}: what is measured is what the profile says");
            assert_eq!(new[n], [b.unwrap_or(SHOTS); 2], "{backend:?}: what is measured is what the profile says");
        }
        let told = agree(&said, (0, &old), (1, &new), &format!("{backend:?}, another profile"));
        // Of sixteen pairs four are no change, in two families, by two sources.
        assert_eq!(told, 12 * 2 * 2);

        // Somebody edits a limit by hand. The name of a hashlimit goes with it (it holds the limit, since the kernel keeps what it has of a name), and
        // the time that a set remembers a source for.
        for (program, text) in listing(backend) {
            let mut edited = text.clone();
            for (old, new) in [
                ("burst 3 packets", "burst 4 packets"),
                ("timeout 3h", "timeout 4h"),
                ("--hashlimit-burst 3 ", "--hashlimit-burst 4 "),
                ("-1h-3-32 ", "-1h-4-32 "),
                ("-1h-3-64 ", "-1h-4-64 "),
                ("--hashlimit-htable-expire 10800000", "--hashlimit-htable-expire 14400000"),
            ] {
                edited = edited.replace(old, new);
            }
            assert!(edited != text && reload(&program, &edited), "{backend:?}: {edited}");
        }
        let said = entries(&field.json("diff", 1)["effect"]);
        let old = measured(&mut field, 2);
        field.machine.apply(&field.profile);
        let new = measured(&mut field, 3);
        let told = agree(&said, (2, &old), (3, &new), &format!("{backend:?}, an edited limit"));
        assert_eq!(told, 4 * 2 * 2, "{backend:?}: whoever is under the limit that was edited");
    });
}

#[test]
fn limits_of_nftables_are_told() {
    limits_are_told("limits::limits_of_nftables_are_told", Backend::Nftables);
}

#[test]
fn limits_of_iptables_nft_are_told() {
    limits_are_told("limits::limits_of_iptables_nft_are_told", Backend::IptablesNft);
}

#[test]
fn limits_of_iptables_legacy_are_told() {
    limits_are_told("limits::limits_of_iptables_legacy_are_told", Backend::IptablesLegacy);
}
