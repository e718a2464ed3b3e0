//! The ways of one change: nothing to do, a dry run, what stops it, what it keeps, and what a small one leaves alone.

use crate::lab::{inside, run, try_run};
use crate::machine::{Backend, Machine};

#[test]
fn a_host_where_nothing_differs_is_not_touched() {
    inside("ways::a_host_where_nothing_differs_is_not_touched", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let profile = machine.profile("one", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let dry = machine.harden993(&["apply", "--dry-run", "--target", backend.target(), "--profile", &profile]);
            assert_eq!(dry.code, Some(0), "{backend:?}: {dry:?}");
            assert!(!backend.rules().contains("993"), "a dry run loads nothing: {}", backend.rules());
            machine.apply(&profile);
            let rules = backend.rules();
            machine.wrap("case \"$*\" in *-f*|*--noflush*) echo \"$@\" >>$0.loads ;; esac\nexec $real \"$@\"");
            let args = ["apply", "--yes", "--format", "json", "--target", backend.target(), "--profile", &profile];
            let again = machine.harden993(&args);
            let report: serde_json::Value = serde_json::from_str(&again.out).expect("one object");
            assert_eq!((again.code, report["changed"].as_bool()), (Some(0), Some(false)), "{backend:?}: {again:?}");
            for tool in machine.tools() {
                let loads = std::fs::read_to_string(machine.path("bin").join(format!("{tool}.loads")));
                assert!(loads.is_err(), "{backend:?}: {loads:?}");
            }
            assert_eq!(backend.rules(), rules);
            let diff = machine.harden993(&["diff", "--target", backend.target(), "--profile", &profile]);
            assert_eq!((diff.code, diff.out.as_str()), (Some(0), ""), "{backend:?}: {diff:?}");
            machine.clear();
        }
    });
}

#[test]
fn what_was_not_expected_stops_the_load() {
    inside("ways::what_was_not_expected_stops_the_load", || {
        let machine = Machine::new(Backend::Nftables);
        let one = machine.profile("one", &["198.51.100.0/24"], "");
        let two = machine.profile("two", &["198.51.100.0/25", "203.0.113.0/24"], "");
        machine.apply(&one);
        let rules = Backend::Nftables.rules();
        let stopped = machine.harden993(&["apply", "--yes", "--expect-gain", "203.0.113.0/24", "--profile", &two]);
        assert_eq!(stopped.code, Some(1), "{stopped:?}");
        assert_eq!(Backend::Nftables.rules(), rules);
        let expected = ["--expect-gain", "203.0.113.0/24", "--expect-loss", "198.51.100.128/25"];
        let diff = machine.harden993(&[&["diff", "--profile", &two], &expected[..]].concat());
        assert_eq!(diff.code, Some(0), "{diff:?}");
        let done = machine.harden993(&[&["apply", "--yes", "--profile", &two], &expected[..]].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        // Somebody else's drop makes the outcome another one than the profile's.
        run(
            "nft",
            &["-f", "-"],
            "table inet other {\n chain c { type filter hook input priority 50; ip saddr 203.0.113.9 drop; }\n}\n",
        );
        let stopped = machine.harden993(&["apply", "--yes", "--require-outcome", "--profile", &one]);
        assert_eq!(stopped.code, Some(0), "one does not trust 203.0.113.9: {stopped:?}");
        let stopped = machine.harden993(&["apply", "--yes", "--require-outcome", "--profile", &two]);
        assert_eq!(stopped.code, Some(1), "{stopped:?}");
        assert!(stopped.out.contains("203.0.113.9"), "{stopped:?}");
    });
}

/// A network more is an element more: the table stays, there and back.
#[test]
fn a_small_change_keeps_the_table() {
    inside("ways::a_small_change_keeps_the_table", || {
        let machine = Machine::new(Backend::Nftables);
        let one = machine.profile("one", &["198.51.100.0/24"], "");
        let two = machine.profile("two", &["198.51.100.0/24", "203.0.113.7"], "");
        machine.apply(&one);
        // A table that was loaded anew has another handle.
        let handle = || {
            let listing = run("nft", &["-a", "list", "tables"], "");
            listing.lines().find(|l| l.contains("harden993")).expect("our table").to_owned()
        };
        let table = handle();
        machine.apply(&two);
        assert_eq!(handle(), table, "the table was loaded anew");
        let back = machine.harden993(&["rollback"]);
        assert_eq!(back.code, Some(0), "{back:?}");
        assert_eq!(handle(), table, "the table was loaded anew");
        machine.apply(&two);
        machine.apply(&one);
        assert_eq!(handle(), table, "the table was loaded anew");
    });
}

/// Without the right to change the firewall the answer says what to do.
#[test]
fn an_ordinary_user_is_told_what_to_do() {
    let machine = Machine::new(Backend::Nftables);
    let profile = machine.profile("one", &["198.51.100.0/24"], "");
    let program = env!("CARGO_BIN_EXE_harden993");
    let state = machine.path("state").display().to_string();
    // A user namespace without a network namespace has no say over the network that it is in.
    let args = ["--user", "--map-root-user", program, "apply", "--yes", "--profile", &profile, "--state-dir", &state];
    let said = try_run("unshare", &args, "").expect_err("it may not");
    assert!(said.contains("CAP_NET_ADMIN"), "{said}");
}
