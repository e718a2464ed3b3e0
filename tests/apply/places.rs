//! More than one firewall on a host: rules that move from one variant to another, leftovers, and taking all of it away.

use crate::lab::{inside, run};
use crate::machine::{Backend, Machine};

fn both(name: &str) -> (Machine, String) {
    let machine = Machine::new(Backend::IptablesNft);
    let profile = machine.profile(name, &["198.51.100.0/24", "2001:db8:1::/48"], "");
    (machine, profile)
}

/// Another value of `variant` moves the rules: loaded there first, then taken away here; and back by a rollback.
#[test]
fn another_variant_moves_the_rules() {
    inside("places::another_variant_moves_the_rules", || {
        let (machine, nft) = both("nft");
        let legacy = machine.path("legacy.toml");
        let text = std::fs::read_to_string(&nft).expect("the profile is there");
        std::fs::write(&legacy, text.replace("variant = \"nft\"", "variant = \"legacy\"")).expect("it is written");
        let legacy = legacy.display().to_string();
        let mine = |b: Backend| b.rules().contains("H993-");
        machine.apply(&nft);
        let before = Backend::IptablesNft.rules();
        assert!(mine(Backend::IptablesNft) && !mine(Backend::IptablesLegacy));

        let diff = machine.harden993(&["diff", "--target", "iptables", "--profile", &legacy]);
        assert!(diff.code == Some(1) && diff.out.contains("loaded in the variant legacy"), "{diff:?}");
        let done = machine.apply(&legacy);
        assert!(done.out.contains("loaded in the variant legacy"), "{done:?}");
        assert!(!mine(Backend::IptablesNft) && mine(Backend::IptablesLegacy), "{}", Backend::IptablesNft.rules());
        assert_eq!(machine.harden993(&["status"]).code, Some(0));
        let again =
            machine.harden993(&["apply", "--yes", "--target", "iptables", "--format", "json", "--profile", &legacy]);
        let report: serde_json::Value = serde_json::from_str(&again.out).expect("one object");
        assert_eq!((again.code, report["changed"].as_bool()), (Some(0), Some(false)), "{again:?}");

        let back = machine.harden993(&["rollback"]);
        assert_eq!(back.code, Some(0), "{back:?}");
        assert!(!mine(Backend::IptablesLegacy), "{}", Backend::IptablesLegacy.rules());
        assert_eq!(Backend::IptablesNft.rules(), before);
        assert_eq!(machine.harden993(&["status"]).code, Some(0));

        // A load that fails in the middle leaves the rules where they were.
        machine.wrap_one("ip6tables-legacy-restore", "case \"$*\" in *--test*) exec $real \"$@\" ;; esac\nexit 1");
        let failed = machine.harden993(&["apply", "--yes", "--target", "iptables", "--profile", &legacy]);
        machine.unwrap_tools();
        assert_eq!(failed.code, Some(4), "{failed:?}");
        assert!(!mine(Backend::IptablesLegacy), "{}", Backend::IptablesLegacy.rules());
        assert_eq!(Backend::IptablesNft.rules(), before);
    });
}

/// Loads the rendering of a profile by hand, as a script of the loader does it.
fn load_by_hand(machine: &Machine, profile: &str, variant: &str) {
    let loader = machine.harden993(&["render", "--target", "iptables", "--quiet", "--profile", profile]);
    assert_eq!(loader.code, Some(0), "{loader:?}");
    let set = format!("IPTABLES=iptables-{variant}; IP6TABLES=ip6tables-{variant}; export IPTABLES IP6TABLES\n");
    run("sh", &[], &(set + &loader.out));
}

