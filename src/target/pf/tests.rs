//! The anchor's file, whole, and what three systems print for it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Pf;
use crate::access::{Bucket, Interface, Outcome, Packet, Pattern, Per, Question, Rate, Refuse, Verdict};
use crate::net::AddrSet;
use crate::policy::{Asked, Draft, Feature, Forwarded, Grant, Limit, Policy, TargetSettings};
use crate::ruleset::{Ruleset, evaluate};
use crate::target::{Job, Listing, Target, adapt, render};

fn settings(dialect: &str) -> TargetSettings {
    let choices = [("dialect".to_owned(), dialect.to_owned())].into();
    TargetSettings { degrade: Feature::ALL.into(), choices, ..TargetSettings::default() }
}

fn rendered(policy: &Policy, dialect: &str) -> String {
    let settings = settings(dialect);
    let adapted = adapt(&Pf, policy, &Asked::new(), &settings).unwrap_or_else(|r| panic!("{r:?}"));
    let job = Job {
        policy: &adapted.policy,
        digest: policy.digest(),
        name: "office",
        settings: &settings,
        deviations: &adapted.deviations,
        family: None,
    };
    let mut files = render(&Pf, &job).unwrap_or_else(|e| panic!("{e}"));
    files.remove(0).content
}

fn read(text: &str) -> Ruleset {
    Pf.read(&Listing::of_text(text)).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn verdict(ruleset: &Ruleset, q: &Question, ip: &str) -> Outcome {
    Outcome { by: None, ..evaluate(ruleset, q).at(ip.parse::<IpAddr>().unwrap()).clone() }
}

fn on(interface: &str) -> Question {
    Question { interface: Interface::parse(interface), ..Question::opening(993) }
}

fn grant(nets: &[&str], limit: Option<Limit>) -> Grant {
    Grant {
        sources: nets.iter().map(|n| n.parse().unwrap()).fold(AddrSet::new(), |a, b| a.union(&b)),
        via: Vec::new(),
        limit,
    }
}

/// The situation of the notes: an office with a hole, one exempt network, blocked neighbours, limits, one interface.
fn office() -> Policy {
    let limit = Limit { rate: Some(Bucket { rate: Rate::new(30, Per::Minute), burst: 30 }), concurrent: Some(40) };
    let mut office = grant(&["198.51.100.0/24", "203.0.113.7", "203.0.113.16/28", "2001:db8:10::/48"], Some(limit));
    office.sources = office.sources.minus(&"198.51.100.66".parse().unwrap());
    Draft {
        grants: vec![office, grant(&["192.0.2.0/28"], None)],
        blocked: "198.51.100.128/25".parse().unwrap(),
        interfaces: vec![Pattern::name("em0")],
        ipv6_prefix: 128,
        ..Draft::default()
    }
    .lower()
}

#[test]
fn the_file_of_an_office() {
    let text = rendered(&office(), "openbsd");
    expect_test::expect_file!["../../../tests/golden/pf/office.conf"].assert_eq(&text);
}

#[test]
fn the_decisions_that_openbsd_makes_for_these_rules() {
    let ruleset = read(&rendered(&office(), "openbsd"));
    let at = |ip: &str| verdict(&ruleset, &on("em0"), ip).verdict;
    let limited = |ip: &str| matches!(at(ip), Verdict::Limit { .. });
    let dropped = Verdict::Refuse(Refuse::Drop);
    assert!(limited("198.51.100.1") && limited("203.0.113.7") && limited("203.0.113.17") && limited("2001:db8:10::5"));
    for ip in ["198.51.100.66", "198.51.100.129", "203.0.113.32", "2001:db8:11::5"] {
        assert_eq!(at(ip), dropped, "{ip}");
    }
    assert_eq!(at("192.0.2.5"), Verdict::Accept);
    assert_eq!(verdict(&ruleset, &on("lo0"), "192.0.2.99").verdict, Verdict::Accept);
    assert_eq!(verdict(&ruleset, &on("em1"), "192.0.2.99").verdict, Verdict::Accept);
    let smtp = Question { port: 25, ..on("em0") };
    assert_eq!(verdict(&ruleset, &smtp, "192.0.2.99").verdict, Verdict::Accept);
    // A packet of a connection that pf does not know is refused whoever sends it, and no line is logged.
    let stray = on("em0").packet(Packet::Stray);
    assert_eq!(verdict(&ruleset, &stray, "198.51.100.1"), dropped.clone().into());
    // One of a connection that it knows passes, blocked or not.
    assert_eq!(verdict(&ruleset, &on("em0").packet(Packet::Known), "198.51.100.129").verdict, Verdict::Accept);
}

#[test]
fn the_digest_stands_in_the_labels() {
    let ruleset = read(&rendered(&office(), "freebsd"));
    assert_eq!(ruleset.digest, Some(office().digest().to_string()));
}

#[test]
fn no_label_or_name_is_longer_than_pf_holds() {
    let via = |name: &str| Grant { via: vec![Pattern::parse(name)], ..grant(&["192.0.2.0/28"], None) };
    let limits = (1..40).map(|n| {
        let limit = Limit { rate: None, concurrent: Some(n) };
        grant(&[&format!("10.0.{n}.0/24")], Some(limit))
    });
    let grants = limits.chain([via("wg*"), via("carp15"), via("trunk12345678"), via("enc0")]).collect();
    let text =
        rendered(&Draft { grants, close_plaintext: true, ipv6_prefix: 128, ..Draft::default() }.lower(), "openbsd");
    for label in text.lines().filter_map(|l| l.split_once("label \"")).map(|(_, l)| l.trim_end_matches('"')) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:@-".contains(&b);
        assert!(!label.is_empty() && label.len() <= 63 && label.bytes().all(plain), "{label}");
    }
    for name in text.lines().filter_map(|l| l.strip_prefix("table <")).filter_map(|l| l.split('>').next()) {
        assert!(name.len() <= 31 && name.starts_with("h993_"), "{name}");
    }
    assert!(
        text.lines().filter(|l| l.starts_with("pass") || l.starts_with("block")).all(|l| l.contains(" label \"h993:"))
    );
    assert!(text.lines().all(|l| !l.starts_with('#') || !l.ends_with('\\')));
    assert!(text.is_ascii() && text.ends_with('\n') && !text.contains('\r') && !text.contains('$'));
}

