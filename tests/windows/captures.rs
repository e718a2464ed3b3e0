//! Captures of hosts: what their rules, ours or not, let in; and what can only be said to be unknown.

use harden993::access::{Interface, Packet, Path, Question, Verdict};
use harden993::net::AddrSet;
use harden993::policy::Draft;
use harden993::ruleset::{Ruleset, evaluate};
use harden993::target::{Job, Listing, Wanted};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::drafts::{adapted, draft, lenient, script, trusting, windows};
use crate::host::{Host, capture, capture_with, exchange, profile};
use crate::powershell::data;

fn read(text: &str) -> Ruleset {
    windows().read(&Listing::of_text(text)).expect("the capture is read")
}

fn set(text: &str) -> AddrSet {
    text.split_whitespace().map(|t| t.parse::<AddrSet>().expect("a network")).fold(AddrSet::new(), |a, b| a.union(&b))
}

/// Everything that can be a source.
fn everybody() -> AddrSet {
    AddrSet::all().minus(harden993::net::no_source())
}

/// A rule: the plain one with these fields put in place of its own.
fn rule(fields: Value) -> Value {
    let mut rule = exchange();
    if let (Value::Object(rule), Value::Object(fields)) = (&mut rule, fields) {
        rule.extend(fields);
    }
    rule
}

/// Who is let in to port 993, and of whom it is unknown for which reasons.
fn ask(text: &str) -> (AddrSet, AddrSet, Vec<String>) {
    let access = evaluate(&read(text), &Question::opening(993));
    let mut reasons: Vec<String> = Vec::new();
    for (outcome, _) in access.groups() {
        if let Verdict::Unknown { because } = outcome.verdict {
            reasons.push(because);
        }
    }
    (access.reachable(), access.unknown(), reasons)
}

/// The capture of a host that holds the rendering of a policy and these rules.
fn hardened(trusted: &[&str], mut others: Vec<Value>, profiles: Vec<Value>) -> String {
    let host = Host::default().loaded(&data(&script("office-mail", &trusting(trusted).lower())));
    let ours: Value = serde_json::from_str(&host.capture()).expect("JSON");
    others.extend(ours["rules"].as_array().expect("a list").iter().cloned());
    capture_with(profiles, others)
}

fn usual() -> Vec<Value> {
    ["Domain", "Private", "Public"].map(profile).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Masks, another order, lists that became texts: none of it is a difference.
    #[test]
    fn what_windows_rewrites_is_no_difference(draft in draft(), open: bool) {
        let policy = draft.lower();
        let text = script("office-mail", &policy);
        let host = Host { open, ..Host::default() }.loaded(&data(&text));
        let (live, rendered) = (read(&host.capture()), read(&text));
        prop_assert_eq!(windows().print(&live), windows().print(&rendered));
        prop_assert_eq!(live.digest.clone(), Some(policy.digest().to_string()));
        prop_assert!(windows().has_ours(&live));
        let replaced = windows().replace_ours(&live, &rendered);
        let adapted = adapted(&policy).policy;
        for q in adapted.questions() {
            prop_assert_eq!(evaluate(&replaced, &q), evaluate(&live, &q));
            let guarded = adapted.all_ports().contains(&q.port) && adapted.covers(&q.interface) && q.path == Path::Input;
            if guarded {
                prop_assert_eq!(evaluate(&live, &q), windows().expected(&adapted, &lenient(), &q));
            }
        }
        // Put back from a snapshot, it is what it was.
        let live = Listing::of_text(host.capture());
        let snapshot = windows().snapshot(&live).unwrap().expect("there is something of ours");
        let again = Host { open, ..Host::default() }.loaded(&data(&snapshot));
        prop_assert_eq!(again.ours.keys().collect::<Vec<_>>(), host.ours.keys().collect::<Vec<_>>());
        prop_assert_eq!(windows().print(&read(&again.capture())), windows().print(&read(&text)));
    }

    #[test]
    fn no_json_panics(text in "\\{\"policy_store\"[\\[\\]{}:,\"a-z0-9 \\n]{0,60}") {
        let _ = windows().read(&Listing::of_text(text));
    }
}

