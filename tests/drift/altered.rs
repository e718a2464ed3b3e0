//! Somebody changes what is ours: the diff is exactly what he did, by address, and packets say the same.

use std::collections::BTreeSet;

use harden993::net::AddrSet;

use crate::dice::Dice;
use crate::judge::{Field, INTERFACES, entries, entry, firm, probes};
use crate::lab::{Lab, inside, run, try_run};
use crate::machine::Backend;
use crate::mutants;

/// How many changes are made to each firewall.
const ROUNDS: u64 = 24;

/// What is loaded, in a form that can be loaded again: nft's listing of our table, or what iptables saves of `filter`.
pub(crate) fn listing(backend: Backend) -> Vec<(String, String)> {
    let save = |variant: &str| {
        ["iptables", "ip6tables"]
            .map(|p| (format!("{p}-{variant}-restore"), run(&format!("{p}-{variant}-save"), &["-t", "filter"], "")))
            .to_vec()
    };
    match backend {
        Backend::Nftables => vec![("nft".to_owned(), run("nft", &["list", "table", "inet", "harden993"], ""))],
        Backend::IptablesNft => save("nft"),
        Backend::IptablesLegacy => save("legacy"),
    }
}

/// Loads a listing; whether the firewall took it.
pub(crate) fn reload(program: &str, text: &str) -> bool {
    if program == "nft" {
        let whole = format!("table inet harden993\ndelete table inet harden993\n{text}");
        return try_run("nft", &["-f", "-"], &whole).is_ok();
    }
    try_run(program, &[], text).is_ok()
}

/// Makes one random change of ours; what was done, or none if the firewall refused it.
fn change(backend: Backend, dice: &mut Dice) -> Option<String> {
    let listings = listing(backend);
    let (program, text) = dice.pick(&listings);
    let lines: Vec<&str> = text.lines().collect();
    let whole = |lines: &[&str]| lines.join("\n") + "\n";
    let of = |wanted: &dyn Fn(&str) -> bool| -> Vec<usize> { (0..lines.len()).filter(|i| wanted(lines[*i])).collect() };
    let jump =
        of(&|l: &str| l.contains("jump guarded") && l.contains("dport") || l.starts_with("-A INPUT -p tcp -j H993-IN"));
    let (done, new) = match dice.below(6) {
        // A slip of the finger anywhere.
        0..=2 => {
            let edits = mutants::edits(backend.target(), text);
            let edit = dice.pick(&edits);
            let done = format!("{:?}: {:?} becomes {:?}", edit.kind, lines[edit.at], edit.new);
            (done, mutants::changed(text, edit))
        }
        // A set or chain is flushed.
        3 => {
            if backend == Backend::Nftables {
                let sets = of(&|l| l.starts_with("\tset "));
                if sets.is_empty() {
                    return None;
                }
                let name = lines[*dice.pick(&sets)].split_whitespace().nth(1).expect("a name");
                run("nft", &["flush", "set", "inet", "harden993", name], "");
                return Some(format!("{name} is flushed"));
            }
            let chains = of(&|l| l.starts_with(":H993-"));
            let name = lines[*dice.pick(&chains)][1..].split(' ').next().expect("a name");
            let kept: Vec<&str> = lines.iter().copied().filter(|l| !l.starts_with(&format!("-A {name} "))).collect();
            (format!("{name} is flushed"), whole(&kept))
        }
        // The jump is gone.
        4 => {
            let at = *dice.pick(&jump);
            let kept: Vec<&str> = (0..lines.len()).filter(|i| *i != at).map(|i| lines[i]).collect();
            (format!("{} is gone", lines[at].trim()), whole(&kept))
        }
        // Somebody lets a network in before ours, inside of what is ours or above it.
        _ => {
            let at = *dice.pick(&jump);
            let six = program.starts_with("ip6") || (program == "nft" && dice.below(2) == 0);
            let rule = match (program.as_str(), six) {
                ("nft", false) => "\t\tip saddr 198.51.96.0/20 tcp dport 993 accept",
                ("nft", true) => "\t\tip6 saddr 2001:db8::/36 tcp dport 993 accept",
                (_, false) => "-A INPUT -s 198.51.96.0/20 -p tcp -m tcp --dport 993 -j ACCEPT",
                (_, true) => "-A INPUT -s 2001:db8::/36 -p tcp -m tcp --dport 993 -j ACCEPT",
            };
            let mut kept = lines.clone();
            kept.insert(at, rule);
            (format!("before ours: {}", rule.trim()), whole(&kept))
        }
    };
    reload(program, &new).then_some(done)
}