/// Ours goes from everywhere, and the rules of others stay.
#[test]
fn remove_takes_ours_from_every_firewall() {
    inside("places::remove_takes_ours_from_every_firewall", || {
        let (machine, profile) = both("one");
        run("nft", &["add", "table", "inet", "somebody"], "");
        for variant in ["nft", "legacy"] {
            run(&format!("iptables-{variant}"), &["-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT"], "");
        }
        let done = machine.harden993(&["apply", "--yes", "--target", "nftables", "--profile", &profile]);
        assert_eq!(done.code, Some(0), "{done:?}");
        load_by_hand(&machine, &profile, "nft");
        load_by_hand(&machine, &profile, "legacy");
        let status = machine.harden993(&["status"]);
        assert!(status.code == Some(1) && status.out.contains("nftables and iptables"), "{status:?}");
        // The plan is of all of it: nobody is refused any more when everything is gone.
        let dry = machine.harden993(&["remove", "--dry-run", "--all"]);
        assert_eq!(dry.code, Some(0), "{dry:?}");
        assert!(dry.out.contains("nftables and iptables: nothing was changed"), "{dry:?}");
        assert!(dry.out.contains("-chain guarded") && dry.out.contains("H993-IN"), "{dry:?}");
        assert!(dry.out.contains("gained    everybody but"), "{dry:?}");
        let plan = machine.json(&["remove", "--dry-run"], 0);
        assert_eq!((plan["stage"].as_str(), plan["changed"].as_bool()), (Some("planned"), Some(true)), "{plan}");
        let one = machine.json(&["remove", "--dry-run", "--target", "nftables"], 0);
        assert!(!one["text"].as_str().expect("a text").contains("H993-IN"), "{one}");
        assert_eq!(one["effect"][0]["counts"]["gained"]["ipv4"], "0", "iptables still refuses: {one}");
        for backend in Backend::ALL {
            assert!(backend.rules().contains("993"), "a dry run changes nothing");
        }
        let done = machine.json(&["remove", "--yes"], 0);
        assert_eq!(
            (&done["text"], &done["effect"], done["stage"].as_str()),
            (&plan["text"], &plan["effect"], Some("kept")),
            "the real run tells what the dry run told"
        );
        for backend in Backend::ALL {
            let rules = backend.rules();
            assert!(!rules.contains("H993") && !rules.contains("harden993"), "{backend:?}: {rules}");
        }
        assert!(Backend::Nftables.rules().contains("table inet somebody"));
        assert!(
            Backend::IptablesNft.rules().contains("--dport 22")
                && Backend::IptablesLegacy.rules().contains("--dport 22")
        );
        // What is absent stays absent.
        assert_eq!(machine.harden993(&["restore"]).code, Some(0));
        assert!(!Backend::Nftables.rules().contains("harden993"));
    });
}

