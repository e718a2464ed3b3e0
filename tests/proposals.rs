//! A profile that is proposed from a ruleset is read again without errors, and its rendering lets in the same addresses:
//! for every ruleset of others in `tests/foreign/`, none of which is written for this test, and for invented ones.

#[path = "support/dice.rs"]
mod dice;
#[path = "support/invent/mod.rs"]
#[allow(dead_code)] // each test asks for some of them
mod invent;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dice::Dice;
use harden993::access::Path as Way;
use harden993::change::{Reach, Scope, reach};
use harden993::host::Recorded;
use harden993::net::AddrSet;
use harden993::policy::{Feature, TargetSettings};
use harden993::profile::{Disk, Options, Origin, load};
use harden993::program::{World, run};
use harden993::target::{self, ALL, HEADING, Listing, Platform, adapt, read_host};

/// What is asked about, beside the port: which way and by which interface.
type Side = (Way, Option<String>);

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(folder);
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut out: Vec<PathBuf> = entries.map(|e| e.expect("it can be read").path()).collect();
    out.sort();
    out
}

/// Runs `init --from-ruleset`: the exit code, the profile that it prints, and what it says of it.
fn init(text: &str) -> (u8, String, String) {
    let host = Recorded::default();
    host.put("old", text);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut world = World { host: &host, stdout: &mut out, stderr: &mut err };
    let args = ["harden993", "init", "--from-ruleset", "old", "--profile", "-"];
    let code = run(args, &mut world);
    let (out, err) = [out, err].map(|b| String::from_utf8(b).expect("what is printed is text")).into();
    (code, out, err)
}

/// Who comes in and who is asked about, by side; for the destinations that no rule names.
fn sides(answers: Vec<Reach>) -> BTreeMap<Side, (AddrSet, AddrSet)> {
    let plain = answers.into_iter().filter(|a| a.asked.to.is_none());
    plain
        .map(|a| {
            let known = a.reachable.union(&a.refused);
            let asked = a.unknown.iter().fold(known, |all, u| all.union(&u.sources.0));
            ((a.asked.path, a.asked.interface), (a.reachable, asked))
        })
        .collect()
}

/// Holds the proposal from one ruleset to it; tells whether everything could be taken over.
fn hold(name: &str, text: &str, target: &dyn target::Target) -> bool {
    let (code, profile, said) = init(text);
    assert_eq!(code, 0, "{name}: {said}");
    let specs: Vec<_> = ALL.iter().map(|t| t.spec()).collect();
    let options = Options { today: jiff::civil::date(2026, 11, 25), specs: &specs };
    let loaded = load(&Origin::Text { text: profile.clone().into_bytes(), dir: ".".into() }, &options, &Disk);
    assert!(!loaded.has_errors(), "{name}: {:?}\n{profile}", loaded.problems);
    let policy = loaded.policy.as_ref().expect("a profile without errors has a policy");
    // How it logs is the target's own matter; whom it lets in is not.
    let settings =
        TargetSettings { degrade: [Feature::Log, Feature::LogRate].into(), ..loaded.target(target.spec().name) };
    let adapted =
        adapt(target, policy, &loaded.asked, &settings).unwrap_or_else(|e| panic!("{name}: {e:?}\n{profile}"));
    let job = adapted.job(policy.digest(), &loaded.name, &settings);
    let files = target::render(target, &job).unwrap_or_else(|e| panic!("{name}: {e}\n{profile}"));
    let rendered = Listing::of_text(files.iter().map(|f| f.content.as_str()).collect::<String>());
    let rendered = read_host(Platform::Linux, &rendered).expect("our own rendering is read").ruleset;
    let old = read_host(Platform::Linux, &Listing::parse(text)).expect("the ruleset is read").ruleset;
    let scope = |path| Scope {
        named: old.interfaces().into_iter().chain(rendered.interfaces()).collect(),
        path,
        ..Scope::of_port(993)
    };
    let exact = !said.contains("not taken over");
    for ((path, interface), (before, asked)) in sides(reach(&old, &scope(None))) {
        let after = sides(reach(&rendered, &scope(Some(path))));
        let (after, _) =
            after.get(&(path, interface.clone())).unwrap_or_else(|| panic!("{name}: {path:?} {interface:?}"));
        let after = after.intersect(&asked);
        let (more, less) = (after.minus(&before), before.minus(&after));
        assert!(more.is_empty(), "{name}, {path:?}, {interface:?}: {} more\n{profile}", more.brief(5));
        assert!(less.is_empty() || !exact, "{name}, {path:?}, {interface:?}: {} less\n{profile}", less.brief(5));
    }
    exact
}

#[test]
fn a_proposal_from_nftables_lets_in_the_same_addresses() {
    let nftables = target::by_name("nftables").expect("it is a target");
    let mut exact = 0;
    let files = files("nft");
    for file in &files {
        let text = std::fs::read_to_string(file).expect("it can be read");
        // Definitions are the one thing in these files that nft does not print.
        let text: String = text.split_inclusive('\n').filter(|l| !l.starts_with("define ")).collect();
        exact += usize::from(hold(&file.display().to_string(), &text, nftables));
    }
    assert!(exact * 2 >= files.len(), "{exact} of {} can be taken over whole", files.len());
}

#[test]
fn a_proposal_from_iptables_lets_in_the_same_addresses() {
    let iptables = target::by_name("iptables").expect("it is a target");
    let mut exact = 0;
    let files = files("iptables");
    for file in &files {
        let text = std::fs::read_to_string(file).expect("it can be read");
        let (v4, v6) = text.split_once("# ip6tables\n").unwrap_or((&text, ""));
        let capture = format!("{HEADING}iptables-save\n{v4}{HEADING}ip6tables-save\n{v6}");
        exact += usize::from(hold(&file.display().to_string(), &capture, iptables));
    }
    assert!(exact * 2 >= files.len(), "{exact} of {} can be taken over whole", files.len());
}

#[test]
fn a_proposal_that_is_too_large_for_a_profile_is_refused() {
    let rules = (0..200_000u32).fold(String::from("*filter\n:INPUT DROP [0:0]\n"), |mut text, n| {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + n);
        text.extend(["-A INPUT -s ", &address.to_string(), "/32 -p tcp -m tcp --dport 993 -j ACCEPT\n"]);
        text
    }) + "COMMIT\n";
    let (code, out, err) = init(&rules);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("200000 rules let somebody in") && err.contains("larger than 16 MiB"), "{err}");
}

/// Holds the proposals from invented rulesets to them.
fn hold_invented(target: &str, invent: fn(&mut Dice) -> String) {
    const NUMBERS: std::ops::Range<u64> = 0..300;
    let target = target::by_name(target).expect("it is a target");
    let exact = NUMBERS.filter(|n| hold(&format!("number {n}"), &invent(&mut Dice::new(*n)), target)).count();
    assert!(exact * 2 >= NUMBERS.count(), "{exact} of {NUMBERS:?} can be taken over whole");
}

#[test]
fn a_proposal_from_an_invented_nftables_ruleset_lets_in_the_same_addresses() {
    hold_invented("nftables", invent::nft::ruleset);
}

#[test]
fn a_proposal_from_an_invented_iptables_ruleset_lets_in_the_same_addresses() {
    hold_invented("iptables", |dice| {
        let text = invent::iptables::ruleset(dice);
        let (v4, v6) = text.split_once("# ip6tables\n").expect("both families are there");
        format!("{HEADING}iptables-save\n{v4}{HEADING}ip6tables-save\n{v6}")
    });
}
