//! Rulesets that others wrote: the kernel says what they do, and no decided verdict of ours may differ.
//!
//! Each ruleset is loaded in a namespace of its own; SYNs from all boundaries of its rules and from random sources are sent
//! by every interface, and each is held to what `reach` says. What is unknown is not held to anything, so the share of
//! rulesets without anything unknown is asserted, too.
//!
//! Beside those that were written after what administrators use there are invented ones, each by its number: a failure names it.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)] // the share is shown with `--nocapture`

#[path = "../support/dice.rs"]
#[allow(dead_code)] // the dice are shared with other tests
mod dice;
#[path = "../support/edges.rs"]
mod edges;
#[path = "../support/invent/mod.rs"]
#[allow(dead_code)] // each test asks for some of them
mod invent;
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

use std::ops::Range;
use std::path::{Path, PathBuf};

use dice::Dice;
use invent::INTERFACES;
use judge::{Judge, Kind};
use lab::{Lab, inside};

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
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{name}: {e}"));
            judge.try_ruleset(&name, &text, seed as u64).unwrap_or_else(|e| panic!("{name}: {e}"));
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

/// The numbers of the rulesets that are invented, unless `HARDEN993_INVENTED` names others, such as `300..1300`.
const INVENTED: Range<u64> = 0..100;

fn invented() -> Range<u64> {
    let Ok(asked) = std::env::var("HARDEN993_INVENTED") else { return INVENTED };
    let range = asked.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("HARDEN993_INVENTED is {asked:?}, not FROM..TO"))
}

/// Holds invented rulesets to the kernel.
fn hold_invented(test: &str, kind: Kind) {
    inside(test, || {
        let lab = Lab::new(INTERFACES);
        let mut judge = Judge::new(&lab, kind, INTERFACES);
        judge.most = 1200;
        let (mut refused, mut wrong) = (Vec::new(), String::new());
        for number in invented() {
            let dice = &mut Dice::new(number);
            let text =
                if kind == Kind::Nftables { invent::nft::ruleset(dice) } else { invent::iptables::ruleset(dice) };
            if let Err(e) = judge.try_ruleset(&format!("number {number}"), &text, number) {
                refused.push(e);
            }
            // A few are enough to begin with.
            if !judge.wrong.is_empty() && wrong.len() < 20_000 {
                wrong = format!("{wrong}{}\n{text}\n", judge.wrong.join("\n"));
                judge.wrong.clear();
            }
        }
        println!(); // the runner has begun a line of its own
        judge.summary().lines().for_each(|l| println!("| {l}"));
        assert!(wrong.is_empty() && judge.wrong.is_empty(), "packets are decided otherwise:\n{wrong}");
        let (tried, refusals) = (judge.tried, refused.len());
        assert!(refusals * 4 <= tried, "{refusals} were refused by the firewall's own tool:\n{}", refused.join("\n"));
        assert!(judge.decided * 2 > judge.sent, "only {} of {} packets were decided", judge.decided, judge.sent);
    });
}

#[test]
fn invented_nftables_rulesets_do_what_we_say() {
    hold_invented("invented_nftables_rulesets_do_what_we_say", Kind::Nftables);
}

#[test]
fn invented_iptables_nft_rulesets_do_what_we_say() {
    hold_invented("invented_iptables_nft_rulesets_do_what_we_say", Kind::IptablesNft);
}

#[test]
fn invented_iptables_legacy_rulesets_do_what_we_say() {
    hold_invented("invented_iptables_legacy_rulesets_do_what_we_say", Kind::IptablesLegacy);
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
