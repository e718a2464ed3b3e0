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
        let dry = machine.harden993(&["remove", "--dry-run"]);
        assert_eq!(dry.code, Some(0), "{dry:?}");
        for backend in Backend::ALL {
            assert!(backend.rules().contains("993"), "a dry run changes nothing");
        }
        let done = machine.harden993(&["remove", "--yes"]);
        assert_eq!(done.code, Some(0), "{done:?}");
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
        let done = machine.harden993(&["status", "--format", "json"]);
        let waiting: serde_json::Value = serde_json::from_str(&done.out).expect("one object");
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