#[test]
fn what_pf_cannot_do_is_refused_with_a_way_out() {
    let asked: Asked = Feature::ALL.into();
    let refuse = |policy: &Policy, dialect: &str| -> Vec<String> {
        let settings = TargetSettings { degrade: BTreeSet::new(), ..settings(dialect) };
        let refusals = adapt(&Pf, policy, &asked, &settings).err().unwrap_or_default();
        refusals.into_iter().map(|r| r.message).collect()
    };
    let limit = Limit { rate: Some(Bucket { rate: Rate::new(7, Per::Minute), burst: 2 }), concurrent: None };
    let draft = Draft {
        grants: vec![grant(&["192.0.2.0/28"], Some(limit))],
        forwarded: Forwarded::Translated,
        ipv4_prefix: 24,
        ..Draft::default()
    };
    let found = refuse(&draft.lower(), "openbsd");
    for word in ["`forwarded`", "`burst`", "`ipv4_prefix`", "`ipv6_prefix`", "`log-rate`"] {
        assert!(found.iter().any(|m| m.contains(word)), "{word}: {found:?}");
    }
    let by = |names: &[&str], dialect: &str| {
        let interfaces = names.iter().map(|n| Pattern::parse(n)).collect();
        refuse(&Draft { interfaces, log: None, ..Draft::default() }.lower(), dialect)
    };
    let via = |name: &str, net: &str| Grant { via: vec![Pattern::parse(name)], ..grant(&[net], None) };
    let both = Draft { grants: vec![via("wg", "192.0.2.1"), via("wg*", "192.0.2.2")], log: None, ..Draft::default() };
    assert_eq!(refuse(&both.lower(), "openbsd").len(), 1);
    assert_eq!(by(&["em0", "wg*"], "openbsd"), [""; 0]);
    assert_eq!(by(&["egress"], "freebsd"), [""; 0]);
    for (names, dialect) in [
        (&["em*"][..], "openbsd"),
        (&["wg1*"], "freebsd"),
        (&["utun*"], "macos"),
        (&["egress"], "macos"),
        (&["a-name-of-16-let"], "openbsd"),
        (&["em0 quick"], "openbsd"),
        (&["em\"0"], "openbsd"),
        (&["em0\\"], "openbsd"),
        (&[""], "openbsd"),
    ] {
        assert_eq!(by(names, dialect).len(), 1, "{names:?} on {dialect}");
    }
}

#[test]
fn a_burst_is_written_as_the_seconds_that_refill_it() {
    let rate = |count, per, burst| super::capability::rate(Bucket { rate: Rate::new(count, per), burst });
    assert_eq!(rate(60, Per::Minute, 60), Some((60, 60)));
    assert_eq!(rate(60, Per::Minute, 30), Some((30, 30)));
    assert_eq!(rate(7, Per::Minute, 2), None);
    assert_eq!(rate(10, Per::Second, 5), None);
    assert_eq!(rate(1, Per::Hour, u32::MAX), None);
}

#[test]
fn macos_has_no_self_and_is_told_any() {
    let text = rendered(&Draft { grants: vec![grant(&["192.0.2.0/28"], None)], ..Draft::default() }.lower(), "macos");
    assert!(!text.contains("(self)") && text.contains("from any to any port = 993 flags S/SA"));
}