/// Adds an element to a set of ours or deletes one, as somebody does it at a prompt; what was done, or none if nft refused.
fn element(_: Backend, dice: &mut Dice) -> Option<String> {
    let text = run("nft", &["list", "table", "inet", "harden993"], "");
    let mut sets = Vec::new();
    for block in text.split("\tset ").skip(1) {
        let block = block.split("\n\t}").next().expect("a block");
        let name = block.split_whitespace().next().expect("a name");
        let Some((_, elements)) = block.split_once("elements = {").filter(|_| !block.contains("dynamic")) else {
            continue;
        };
        let elements = elements.split('}').next().expect("elements end").split(',').map(str::trim);
        sets.push((name.to_owned(), elements.map(str::to_owned).collect::<Vec<_>>()));
    }
    if sets.is_empty() {
        return None;
    }
    let (name, elements) = dice.pick(&sets);
    let old = dice.pick(elements);
    let (verb, element) = if dice.below(2) == 0 {
        ("delete", old.clone())
    } else {
        // The same network, with another bit in its front.
        let (address, length) = old.split_once('/').map_or((old.as_str(), ""), |(a, l)| (a, l));
        let address = match address.split('-').next().expect("an address").parse().ok()? {
            std::net::IpAddr::V4(a) => std::net::Ipv4Addr::from(u32::from(a) ^ 1 << (20 + dice.below(10))).to_string(),
            std::net::IpAddr::V6(a) => std::net::Ipv6Addr::from(u128::from(a) ^ 1 << (88 + dice.below(38))).to_string(),
        };
        ("add", if length.is_empty() { address } else { format!("{address}/{length}") })
    };
    let done = format!("{verb} element inet harden993 {name} {{ {element} }}");
    try_run("nft", &["-f", "-"], &done).is_ok().then_some(done)
}

/// Changes what is ours, again and again, and holds `diff` to packets: who gains by the load that puts things right is who
/// came not in before it and does after it, and who loses the other way round.
fn changes_are_told(test: &str, backend: Backend, change: fn(Backend, &mut Dice) -> Option<String>) {
    inside(test, || {
        let lab = Lab::new(INTERFACES);
        let mut field = Field::new(&lab, backend);
        let (mut rounds, mut effective, mut verbs) = (0, 0, BTreeSet::new());
        for seed in 0.. {
            if rounds == ROUNDS {
                break;
            }
            let mut dice = Dice::new(11_000_000 + seed);
            let draft = firm(&mut dice);
            field.load(&draft);
            let before = backend.rules();
            let Some(done) = change(backend, &mut dice) else { continue };
            if backend.rules() == before {
                continue;
            }
            rounds += 1;
            verbs.extend(done.split(' ').next().map(str::to_owned));
            let said = field.json("diff", 1);
            assert!(said["changed"] == true && said["text"] != "", "{backend:?}, {seed}, {done}: {said}");
            let effect = entries(&said["effect"]);
            let sets: Vec<&AddrSet> = effect.iter().flat_map(|e| [e.list("gained"), e.list("lost")]).collect();
            effective += usize::from(sets.iter().any(|s| !s.is_empty()));
            let probes = probes(&draft, &sets, &mut dice);
            let altered = field.fire(&probes);
            field.machine.apply(&field.profile);
            let mended = field.fire(&probes);
            // What packets leave behind (counters, who is counted) is no difference.
            assert_eq!(field.json("diff", 0)["text"], "");
            for (probe, (old, new)) in probes.iter().zip(altered.into_iter().zip(mended)) {
                let interface = INTERFACES[probe.interface];
                let of = entry(&effect, probe.port, interface);
                let holds = |list: &str| of.is_some_and(|e| e.list(list).contains(probe.source));
                if of.is_some_and(|e| e.unknown.contains(probe.source)) {
                    continue;
                }
                let (gained, lost) = (!old && new, old && !new);
                assert_eq!(
                    (gained, lost),
                    (holds("gained"), holds("lost")),
                    "{backend:?}, {seed}, {done}: from {} to {} by {interface}\n{}",
                    probe.source,
                    probe.port,
                    said["text"].as_str().unwrap_or_default()
                );
            }
        }
        assert!(effective * 3 > rounds as usize, "only {effective} of {rounds} changes let somebody in or out");
        assert!(verbs.len() > 1, "more than one kind of change: {verbs:?}");
    });
}

#[test]
fn changes_of_nftables_are_told() {
    changes_are_told("altered::changes_of_nftables_are_told", Backend::Nftables, change);
}

#[test]
fn elements_of_nftables_are_told() {
    changes_are_told("altered::elements_of_nftables_are_told", Backend::Nftables, element);
}

#[test]
fn changes_of_iptables_nft_are_told() {
    changes_are_told("altered::changes_of_iptables_nft_are_told", Backend::IptablesNft, change);
}

#[test]
fn changes_of_iptables_legacy_are_told() {
    changes_are_told("altered::changes_of_iptables_legacy_are_told", Backend::IptablesLegacy, change);
}