#[test]
fn what_others_allow_is_open_until_we_block_it() {
    let (reachable, unknown, _) = ask(&capture(vec![exchange()]));
    assert_eq!((reachable, unknown), (everybody(), AddrSet::new()));
    let (reachable, unknown, _) = ask(&hardened(&["198.51.100.0/24"], vec![exchange()], usual()));
    assert_eq!((reachable, unknown), (set("198.51.100.0/24"), AddrSet::new()));
    assert!(!windows().has_ours(&read(&capture(vec![exchange()]))));
    assert_eq!(windows().print(&read(&capture(vec![exchange()]))), "");
}

#[test]
fn rules_that_do_not_count() {
    for fields in [
        json!({"enabled": false}),
        json!({"enabled": "2"}),
        json!({"direction": "Outbound"}),
        json!({"protocol": "UDP"}),
        json!({"protocol": "17"}),
        json!({"local_port": "994"}),
        json!({"local_port": ["1-992", "994-65535"]}),
        json!({"action": "NotConfigured"}),
        json!({"enforcement": ["LocalFirewallRulesDisallowed"]}),
        json!({"enforcement": 16}),
        json!({"enforcement": ["NotTargetPlatform"]}),
        json!({"status": "Error"}),
        json!({"interface": ["Ethernet 7"]}),
    ] {
        assert_eq!(ask(&capture(vec![rule(fields.clone())])).0, AddrSet::new(), "{fields}");
        assert_eq!(ask(&capture(vec![rule(fields.clone())])).1, AddrSet::new(), "{fields}");
    }
}

#[test]
fn rules_that_count_for_certain() {
    for (fields, reachable) in [
        (json!({"protocol": "Any", "local_port": "Any"}), "0.0.0.0/0 ::/0"),
        (json!({"protocol": 6, "local_port": ["900-1000"]}), "0.0.0.0/0 ::/0"),
        (json!({"enabled": 1, "action": 2, "profile": 0}), "0.0.0.0/0 ::/0"),
        (
            json!({"remote_address": ["10.10.0.0/255.255.0.0", "192.0.2.1-192.0.2.9"]}),
            "10.10.0.0/16 192.0.2.1-192.0.2.9",
        ),
        (json!({"remote_address": "2001:db8::/32"}), "2001:db8::/32"),
        (json!({"profile": "Domain, Private, Public"}), "0.0.0.0/0 ::/0"),
    ] {
        let (found, unknown, _) = ask(&capture(vec![rule(fields.clone())]));
        assert_eq!((found, unknown), (set(reachable).intersect(&everybody()), AddrSet::new()), "{fields}");
    }
}

#[test]
fn what_narrows_a_rule_makes_it_unknown_and_says_why() {
    for (fields, reason) in [
        (json!({"program": "C:\\imapd.exe"}), "the program C:\\imapd.exe"),
        (json!({"service": "MSExchangeIMAP4"}), "the service MSExchangeIMAP4"),
        (json!({"package": "S-1-15-2-1"}), "the package S-1-15-2-1"),
        (json!({"interface_type": "Wireless"}), "interfaces of the type Wireless"),
        (json!({"interface": ["Eth*"]}), "interfaces that fit Eth*"),
        (json!({"local_user": "D:(A;;CC;;;S-1-5-18)"}), "the local user"),
        (json!({"remote_user": "O:LSD:"}), "the remote user"),
        (json!({"remote_machine": "O:LSD:"}), "the remote machine"),
        (json!({"owner": "S-1-5-21-1"}), "the owner S-1-5-21-1"),
        (json!({"authentication": "Required"}), "IPsec has authenticated"),
        (json!({"remote_address": ["LocalSubnet"]}), "LocalSubnet"),
        (json!({"remote_address": ["010.0.0.1"]}), "not understood"),
        (json!({"dynamic_keywords": ["{1}"]}), "dynamic keyword"),
        (json!({"local_port": ["RPC"]}), "RPC"),
        (json!({"remote_port": ["1024-65535"]}), "source port"),
        (json!({"local_address": ["192.0.2.1"]}), "destination"),
        (json!({"override_block": "True", "authentication": "Required"}), "whatever blocks them"),
        (json!({"profile": "Domain"}), "network profile"),
    ] {
        let (reachable, unknown, reasons) = ask(&capture(vec![rule(fields.clone())]));
        assert_eq!(reachable, AddrSet::new(), "{fields}");
        assert!(!unknown.is_empty(), "{fields}");
        assert!(reasons.iter().any(|r| r.contains(reason)), "{fields}: {reasons:?}");
        // It cannot change who is kept out by our Blocks, unless it pierces them; and who is trusted gets in anyway.
        let (reachable, unknown, _) = ask(&hardened(&["198.51.100.0/24"], vec![rule(fields.clone())], usual()));
        assert_eq!(reachable, set("198.51.100.0/24"), "{fields}");
        assert_eq!(unknown.is_empty(), fields.get("override_block").is_none(), "{fields}");
    }
    // The Block that a declined prompt leaves is met by the trusted.
    let prompt = rule(json!({"action": "Block", "program": "C:\\imapd.exe", "local_port": "Any"}));
    let (reachable, unknown, reasons) = ask(&hardened(&["198.51.100.0/24"], vec![prompt], usual()));
    assert_eq!((reachable, unknown), (AddrSet::new(), set("198.51.100.0/24")));
    assert_eq!(reasons, ["it applies only to the program C:\\imapd.exe"]);
}

