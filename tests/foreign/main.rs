//! Rulesets that others wrote: the kernel says what they do, and no decided verdict of ours may differ.
//!
//! Each ruleset is loaded in a namespace of its own; SYNs from all boundaries of its rules and from random sources are sent
//! by every interface, and each is held to what `reach` says. What is unknown is not held to anything, so the share of
//! rulesets without anything unknown is asserted, too.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)] // the share is shown with `--nocapture`

#[path = "../support/dice.rs"]
#[allow(dead_code)] // the dice are shared with other tests
mod dice;
#[path = "../support/edges.rs"]
mod edges;
mod judge;
#[path = "../kernel/lab.rs"]
#[allow(dead_code)] // the lab is shared with the kernel tests, which use more of it
mod lab;
#[path = "../kernel/probe.rs"]
#[allow(dead_code)]
mod probe;
#[path = "../kernel/wire.rs"]
#[allow(dead_code)]
mod wire;

use std::path::{Path, PathBuf};

use judge::{Judge, Kind};
use lab::{Lab, inside};

/// The host's interfaces: those that the rulesets name, and one that none does.
const INTERFACES: &[&str] = &["eth0", "eth1", "wg0", "ppp0", "br0", "lan7"];

/// The share of rulesets that is decided without anything unknown, in percent.
const SHARE: usize = 75;

/// The rulesets of a folder, in the order of their names.
fn rulesets(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut out: Vec<PathBuf> = entries.map(|e| e.expect("the folder can be read").path()).collect();
    out.retain(|p| p.extension().is_some_and(|e| e == extension));
    out.sort();
    out
}

/// Holds all rulesets of a folder to the kernel.
fn hold(test: &str, kind: Kind, folder: &Path, interfaces: &[&str]) {
    inside(test, || {
        let lab = Lab::new(interfaces);
        let mut judge = Judge::new(&lab, kind, interfaces);
        let files = rulesets(folder, kind.extension());
        for (seed, file) in files.iter().enumerate() {
            judge.try_ruleset(file, seed as u64);
        }
        println!(); // the runner has begun a line of its own
        judge.summary().lines().for_each(|l| println!("| {l}"));
        assert!(judge.wrong.is_empty(), "packets are decided otherwise:\n{}", judge.wrong.join("\n"));
        let (exact, all) = (judge.exact, judge.tried);
        assert!(all >= files.len().min(12) && exact * 100 >= all * SHARE, "{exact} of {all} are decided exactly");
    });
}

fn own(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(folder)
}

#[test]
fn nftables_rulesets_do_what_we_say() {
    hold("nftables_rulesets_do_what_we_say", Kind::Nftables, &own("nft"), INTERFACES);
}

#[test]
fn iptables_nft_rulesets_do_what_we_say() {
    hold("iptables_nft_rulesets_do_what_we_say", Kind::IptablesNft, &own("iptables"), INTERFACES);
}

#[test]
fn iptables_legacy_rulesets_do_what_we_say() {
    hold("iptables_legacy_rulesets_do_what_we_say", Kind::IptablesLegacy, &own("iptables"), INTERFACES);
}

/// The folder of `scripts/foreign`, with the folders `nftables` and `iptables` in it.
fn given(folder: &str) -> PathBuf {
    let root = std::env::var_os("HARDEN993_FOREIGN").expect("run scripts/foreign DIR");
    Path::new(&root).join(folder)
}

/// Interfaces for rulesets of which nothing is known.
const MANY: &[&str] = &["eth0", "eth1", "eth2", "eth4", "eth5", "eth6", "ppp0", "tun0", "br0", "br1", "lan7"];

#[test]
#[ignore = "needs a folder of rulesets: scripts/foreign DIR"]
fn given_nftables_rulesets_do_what_we_say() {
    hold("given_nftables_rulesets_do_what_we_say", Kind::Nftables, &given("nftables"), MANY);
}

#[test]
#[ignore = "needs a folder of rulesets: scripts/foreign DIR"]
fn given_iptables_nft_rulesets_do_what_we_say() {
    hold("given_iptables_nft_rulesets_do_what_we_say", Kind::IptablesNft, &given("iptables"), MANY);
}

#[test]
#[ignore = "needs a folder of rulesets: scripts/foreign DIR"]
fn given_iptables_legacy_rulesets_do_what_we_say() {
    hold("given_iptables_legacy_rulesets_do_what_we_say", Kind::IptablesLegacy, &given("iptables"), MANY);
}
