//! The rules that a script holds: allowed and blocked are exact complements, in lists that Windows can hold.

use std::collections::BTreeSet;

use harden993::net::{AddrSet, Network};
use harden993::policy::Draft;
use proptest::prelude::*;

use crate::drafts::{draft, scattered, script, trusting};
use crate::powershell::{Rule, data};

/// `::` and `::1`, which no rule can name and from which no connection comes.
fn unnameable() -> AddrSet {
    "::/127".parse().expect("a network")
}

/// The sources of all rules of an action for a port.
fn union<'a>(rules: impl IntoIterator<Item = &'a Rule>, action: &str, port: &str) -> AddrSet {
    let chosen = rules.into_iter().filter(|r| r.enabled && r.action == action && r.ports.iter().any(|p| p == port));
    chosen.fold(AddrSet::new(), |set, r| set.union(&r.sources()))
}

fn check(draft: Draft) -> Result<(), TestCaseError> {
    let policy = draft.lower();
    let data = data(&script("office-mail", &policy));
    let trusted = policy.trusted().minus(&unnameable());
    for port in &policy.ports {
        let port = port.to_string();
        let (allowed, blocked) = (union(&data.rules, "Allow", &port), union(&data.rules, "Block", &port));
        prop_assert_eq!(&allowed, &trusted);
        prop_assert!(!allowed.overlaps(&blocked), "Block would win");
        prop_assert_eq!(allowed.union(&blocked), AddrSet::all().minus(&unnameable()));
    }
    if policy.close_plaintext {
        prop_assert_eq!(union(&data.rules, "Block", "143"), AddrSet::all());
        prop_assert!(union(&data.rules, "Allow", "143").is_empty());
    }
    let mut names = BTreeSet::new();
    let mut spans: Vec<(String, Vec<String>, Network)> = Vec::new();
    for rule in &data.rules {
        prop_assert!(names.insert(rule.name.clone()), "names are unique");
        prop_assert!(rule.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        prop_assert!(rule.name.len() <= 511 && rule.name.starts_with("harden993-office-mail-"));
        for text in [&rule.display_name, &rule.description] {
            prop_assert!((1..=9999).contains(&text.len()) && !text.contains('|') && !text.starts_with('@'));
            prop_assert!(!text.contains(['*', '?', '[', ']']) && !text.eq_ignore_ascii_case("all"));
        }
        let (v4, v6) = rule.entries();
        prop_assert!(v4 <= 1000 && v6 <= 1000 && (v4 == 0 || v6 == 0) && v4 + v6 > 0);
        for entry in &rule.addresses {
            prop_assert!(!entry.ends_with("/0") && !entry.ends_with("/32") || entry.contains(':'), "{}", entry);
            prop_assert!(
                !entry.ends_with("/128") && !entry.starts_with("::-") && !entry.starts_with("::1-"),
                "{}",
                entry
            );
        }
        if rule.enabled && rule.addresses != ["Any"] {
            spans.extend(rule.networks().into_iter().map(|n| (rule.action.clone(), rule.ports.clone(), n)));
        }
    }
    // Windows drops entries that another one covers, so no two entries may overlap.
    spans.sort();
    for pair in spans.windows(2) {
        let (a, b) = (AddrSet::from(pair[0].2), AddrSet::from(pair[1].2));
        prop_assert!((&pair[0].0, &pair[0].1) != (&pair[1].0, &pair[1].1) || !a.overlaps(&b));
    }
    // The order in which they are created: what allows, what blocks, what names the policy.
    let ranks: Vec<u8> = data.rules.iter().map(|r| u8::from(!r.enabled) * 2 + u8::from(r.action == "Block")).collect();
    prop_assert!(ranks.is_sorted());
    let marker = data.rules.last().expect("there is always one");
    prop_assert!(!marker.enabled);
    prop_assert_eq!(marker.description.clone(), format!("harden993 policy {}", policy.digest()));
    prop_assert_eq!(ranks.iter().filter(|r| **r > 1).count(), 1);
    prop_assert_eq!((data.name.as_str(), data.digest), ("office-mail", policy.digest().to_string()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn allowed_and_blocked_are_exact_complements(draft in draft()) {
        check(draft)?;
    }
}

#[test]
fn so_they_are_for_the_extremes() {
    for draft in [
        Draft::default(),
        trusting(&["0.0.0.0/0", "::/0"]),
        trusting(&["0.0.0.0/0"]),
        trusting(&["::1", "::2", "127.0.0.1"]),
        trusting(&["0.0.0.0", "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
        scattered(5000),
    ] {
        check(draft).expect("it holds");
    }
}

#[test]
fn one_network_more_is_a_few_rules_more() {
    let before = data(&script("m", &scattered(20_000).lower()));
    let mut draft = scattered(20_000);
    draft.grants.extend(trusting(&["198.51.100.64/26"]).grants);
    let after = data(&script("m", &draft.lower()));
    let old: BTreeSet<&str> = before.rules.iter().map(|r| r.name.as_str()).collect();
    let new = after.rules.iter().filter(|r| !old.contains(r.name.as_str())).count();
    assert!(old.len() > 100 && new <= 16, "{new} of {} rules are new", after.rules.len());
}