#[test]
fn known_addresses_beside_a_keyword_stay_known() {
    let (reachable, unknown, _) = ask(&capture(vec![rule(json!({"remote_address": ["10.0.0.0/8", "LocalSubnet"]}))]));
    assert_eq!((reachable, unknown), (set("10.0.0.0/8"), everybody().minus(&set("10.0.0.0/8"))));
}

#[test]
fn network_profiles_decide_only_where_they_differ() {
    let with = |name: &str, fields: Value| {
        let mut profiles = usual();
        for p in profiles.iter_mut().filter(|p| name == "all" || p["name"] == name) {
            if let (Value::Object(p), Value::Object(fields)) = (p, fields.clone()) {
                p.extend(fields);
            }
        }
        ask(&hardened(&["198.51.100.0/24"], vec![exchange()], profiles))
    };
    let trusted = set("198.51.100.0/24");
    for (fields, reachable) in [
        (json!({"enabled": "False"}), everybody()),
        (json!({"default_inbound": "Allow"}), trusted.clone()),
        (json!({"inbound_rules": "False"}), AddrSet::new()),
        (json!({"local_rules": "False"}), AddrSet::new()),
        (json!({"enabled": "NotConfigured", "default_inbound": "NotConfigured"}), trusted.clone()),
    ] {
        let (found, unknown, _) = with("all", fields.clone());
        assert_eq!((found, unknown), (reachable.clone(), AddrSet::new()), "{fields}");
        let (found, unknown, reasons) = with("Public", fields.clone());
        let (both, either) = (reachable.intersect(&trusted), reachable.union(&trusted));
        assert_eq!((&found, &unknown), (&both, &either.minus(&both)), "{fields}");
        assert!(reasons.iter().all(|r| r == "it depends on the network profile"), "{fields}: {reasons:?}");
    }
    // Two rules that cover all profiles between them are one.
    let halves = vec![rule(json!({"profile": "Domain"})), rule(json!({"profile": "Private, Public"}))];
    assert_eq!(ask(&capture(halves)).0, everybody());
}

#[test]
fn an_interface_without_a_firewall_is_open() {
    let mut profiles = usual();
    for p in &mut profiles {
        p["disabled_interfaces"] = json!(["Ethernet 9"]);
    }
    let ruleset = read(&hardened(&["198.51.100.0/24"], vec![], profiles));
    let q = Question { interface: Interface::parse("Ethernet 9"), ..Question::opening(993) };
    assert_eq!(evaluate(&ruleset, &q).reachable(), everybody());
    assert_eq!(evaluate(&ruleset, &Question::opening(993)).reachable(), set("198.51.100.0/24"));
    for packet in Packet::ALL {
        let q = Question { interface: Interface::Loopback, ..Question::opening(993) }.packet(packet);
        assert_eq!(evaluate(&ruleset, &q).reachable(), everybody());
    }
}

