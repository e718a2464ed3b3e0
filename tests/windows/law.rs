//! What is rendered, read back, answers as the policy does; and what is not what was rendered does not.

use harden993::access::Question;
use harden993::policy::Draft;
use harden993::ruleset::{Ruleset, evaluate};
use harden993::target::Listing;
use proptest::prelude::*;

use crate::drafts::{adapted, draft, lenient, scattered, script, trusting, windows};

fn read(text: &str) -> Ruleset {
    windows().read(&Listing::of_text(text)).expect("the script is read")
}

/// Whether a ruleset answers every question as the policy does.
fn agrees(ruleset: &Ruleset, draft: &Draft) -> bool {
    let policy = adapted(&draft.clone().lower()).policy;
    policy.questions().iter().all(|q| windows().expected(&policy, &lenient(), q) == evaluate(ruleset, q))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_rendered_is_the_policy(draft in draft()) {
        let policy = draft.clone().lower();
        let text = script("office-mail", &policy);
        let ruleset = read(&text);
        prop_assert_eq!(ruleset.digest.clone(), Some(policy.digest().to_string()));
        prop_assert!(agrees(&ruleset, &draft));
        prop_assert!(windows().recognises(&text));
        prop_assert_eq!(script("office-mail", &policy), text);
    }
}

#[test]
fn large_policies_are_proved() {
    let draft = scattered(4000);
    assert!(agrees(&read(&script("big", &draft.clone().lower())), &draft));
}

#[test]
fn a_changed_script_is_another_policy() {
    let draft = trusting(&["198.51.100.0/24", "203.0.113.7", "2001:db8:10::/48"]);
    let text = script("office-mail", &draft.clone().lower());
    for (from, to) in [
        ("'203.0.113.7'", "'203.0.113.8'"),
        ("'198.51.100.0/24', ", ""),
        ("Action        = 'Allow'", "Action        = 'Block'"),
        ("Action        = 'Block'", "Action        = 'Allow'"),
        ("Enabled       = 'True'", "Enabled       = 'False'"),
        ("LocalPort     = @('993')", "LocalPort     = @('994')"),
        ("'::2-2001:db8:f:", "'::3-2001:db8:f:"),
        // The code is what carries the data out, so a change there is as good as one of the data.
        ("-Action $Wanted.Action", "-Action Allow"),
        ("$GuardedInterfaces = @()", "$GuardedInterfaces = @('Ethernet')"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is in the script");
        assert!(!agrees(&read(&changed), &draft), "{from} became {to}");
    }
}

#[test]
fn a_damaged_script_is_refused_with_its_place() {
    let text = script("office-mail", &trusting(&["198.51.100.0/24"]).lower());
    for (from, to, message) in [
        ("# --- end of data ---", "", "the script ends before its data does"),
        ("'198.51.100.0/24'", "'198.51.100.0/24", "the text does not end on its line"),
        ("'198.51.100.0/24'", "$evil", "a text in single quotes is expected here"),
        ("'198.51.100.0/24'", "'LocalSubnet'", "stands for"),
        ("$PolicyName", "$Other", "which is not known here"),
    ] {
        let damaged = text.replacen(from, to, 1);
        let error = windows().read(&Listing::of_text(damaged)).expect_err(message);
        assert!(error.message.contains(message), "{error}");
        assert!(error.line > 1, "{error}");
    }
}

#[test]
fn port_143_is_closed_to_everybody() {
    let draft = Draft { close_plaintext: true, ..trusting(&["198.51.100.0/24"]) };
    let ruleset = read(&script("office-mail", &draft.lower()));
    assert!(evaluate(&ruleset, &Question::opening(143)).reachable().is_empty());
    assert_eq!(evaluate(&ruleset, &Question::opening(993)).reachable().to_string(), "198.51.100.0/24");
}
