//! Rulesets small enough to be judged by eye.

use std::sync::Arc;

use crate::access::{Path, Pattern, Refuse};
use crate::net::AddrSet;
use crate::policy::{Draft, Grant};
use crate::ruleset::{ChainId, Hook, Match, Origin, Ports, Rewrite, Rule, Ruleset, Stage, Then};

use super::{Scope, effect, reach, verify};

fn set(nets: &[&str]) -> AddrSet {
    nets.iter().map(|n| n.parse::<AddrSet>().expect("a network")).fold(AddrSet::new(), |a, b| a.union(&b))
}

fn from(nets: &[&str]) -> Match {
    Match::Source(Arc::new(set(nets)))
}

fn port(n: u16) -> Match {
    Match::Port(Ports::one(n))
}

/// A ruleset with one stage at a hook.
fn stage(rules: &mut Ruleset, hook: Hook, nat: bool, policy: Then, list: Vec<(Vec<Match>, Then)>) -> ChainId {
    let chain = rules.chain(format!("{hook:?}"));
    for (number, (matches, then)) in list.into_iter().enumerate() {
        let origin =
            rules.origin(Origin { place: format!("{hook:?}").into(), line: number as u32 + 1, ..Origin::default() });
        rules.push(chain, Rule { matches, log: None, then, origin });
    }
    rules.stages.push(Stage {
        name: format!("{hook:?}"),
        hook,
        priority: 0,
        family: None,
        nat,
        chain,
        policy,
        ours: false,
    });
    chain
}

fn input(policy: Then, list: Vec<(Vec<Match>, Then)>) -> Ruleset {
    let mut rules = Ruleset::default();
    stage(&mut rules, Hook::Input, false, policy, list);
    rules
}

const DROP: Then = Then::Refuse(Refuse::Drop);

fn office() -> crate::policy::Policy {
    let grant = Grant { sources: set(&["192.0.2.0/24", "2001:db8::/32"]), via: vec![], limit: None };
    Draft { grants: vec![grant], ..Draft::default() }.lower()
}

#[test]
fn an_empty_ruleset_lets_everybody_in() {
    let empty = Ruleset::default();
    let found = reach(&empty, &Scope::of_port(993));
    assert_eq!(found.len(), 1);
    assert!(found[0].refused.is_empty() && found[0].unknown.is_empty());
    assert!(found[0].reachable.contains_all(&set(&["8.8.8.8", "2a00::/16"])));
    let verified = verify(&office(), &empty, &Scope::of_policy(&office()));
    assert!(verified[0].missing.is_empty() && !verified[0].excess.overlaps(&set(&["192.0.2.0/24", "2001:db8::/32"])));
}

#[test]
fn a_later_stage_that_drops_makes_the_trusted_missing() {
    let mut rules = input(DROP, vec![(vec![from(&["192.0.2.0/24", "2001:db8::/32"]), port(993)], Then::Accept)]);
    assert!(verify(&office(), &rules, &Scope::of_policy(&office())).iter().all(super::Verified::holds));
    stage(&mut rules, Hook::Input, false, Then::Accept, vec![(vec![from(&["192.0.2.64/26"])], DROP)]);
    let verified = verify(&office(), &rules, &Scope::of_policy(&office()));
    assert_eq!(verified[0].missing, set(&["192.0.2.64/26"]));
    assert!(verified[0].excess.is_empty());
}

#[test]
fn what_a_rule_sends_to_another_host_is_asked_about_as_forwarded() {
    let mut rules = input(DROP, vec![(vec![from(&["192.0.2.0/24", "2001:db8::/32"])], Then::Accept)]);
    let rewrite = Rewrite { to: Some(set(&["172.17.0.2"])), port: Some(10993) };
    let dnat = vec![(vec![port(993), from(&["198.51.100.0/24"])], Then::Rewrite(Box::new(rewrite)))];
    stage(&mut rules, Hook::Prerouting, true, Then::Accept, dnat);
    let verified = verify(&office(), &rules, &Scope::of_policy(&office()));
    assert_eq!(verified.len(), 2);
    assert_eq!((verified[0].asked.path, verified[1].asked.path), (Path::Input, Path::Forwarded));
    assert!(verified[0].holds());
    assert_eq!(verified[1].excess, set(&["198.51.100.0/24"]));
    // A filter on the way behind the translation sees the new port.
    stage(&mut rules, Hook::Forward, false, Then::Accept, vec![(vec![port(10993)], DROP)]);
    assert!(verify(&office(), &rules, &Scope::of_policy(&office())).iter().all(super::Verified::holds));
}

#[test]
fn an_interface_that_a_rule_names_is_reported_where_it_differs() {
    let by = |name: &str| Match::Interface(vec![Pattern::name(name)]);
    let rules = input(DROP, vec![(vec![by("wg0")], Then::Accept), (vec![by("eth9")], DROP)]);
    let found = reach(&rules, &Scope::of_port(993));
    let names: Vec<_> = found.iter().map(|r| r.asked.interface.as_deref()).collect();
    assert_eq!(names, [None, Some("wg0")]);
    assert!(found[0].reachable.is_empty() && found[1].refused.is_empty());
}

#[test]
fn destinations_that_rules_name_are_asked_one_by_one() {
    let to = |net: &str| Match::Destination(Arc::new(set(&[net])));
    let rules =
        input(DROP, vec![(vec![to("203.0.113.5")], Then::Accept), (vec![from(&["2001:db8::/32"])], Then::Accept)]);
    let found = reach(&rules, &Scope::of_port(993));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].asked.to, None);
    assert_eq!(found[0].reachable, set(&["2001:db8::/32"]));
    assert_eq!(found[1].asked.to, Some(vec!["203.0.113.5".to_owned()]));
    assert!(found[1].reachable.v6.is_empty() && found[1].refused.is_empty() && found[1].unknown.is_empty());
}

#[test]
fn an_effect_is_only_what_changes() {
    let before = input(DROP, vec![(vec![from(&["192.0.2.0/24", "198.51.100.0/24"])], Then::Accept)]);
    let after = input(
        DROP,
        vec![
            (vec![from(&["192.0.2.0/25", "203.0.113.0/24"])], Then::Accept),
            (vec![Match::Unknown("the moon".into()), from(&["8.8.8.0/24"])], Then::Accept),
        ],
    );
    let effects = effect(&before, &after, &Scope::of_port(993));
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0].gained, set(&["203.0.113.0/24"]));
    assert_eq!(effects[0].lost, set(&["192.0.2.128/25", "198.51.100.0/24"]));
    assert_eq!(effects[0].unknown.len(), 1);
    assert_eq!(
        (effects[0].unknown[0].because.as_str(), &effects[0].unknown[0].sources.0),
        ("the moon", &set(&["8.8.8.0/24"]))
    );
    assert!(effect(&after, &after, &Scope::of_port(993))[0].is_empty());
}