#[test]
fn ours_that_are_not_in_force_are_not_there() {
    let mut profiles = usual();
    for p in &mut profiles {
        p["local_rules"] = json!("False");
    }
    let ruleset = read(&hardened(&["198.51.100.0/24"], vec![], profiles));
    let rendered = read(&script("office-mail", &trusting(&["203.0.113.0/24"]).lower()));
    // Nor would others be.
    let replaced = windows().replace_ours(&ruleset, &rendered);
    assert!(evaluate(&replaced, &Question::opening(993)).reachable().is_empty());
    let mut rules: Vec<Value> = Vec::new();
    let text = hardened(&["198.51.100.0/24"], vec![], usual());
    let value: Value = serde_json::from_str(&text).expect("JSON");
    for r in value["rules"].as_array().expect("a list") {
        let mut r = r.clone();
        r["enforcement"] = json!(["LocalFirewallRulesDisallowed"]);
        rules.push(r);
    }
    let ruleset = read(&capture(rules));
    assert!(evaluate(&ruleset, &Question::opening(993)).reachable().is_empty());
    assert!(ruleset.remarks.iter().any(|r| r.contains("stored and not in force")), "{:?}", ruleset.remarks);
}

#[test]
fn a_rule_of_ours_that_was_narrowed_is_seen() {
    let text = hardened(&["198.51.100.0/24"], vec![], usual());
    let rendered = windows().print(&read(&script("office-mail", &trusting(&["198.51.100.0/24"]).lower())));
    assert_eq!(windows().print(&read(&text)), rendered);
    let value: Value = serde_json::from_str(&text).expect("JSON");
    for (key, to) in [
        ("enabled", json!(false)),
        ("program", json!("C:\\x.exe")),
        ("remote_address", json!(["10.0.0.0/8"])),
        ("profile", json!("Domain")),
        ("local_port", json!(["994"])),
        ("interface", json!(["Ethernet"])),
        ("action", json!("Allow")),
        ("group", json!("somebody")),
    ] {
        let mut changed = value.clone();
        let rules = changed["rules"].as_array_mut().expect("a list");
        let block = rules.iter_mut().find(|r| r["action"] == "Block" && r["enabled"] == true).expect("a Block");
        block[key] = to;
        assert_ne!(windows().print(&read(&changed.to_string())), rendered, "{key}");
    }
    let mut changed = value;
    changed["rules"].as_array_mut().expect("a list").iter_mut().for_each(|r| r["program"] = json!("C:\\x.exe"));
    let error = windows().snapshot(&Listing::of_text(changed.to_string())).expect_err("it cannot be put back");
    assert!(error.message.contains("was changed by somebody"));
}

#[test]
fn the_printed_text() {
    let draft = Draft { close_plaintext: true, ..trusting(&["198.51.100.0/24", "2001:db8::/32"]) };
    let policy = draft.lower();
    let printed = windows().print(&read(&script("office-mail", &policy)));
    let expected = format!(
        "policy {}
allow tcp port 993
    198.51.100.0/24
    2001:db8::/32
block tcp port 143
    0.0.0.0-255.255.255.255
    ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
block tcp port 993
    0.0.0.0-198.51.99.255
    198.51.101.0-255.255.255.255
    ::2-2001:db7:ffff:ffff:ffff:ffff:ffff:ffff
    2001:db9::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
",
        policy.digest()
    );
    assert_eq!(printed, expected);
}

#[test]
fn replacing_and_removing() {
    let live = read(&hardened(&["198.51.100.0/24"], vec![exchange()], usual()));
    let rendered = read(&script("office-mail", &trusting(&["203.0.113.0/24"]).lower()));
    let replaced = windows().replace_ours(&live, &rendered);
    assert_eq!(evaluate(&replaced, &Question::opening(993)).reachable(), set("203.0.113.0/24"));
    assert_eq!(windows().print(&replaced), windows().print(&rendered));
    let removed = windows().replace_ours(&live, &Ruleset::default());
    assert_eq!(evaluate(&removed, &Question::opening(993)).reachable(), everybody());
    assert!(!windows().has_ours(&removed));
    // Onto a host that has nothing of ours, and onto nothing at all.
    let added = windows().replace_ours(&read(&capture(vec![exchange()])), &rendered);
    assert_eq!(evaluate(&added, &Question::opening(993)).reachable(), set("203.0.113.0/24"));
    let alone = windows().replace_ours(&Ruleset::default(), &rendered);
    assert_eq!(windows().print(&alone), windows().print(&rendered));
}

