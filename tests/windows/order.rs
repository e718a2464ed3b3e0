//! The order of an update, replayed: at no step is the port more open than before and after together, and who is trusted
//! before and after is never shut out.

use harden993::net::AddrSet;
use harden993::policy::Draft;
use proptest::prelude::*;

use crate::drafts::{draft, scattered, script, trusting};
use crate::host::Host;
use crate::powershell::{Data, data};

fn of(draft: &Draft) -> Data {
    data(&script("office-mail", &draft.clone().lower()))
}

/// Follows a load from a host's state, and a load that fails at each step and is undone.
fn follow(before: &Host, data: &Data, port: &str) -> Result<(), TestCaseError> {
    let after = before.loaded(data);
    let (old, new) = (before.reachable(port), after.reachable(port));
    let (most, least) = (old.union(&new), old.intersect(&new));
    let states = before.steps(data);
    for state in &states {
        let now = state.reachable(port);
        prop_assert!(most.contains_all(&now), "more open than before and after together");
        prop_assert!(now.contains_all(&least), "somebody who stays trusted was shut out");
    }
    // Created rules are taken away newest first, which are the states of before in reverse.
    let created: Vec<&String> = data.rules.iter().map(|r| &r.name).filter(|n| !before.ours.contains_key(*n)).collect();
    for failed_at in 0..=created.len() {
        let mut host = before.clone();
        for name in &created[..failed_at] {
            let rule = data.rules.iter().find(|r| r.name == **name).expect("it is one of them");
            host.ours.insert((*name).clone(), (rule.clone(), data.interfaces.clone()));
        }
        for name in created[..failed_at].iter().rev() {
            let now = host.reachable(port);
            prop_assert!(most.contains_all(&now) && now.contains_all(&least));
            host.ours.remove(*name);
        }
        prop_assert_eq!(&host, before);
    }
    // Twice is once.
    prop_assert!(after.steps(data).is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_update_never_opens_a_hole_or_shuts_out(old in draft(), new in draft(), open: bool, fresh: bool) {
        let (old, new) = (of(&Draft { interfaces: vec![], ..old }), of(&Draft { interfaces: vec![], ..new }));
        let empty = Host { open, ..Host::default() };
        let before = if fresh { empty } else { empty.loaded(&old) };
        for port in ["993", "143", "995", "25"] {
            follow(&before, &new, port)?;
        }
        prop_assert_eq!(before.loaded(&new).reachable("993").minus(&"::/127".parse().unwrap()),
            new.rules.iter().filter(|r| r.enabled && r.action == "Allow" && r.ports.contains(&"993".to_owned()))
                .fold(AddrSet::new(), |s, r| s.union(&r.sources())));
    }
}

#[test]
fn many_rules_are_updated_as_safely_as_few() {
    let mut wider = scattered(2000);
    wider.grants.extend(trusting(&["198.51.100.0/24", "2001:db8:ffff::/48"]).grants);
    for open in [false, true] {
        let before = Host { open, ..Host::default() }.loaded(&of(&scattered(2000)));
        follow(&before, &of(&wider), "993").expect("it holds");
        let before = Host { open, ..Host::default() }.loaded(&of(&wider));
        follow(&before, &of(&scattered(2000)), "993").expect("it holds");
    }
}