/// The leftover of another firewall goes, and what is confirmed stays: it is not taken for the whole.
#[test]
fn removing_a_leftover_keeps_the_confirmed_rules() {
    inside("places::removing_a_leftover_keeps_the_confirmed_rules", || {
        let (machine, profile) = both("one");
        load_by_hand(&machine, &profile, "nft");
        let done = machine.harden993(&["apply", "--yes", "--target", "nftables", "--profile", &profile]);
        assert!(done.code == Some(0) && done.out.contains("remove --target"), "both are said to count: {done:?}");
        let done = machine.harden993(&["remove", "--yes", "--target", "iptables"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(!Backend::IptablesNft.rules().contains("H993"));
        let rules = Backend::Nftables.rules();
        assert!(rules.contains("table inet harden993"), "{rules}");
        assert_eq!(machine.harden993(&["restore"]).code, Some(0));
        assert_eq!(Backend::Nftables.rules(), rules, "the timer leaves it");
        run("nft", &["delete", "table", "inet", "harden993"], "");
        assert_eq!(machine.harden993(&["restore"]).code, Some(0));
        assert_eq!(Backend::Nftables.rules(), rules, "the timer brings it back");
        assert_eq!(machine.harden993(&["status"]).code, Some(0));
    });
}

/// `--closed` closes the port whatever the profile trusts, and stays closed until the next apply.
#[test]
fn closed_is_closed_until_the_next_apply() {
    inside("places::closed_is_closed_until_the_next_apply", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let profile = machine.profile("one", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let apply = ["apply", "--yes", "--target", backend.target(), "--profile", &profile];
            machine.apply(&profile);
            let open = backend.rules();
            let done = machine.harden993(&[&apply[..], &["--closed"]].concat());
            assert_eq!(done.code, Some(0), "{backend:?}: {done:?}");
            let closed = backend.rules();
            assert!(!closed.contains("198.51.100.0") && !closed.contains("2001:db8:1:"), "{backend:?}: {closed}");
            assert!(closed.contains("993"), "{backend:?}: {closed}");
            assert_eq!(machine.harden993(&["status"]).code, Some(0), "{backend:?}");
            let reach = machine.harden993(&["reach", "--format", "json"]);
            let reach: serde_json::Value = serde_json::from_str(&reach.out).expect("one object");
            assert_eq!(reach["questions"][0]["reachable"].as_array().map(Vec::len), Some(0), "{backend:?}: {reach}");
            run("nft", &["flush", "ruleset"], "");
            assert_eq!(machine.harden993(&["restore"]).code, Some(0), "{backend:?}");
            assert_eq!(backend.rules(), closed, "{backend:?}");
            machine.apply(&profile);
            assert_eq!(backend.rules(), open, "{backend:?}");
            machine.clear();
        }
    });
}

/// What `status` says to programs and to people: loaded, waiting, altered, absent.
#[test]
fn status_tells_what_is_loaded() {
    inside("places::status_tells_what_is_loaded", || {
        let machine = Machine::new(Backend::Nftables);
        let profile = machine.profile("one", &["198.51.100.0/24"], "");
        let status = |code: i32| {
            let done = machine.harden993(&["status", "--format", "json"]);
            assert_eq!(done.code, Some(code), "{done:?}");
            serde_json::from_str::<serde_json::Value>(&done.out).expect("one object")
        };
        let none = status(0);
        assert_eq!((none["schema"].as_u64(), none["loaded"].as_bool()), (Some(1), Some(false)), "{none}");
        machine.apply(&profile);
        let loaded = status(0);
        assert_eq!(loaded["integrity"], "intact");
        assert_eq!(loaded["loaded_digest"], loaded["last"]["digest"]);
        assert_eq!((loaded["last"]["action"].as_str(), loaded["target"].as_str()), (Some("apply"), Some("nftables")));
        assert!(loaded["waiting"].is_null(), "{loaded}");
        let counters: Vec<_> =
            loaded["counters"].as_array().expect("a list").iter().map(|c| c["name"].clone()).collect();
        assert!(counters.contains(&"refused".into()), "{loaded}");
        let more = machine.profile("more", &["203.0.113.0/24"], "");
        let done = machine.harden993(&["apply", "--yes", "--confirm", "600", "--format", "json", "--profile", &more]);
        let applied: serde_json::Value = serde_json::from_str(&done.out).expect("one object");
        // What waits is what is to be loaded, and no drift.
        let waiting = status(0);
        assert_eq!(
            (&waiting["integrity"], &waiting["loaded_digest"]),
            (&"intact".into(), &applied["digest"]),
            "{waiting}"
        );
        let page = machine.harden993(&["status"]);
        assert!(page.out.contains("loaded, and waits to be confirmed"), "{page:?}");
        assert_eq!(
            (&waiting["waiting"]["id"], &waiting["waiting"]["confirm_by"]),
            (&applied["id"], &applied["confirm_by"])
        );
        let refused = machine.harden993(&["apply", "--yes", "--profile", &profile]);
        assert_eq!(refused.code, Some(3), "{refused:?}");
        assert!(refused.err.contains(applied["confirm_by"].as_str().expect("a time")), "{refused:?}");
        assert_eq!(machine.harden993(&["rollback"]).code, Some(0));
        run("nft", &["flush", "chain", "inet", "harden993", "input"], "");
        assert_eq!(status(1)["integrity"], "altered");
        run("nft", &["delete", "table", "inet", "harden993"], "");
        let absent = status(1);
        assert_eq!(
            (absent["integrity"].as_str(), absent["loaded"].as_bool()),
            (Some("absent"), Some(false)),
            "{absent}"
        );
        assert!(machine.harden993(&["status"]).out.contains("none of our rules are loaded"));
    });
}

/// Rules that are loaded in another variant, or another firewall, than they are confirmed for are not as confirmed, and it is
/// said where they are.
#[test]
fn status_tells_where_ours_is() {
    inside("places::status_tells_where_ours_is", || {
        let (machine, profile) = both("one");
        machine.apply(&profile);
        assert_eq!(machine.json(&["status"], 0)["integrity"], "intact");
        let found = |status: &serde_json::Value, code: &str| {
            let findings = status["findings"].as_array().expect("a list").iter();
            findings.filter(|f| f["code"] == code).map(|f| f["message"].to_string()).collect::<Vec<_>>().join("\n")
        };
        // The same rules, in the other variant.
        load_by_hand(&machine, &profile, "legacy");
        for program in ["iptables-nft", "ip6tables-nft"] {
            run(program, &["-F"], "");
            run(program, &["-X"], "");
        }
        let status = machine.json(&["status"], 1);
        assert_eq!(
            (status["integrity"].as_str(), status["loaded"].as_bool()),
            (Some("altered"), Some(true)),
            "{status}"
        );
        let said = found(&status, "elsewhere");
        assert!(said.contains("the variant legacy of iptables") && said.contains("the variant nft"), "{status}");
        let verify = machine.json(&["verify", "--target", "iptables", "--profile", &profile], 0);
        assert_eq!(verify["integrity"], "altered", "the outcome is right, the place is not: {verify}");
        // Another firewall altogether.
        assert_eq!(machine.harden993(&["remove", "--yes"]).code, Some(0));
        machine.apply(&profile);
        for program in ["iptables-nft", "ip6tables-nft"] {
            run(program, &["-F"], "");
            run(program, &["-X"], "");
        }
        let text = machine.harden993(&["render", "--target", "nftables", "--quiet", "--profile", &profile]).out;
        run("nft", &["-f", "-"], &text);
        let status = machine.json(&["status"], 1);
        assert_eq!(status["integrity"], "absent", "{status}");
        assert!(found(&status, "elsewhere").contains("in nftables, and are confirmed for iptables"), "{status}");
        let other = machine.harden993(&["status", "--target", "nftables"]);
        assert!(other.code == Some(1) && other.out.contains("what is confirmed is for iptables"), "{other:?}");
        // What is confirmed to be absent, and is there.
        assert_eq!(machine.harden993(&["remove", "--yes"]).code, Some(0));
        run("nft", &["-f", "-"], &text);
        let status = machine.json(&["status"], 1);
        assert!(found(&status, "drift").contains("it is confirmed that none are"), "{status}");
    });
}

/// Without `--target`, a host whose legacy tables hold rules is one of iptables.
#[test]
fn legacy_rules_make_it_iptables() {
    inside("places::legacy_rules_make_it_iptables", || {
        let (machine, profile) = both("one");
        let dry = ["diff", "--profile", &profile];
        assert_eq!(machine.json(&dry, 1)["target"], "nftables");
        run("iptables-legacy", &["-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT"], "");
        assert_eq!(machine.json(&dry, 1)["target"], "iptables");
        assert_eq!(machine.json(&["status"], 0)["target"], "iptables");
        let done = machine.harden993(&["apply", "--yes", "--target", "nftables", "--profile", &profile]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(machine.json(&dry, 0)["target"], "nftables", "the one that holds ours");
    });
}