#[test]
fn a_capture_for_some_ports_knows_nothing_of_others() {
    let mut value: Value = serde_json::from_str(&capture(vec![exchange()])).expect("JSON");
    value["ports"] = json!([993]);
    let ruleset = read(&value.to_string());
    assert_eq!(evaluate(&ruleset, &Question::opening(993)).reachable(), everybody());
    assert_eq!(evaluate(&ruleset, &Question::opening(143)).unknown(), everybody());
}

#[test]
fn texts_that_are_no_capture() {
    let good = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&capture(vec![exchange()])).expect("JSON"))
        .expect("JSON");
    assert!(windows().read(&Listing::of_text(format!("\u{feff}{good}"))).is_ok(), "a byte order mark is accepted");
    let cut = &good[..good.len() / 2];
    let error = windows().read(&Listing::of_text(cut)).expect_err("it is cut off");
    assert!(error.line > 1 && error.column > 0 && error.message.contains("EOF"), "{error}");
    for (from, to, message) in [
        ("\"schema\": 1", "\"schema\": 2", "schema 2"),
        ("\"profiles\"", "\"profile\"", "profiles"),
        ("\"rules\"", "\"rule\"", "rules"),
        ("\"enabled\": true", "\"enabled\": {}", "a text or a list of texts"),
    ] {
        let error = windows().read(&Listing::of_text(good.replace(from, to))).expect_err(message);
        assert!(error.message.contains(message), "{error}");
    }
    let none = capture_with(vec![], vec![]);
    assert!(windows().read(&Listing::of_text(none)).expect_err("no profile").message.contains("no network profile"));
    assert!(!windows().recognises("table inet filter {\n}\n"));
    assert!(windows().read(&Listing::of_text("table inet filter {\n}\n")).is_err());
    // In a listing of several commands, what is another firewall's is passed over.
    let other = Listing::parse("#harden993-capture: nft list ruleset\ntable inet filter {\n}\n");
    assert_eq!(windows().read(&other).expect("nothing of Windows"), Ruleset::default());
    let both =
        Listing::parse(&format!("#harden993-capture: hostname\nmail\n#harden993-capture: powershell.exe\n{good}\n"));
    assert!(windows().read(&both).is_ok());
}

#[test]
fn loading_runs_the_script_itself() {
    let policy = trusting(&["198.51.100.0/24"]).lower();
    let (left, settings) = (adapted(&policy), lenient());
    let job = Job {
        policy: &left.policy,
        digest: policy.digest(),
        name: "m",
        settings: &settings,
        deviations: &left.deviations,
        family: None,
    };
    let files = windows().render(&job).expect("it renders");
    let live = Listing::of_text(capture(vec![]));
    let loading = windows().loading(&live, Wanted::Rendering(&job, &files), &settings).expect("it can be loaded");
    assert_eq!(loading.load[0].input, files[0].content);
    assert!(loading.check[0].args.last().is_some_and(|a| a.ends_with(" -WhatIf")));
    assert!(loading.load[0].args.iter().all(|a| !a.contains("-WhatIf") && a.len() < 1000));
    let absent = windows().loading(&live, Wanted::Absent, &settings).expect("it can be removed");
    assert!(absent.load[0].args.last().is_some_and(|a| a.ends_with(" -State Absent")));
    assert!(data(&absent.load[0].input).rules.is_empty());
    assert_eq!(windows().snapshot(&live), Ok(None));
    let observation = windows().observations()[0];
    assert_eq!(observation.program, "powershell.exe");
    assert!(
        observation.args.iter().map(|a| a.len() + 1).sum::<usize>() < 32_000,
        "a command line has 32767 characters"
    );
}
