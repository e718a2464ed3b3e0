//! Beside rulesets that nobody wrote: before a load `diff` tells who gains and who loses by it, afterwards `verify` tells whom
//! others' rules refuse or let in; packets before and after it say the same.

use std::collections::BTreeSet;

use harden993::access::{Interface, Question, Verdict};
use harden993::net::AddrSet;

use crate::dice::Dice;
use crate::invent;
use crate::judge::{Entry, Field, INTERFACES, entries, firm, probes};
use crate::lab::{Lab, inside, run, try_run};
use crate::machine::Backend;
use crate::probe::Probe;

/// The numbers of the rulesets.
const NUMBERS: std::ops::Range<u64> = 0..30;

/// Loads a ruleset in place of everything; whether the firewall's own tool takes it.
fn load(backend: Backend, text: &str) -> bool {
    run("nft", &["flush", "ruleset"], "");
    let variant = match backend {
        Backend::Nftables => return try_run("nft", &["-f", "-"], text).is_ok(),
        Backend::IptablesNft => "nft",
        Backend::IptablesLegacy => "legacy",
    };
    let (v4, v6) = text.split_once("# ip6tables\n").expect("both families are there");
    let programs = [format!("iptables-{variant}-restore"), format!("ip6tables-{variant}-restore")];
    for program in &programs {
        run(program, &[], invent::iptables::EMPTY);
    }
    programs.iter().zip([v4, v6]).all(|(program, part)| try_run(program, &[], part).is_ok())
}

/// The questions of a report that a packet is one of: of each path the one that names its interface most closely.
fn fitting<'e>(entries: &'e [Entry], probe: &Probe) -> Vec<&'e Entry> {
    let name = Interface::parse(INTERFACES[probe.interface]);
    let fits = |e: &&Entry| {
        e.port == probe.port
            && e.interface.as_ref().is_none_or(|p| name.matches(p))
            && e.to.as_ref().is_none_or(|to| to.contains(probe.to))
    };
    let paths: BTreeSet<&str> = entries.iter().map(|e| e.path.as_str()).collect();
    let closest = |path| {
        let of_path = entries.iter().filter(fits).filter(|e| e.path == path);
        of_path.max_by_key(|e| (e.to.is_some(), e.interface.as_ref().map(|p| p.to_string().len())))
    };
    paths.into_iter().filter_map(closest).collect()
}

/// Whether a packet's source is in a list of one of its questions.
fn listed(entries: &[&Entry], probe: &Probe, list: impl Fn(&Entry) -> &AddrSet) -> bool {
    entries.iter().any(|e| list(e).contains(probe.source))
}

fn told_beside_others(test: &str, backend: Backend) {
    inside(test, || {
        let lab = Lab::new(INTERFACES);
        let mut field = Field::new(&lab, backend);
        let (mut tried, mut sent, mut known) = (0usize, 0, 0);
        for number in NUMBERS {
            let dice = &mut Dice::new(number);
            let text =
                if backend == Backend::Nftables { invent::nft::ruleset(dice) } else { invent::iptables::ruleset(dice) };
            if !load(backend, &text) {
                continue;
            }
            tried += 1;
            let mut draft = firm(dice);
            draft.ports = vec![993];
            field.write(&draft);
            let policy = draft.clone().lower();
            let effect = entries(&field.json("diff", 1)["effect"]);
            let lists: Vec<&AddrSet> =
                effect.iter().flat_map(|e| [e.list("gained"), e.list("lost"), &e.unknown]).collect();
            let probes = probes(&draft, &lists, dice);
            let before = field.fire(&probes);
            field.machine.apply(&field.profile);
            let after = field.fire(&probes);
            let verified = entries(&field.json_of("verify", &[0, 1])["questions"]);
            sent += probes.len();
            for (probe, (before, after)) in probes.iter().zip(before.into_iter().zip(after)) {
                let interface = INTERFACES[probe.interface];
                let what = || format!("{backend:?}, number {number}: from {} by {interface}\n{text}", probe.source);
                let of_effect = fitting(&effect, probe);
                if !listed(&of_effect, probe, |e| &e.unknown) {
                    let gained = listed(&of_effect, probe, |e| e.list("gained"));
                    let lost = listed(&of_effect, probe, |e| e.list("lost"));
                    assert_eq!((gained, lost), (after && !before, before && !after), "gained, lost: {}", what());
                    known += 1;
                }
                // What comes in by other interfaces is none of the profile's business.
                let name = Interface::parse(interface);
                let guarded = draft.interfaces.is_empty() || draft.interfaces.iter().any(|p| name.matches(p));
                let of_verified = fitting(&verified, probe);
                if guarded && !listed(&of_verified, probe, |e| &e.unknown) {
                    let question = Question { interface: name, ..Question::opening(probe.port) };
                    let trusted = !matches!(policy.answer(&question).at(probe.source).verdict, Verdict::Refuse(_));
                    let missing = listed(&of_verified, probe, |e| e.list("missing"));
                    let excess = listed(&of_verified, probe, |e| e.list("excess"));
                    assert_eq!(
                        (missing, excess),
                        (trusted && !after, after && !trusted),
                        "missing, excess: {}",
                        what()
                    );
                }
            }
        }
        assert!(tried * 4 >= NUMBERS.count() * 3, "only {tried} rulesets were loaded");
        assert!(known * 2 > sent, "of {known} of {sent} packets the effect was known");
    });
}

#[test]
fn a_load_beside_others_nftables_rules_is_told() {
    told_beside_others("beside::a_load_beside_others_nftables_rules_is_told", Backend::Nftables);
}

#[test]
fn a_load_beside_others_iptables_nft_rules_is_told() {
    told_beside_others("beside::a_load_beside_others_iptables_nft_rules_is_told", Backend::IptablesNft);
}

#[test]
fn a_load_beside_others_iptables_legacy_rules_is_told() {
    told_beside_others("beside::a_load_beside_others_iptables_legacy_rules_is_told", Backend::IptablesLegacy);
}
