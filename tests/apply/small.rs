//! Small changes: what they leave alone, and that they end where loading everything ends.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::dice::Dice;
use crate::lab::{HOST4, Lab, inside};
use crate::machine::{Backend, Machine};
use crate::packets::connect;

/// The address of somebody who is trusted, and of somebody who never is.
const TRUSTED: &str = "198.51.100.7";
const STRANGER: &str = "203.0.113.66";

/// What our rules have counted under a name, as `status` reports it.
fn counted(machine: &Machine, name: &str) -> u64 {
    let done = machine.harden993(&["status", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&done.out).expect("one object");
    let counters = report["counters"].as_array().expect("a list of counters");
    counters.iter().filter(|c| c["name"] == name).filter_map(|c| c["packets"].as_u64()).sum()
}

fn opened(count: usize) -> Vec<TcpStream> {
    (0..count).map(|n| connect(TRUSTED, Duration::from_secs(10)).unwrap_or_else(|e| panic!("{n}: {e}"))).collect()
}

/// That one more connection is refused.
fn no_more(what: &str) {
    assert!(connect(TRUSTED, Duration::from_millis(900)).is_err(), "{what}: the count began anew");
}

/// Applies each of these limits with one network, then with a network more, then goes back, and looks at each step whether
/// what was counted before still counts.
fn kept(backend: Backend, limits: &[(&str, usize)]) {
    let lab = Lab::new(&["eth0"]);
    lab.clients.ip(&format!("addr add {TRUSTED}/32 dev lo\naddr add {STRANGER}/32 dev lo\n"));
    let _listener = TcpListener::bind((HOST4, 993)).expect("the port is free in this namespace");
    for (limit, most) in limits {
        let machine = Machine::new(backend);
        let limit = format!("[limits]\n{limit}\n");
        let one = machine.profile("one", &["198.51.100.0/24"], &limit);
        let two = machine.profile("two", &["198.51.100.0/24", "192.0.2.0/25"], &limit);
        machine.apply(&one);
        // All but one of what is allowed, and one who is refused.
        let _open = lab.clients.enter(|| opened(most - 1));
        lab.clients.enter(|| assert!(connect(STRANGER, Duration::from_millis(300)).is_err()));
        let refused = counted(&machine, "refused");
        assert!(refused > 0, "{backend:?}: nothing is counted");
        machine.apply(&two);
        assert!(counted(&machine, "refused") >= refused, "{backend:?}: the counter began anew");
        let _last = lab.clients.enter(|| {
            let last = opened(1);
            no_more("after a network more");
            last
        });
        let refused = counted(&machine, "refused");
        let back = machine.harden993(&["rollback"]);
        assert_eq!(back.code, Some(0), "{back:?}");
        assert!(counted(&machine, "refused") >= refused, "{backend:?}: the counter began anew");
        lab.clients.enter(|| no_more("after going back"));
        machine.clear();
    }
}

const RATE: (&str, usize) = ("new_connections = \"1/hour\"\nburst = 3", 3);
const CONCURRENT: (&str, usize) = ("concurrent = 3", 3);

#[test]
fn counters_and_limits_are_kept_nftables() {
    inside("small::counters_and_limits_are_kept_nftables", || kept(Backend::Nftables, &[RATE, CONCURRENT]));
}

#[test]
fn counters_and_limits_are_kept_iptables_nft() {
    inside("small::counters_and_limits_are_kept_iptables_nft", || kept(Backend::IptablesNft, &[RATE, CONCURRENT]));
}

/// The legacy variant forgets open connections at every commit to the table, whoever makes it.
#[test]
fn counters_and_limits_are_kept_iptables_legacy() {
    inside("small::counters_and_limits_are_kept_iptables_legacy", || kept(Backend::IptablesLegacy, &[RATE]));
}

/// A random list of networks, apart from each other.
fn networks(dice: &mut Dice, count: usize) -> Vec<String> {
    let v6 = |n: u64, dice: &mut Dice| format!("2001:db8:{:x}:{:x}::/{}", n >> 8, n & 255, 64 + dice.below(2) * 64);
    let v4 = |n: u64, dice: &mut Dice| format!("10.{}.{}.0/{}", n >> 8, n & 255, 24 + dice.below(9) / 8 * 8);
    let numbers: std::collections::BTreeSet<u64> = (0..count).map(|_| dice.below(1 << 16)).collect();
    numbers.into_iter().map(|n| if dice.below(2) == 0 { v4(n, dice) } else { v6(n, dice) }).collect()
}

/// What is loaded, without the order in which the elements of a set are listed, which is that of their coming.
fn loaded(backend: Backend) -> Vec<Vec<String>> {
    let words = |line: &str| line.split([' ', ',', '\t', '\n']).map(str::to_owned).collect::<Vec<_>>();
    let rules = backend.rules();
    if backend != Backend::Nftables {
        return rules.lines().map(words).collect();
    }
    // Blocks are apart from each other by their heads, which have one tab before them.
    let mut blocks: Vec<Vec<String>> = Vec::new();
    for line in rules.lines() {
        let set = blocks.last().is_some_and(|b| b.contains(&"set".to_owned()));
        match blocks.last_mut() {
            Some(block) if line.starts_with("\t\t") && set => block.extend(words(line)),
            _ => blocks.push(words(line)),
        }
    }
    blocks.iter_mut().filter(|b| b.contains(&"set".to_owned())).for_each(|b| b.sort());
    blocks
}

/// A small change ends in what is loaded where nothing was, for pairs of generated lists: short ones, trees of chains, and
/// lists so long that each length is a hash set.
fn ends_alike(backend: Backend) {
    let mut dice = Dice::new(993);
    for count in [3, 12, 40, 150, 150, 1500] {
        let machine = Machine::new(backend);
        let before = networks(&mut dice, count);
        let mut after = before.clone();
        for _ in 0..=dice.below(4) {
            after.remove(dice.below(after.len() as u64) as usize);
        }
        // Their numbers may be taken already: then a network takes the place of another one, or lies in it.
        after.extend(networks(&mut dice, 3));
        let profile =
            |name, nets: &[String]| machine.profile(name, &nets.iter().map(String::as_str).collect::<Vec<_>>(), "");
        let (one, two) = (profile("one", &before), profile("two", &after));
        machine.apply(&two);
        let whole = loaded(backend);
        machine.clear();
        machine.apply(&one);
        let from = loaded(backend);
        machine.apply(&two);
        assert_eq!(loaded(backend), whole, "{backend:?}, {count}: a small change ended elsewhere");
        let diff = machine.harden993(&["diff", "--target", backend.target(), "--profile", &two]);
        assert_eq!((diff.code, diff.out.as_str()), (Some(0), ""), "{backend:?}, {count}");
        let back = machine.harden993(&["rollback"]);
        assert_eq!(back.code, Some(0), "{backend:?}, {count}: {back:?}");
        assert_eq!(loaded(backend), from, "{backend:?}, {count}: going back ended elsewhere");
        machine.clear();
    }
}

#[test]
fn a_small_change_ends_where_a_whole_load_does() {
    inside("small::a_small_change_ends_where_a_whole_load_does", || {
        Backend::ALL.into_iter().for_each(ends_alike);
    });
}
