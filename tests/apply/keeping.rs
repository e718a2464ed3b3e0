//! The state directory: what is kept there, for how long, and who may have to do with it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::lab::{inside, privileged, run};
use crate::machine::{Backend, Machine};

/// Every file and folder below one, with its permissions.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut out = vec![(folder.display().to_string(), mode(folder))];
    for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
        let path = entry.path();
        if path.is_dir() { out.extend(modes(&path)) } else { out.push((path.display().to_string(), mode(&path))) }
    }
    out
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

/// Only the last applies are kept, with all that belongs to them, and nobody but their owner can read them.
#[test]
fn the_journal_is_bounded_and_private() {
    inside("keeping::the_journal_is_bounded_and_private", || {
        let machine = Machine::new(Backend::Nftables);
        let first = machine.profile("first", &["192.0.2.0/24"], "");
        machine.apply(&first);
        let mut rules = vec![Backend::Nftables.rules()];
        for n in 0..harden993::change::KEPT + 3 {
            let profile = machine.profile("next", &[&format!("10.{n}.0.0/16")], "");
            machine.apply(&profile);
            rules.push(Backend::Nftables.rules());
        }
        let list = machine.harden993(&["rollback", "--list", "--format", "json"]);
        let list: serde_json::Value = serde_json::from_str(&list.out).expect("one object");
        let ids: Vec<String> = list["entries"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|e| e["id"].as_str().expect("an id").to_owned())
            .collect();
        // The oldest that is kept can be gone back behind: its profile is the one before it, which is kept for that.
        assert!((harden993::change::KEPT..=harden993::change::KEPT + 1).contains(&ids.len()), "{ids:?}");
        assert!(ids.is_sorted(), "{ids:?}");
        let folders = fs::read_dir(machine.path("state/journal")).expect("it is there").count();
        assert_eq!(folders, ids.len(), "what belonged to the others is gone");
        for (path, mode) in modes(&machine.path("state")) {
            assert_eq!(mode & 0o077, 0, "{path} has the permissions {mode:o}");
        }
        for key in ["id", "at", "by", "action", "target", "digest", "stage", "confirmed", "counts"] {
            assert!(!list["entries"][0][key].is_null(), "{key}: {list}");
        }

        for id in ["20010101T000000Z", "../../etc", "", "confirmed.json"] {
            let none = machine.harden993(&["rollback", "--to", id]);
            assert_eq!(none.code, Some(2), "{id}: {none:?}");
        }
        // To the middle of the journal, and then back behind the way back itself.
        let at = ids.len() - 5;
        let before = &rules[rules.len() - 6];
        let done = machine.harden993(&["rollback", "--to", &ids[at]]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(&Backend::Nftables.rules(), before);
        assert_eq!(machine.harden993(&["status"]).code, Some(0), "what was gone back to is confirmed");
        assert_eq!(machine.harden993(&["rollback"]).code, Some(0));
        assert_eq!(Backend::Nftables.rules(), *rules.last().expect("the last"));
    });
}

/// A folder that others can write to, or made, could make root load anything.
#[test]
fn a_state_directory_of_others_is_refused() {
    inside("keeping::a_state_directory_of_others_is_refused", || {
        let machine = Machine::new(Backend::Nftables);
        let profile = machine.profile("one", &["198.51.100.0/24"], "");
        let state = machine.path("state");
        let refused = |why: &str| {
            for args in
                [&["apply", "--yes", "--profile", &profile][..], &["restore"], &["remove", "--yes"], &["rollback"]]
            {
                let done = machine.harden993(args);
                assert_eq!(done.code, Some(3), "{args:?}: {done:?}");
                assert!(done.err.contains(why) && done.err.contains("--state-dir"), "{args:?}: {done:?}");
            }
            assert_eq!(Backend::Nftables.rules(), "");
        };
        fs::create_dir(&state).expect("a folder");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("it is ours");
        refused("others may write to it");
        fs::remove_dir(&state).expect("it goes away");
        fs::write(&state, "").expect("a file");
        refused("not a directory");
        fs::remove_file(&state).expect("it goes away");
        if privileged() {
            fs::create_dir(&state).expect("a folder");
            std::os::unix::fs::chown(&state, Some(65534), None).expect("root may give it away");
            refused("it belongs to another user");
            fs::remove_dir(&state).expect("it goes away");
            // A link that somebody else made, to a folder that is root's own.
            fs::create_dir(machine.path("elsewhere")).expect("a folder");
            std::os::unix::fs::symlink(machine.path("elsewhere"), &state).expect("a link");
            std::os::unix::fs::lchown(&state, Some(65534), None).expect("root may give it away");
            refused("it belongs to another user");
            fs::remove_file(&state).expect("it goes away");
        }
        // An administrator's own link, to another disk, is followed.
        std::os::unix::fs::symlink(machine.path("other"), &state).expect("a link");
        fs::create_dir(machine.path("other")).expect("a folder");
        machine.apply(&profile);
        assert!(machine.path("other/confirmed.json").exists());
    });
}

/// A file system that cannot be written to stops everything before the load, and says so.
#[test]
fn a_state_directory_that_cannot_be_written_is_said() {
    inside("keeping::a_state_directory_that_cannot_be_written_is_said", || {
        let machine = Machine::new(Backend::Nftables);
        let profile = machine.profile("one", &["198.51.100.0/24"], "");
        fs::create_dir(machine.path("state")).expect("a folder");
        let script = format!(
            "mount -t tmpfs -o ro,mode=700 none {state} && {program} apply --yes --profile {profile} --state-dir {state} 2>&1; \
             echo code=$?",
            state = machine.path("state").display(),
            program = env!("CARGO_BIN_EXE_harden993"),
        );
        let said = run("unshare", &["--mount", "sh", "-c", &script], "");
        assert!(said.contains("code=3") && said.contains("Read-only") && said.contains("--state-dir"), "{said}");
        assert_eq!(Backend::Nftables.rules(), "");
    });
}

/// An ordinary user is told what to do by every command that needs more, and what needs nothing works.
#[test]
fn an_ordinary_user_may_look_at_nothing_and_change_nothing() {
    inside("keeping::an_ordinary_user_may_look_at_nothing_and_change_nothing", || {
        let machine = Machine::new(Backend::Nftables);
        let profile = machine.profile("one", &["198.51.100.0/24"], "");
        machine.apply(&profile);
        let rules = Backend::Nftables.rules();
        // A copy of the program where everybody can run it, and a profile that everybody can read.
        let public = tempfile::tempdir().expect("a folder");
        fs::set_permissions(public.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let (program, copy) = (public.path().join("harden993"), public.path().join("profile.toml"));
        fs::copy(env!("CARGO_BIN_EXE_harden993"), &program).expect("the program is copied");
        fs::copy(&profile, &copy).expect("the profile is copied");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).expect("it is ours");
        let state = machine.path("state");
        let ordinary = |args: &[&str]| {
            // Where this is root of a namespace only, there is nobody else to become; without capabilities it is as weak.
            let weak: &[&str] = if privileged() {
                &["--reuid", "65534", "--regid", "65534", "--clear-groups"]
            } else {
                &["--bounding-set", "-all", "--inh-caps", "-all"]
            };
            let output =
                Command::new("setpriv").args(weak).arg(&program).args(args).arg("--state-dir").arg(&state).output();
            let output = output.expect("setpriv starts");
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let copy = copy.display().to_string();
        let needy: [&[&str]; 8] = [
            &["apply", "--yes", "--profile", &copy],
            &["apply", "--dry-run", "--profile", &copy],
            &["remove", "--yes"],
            &["restore"],
            &["rollback"],
            &["status"],
            &["verify", "--profile", &copy],
            &["diff", "--profile", &copy],
        ];
        for args in needy {
            let (code, err) = ordinary(args);
            assert_eq!(code, Some(3), "{args:?}: {err}");
            assert!(err.contains("run it as root"), "{args:?}: {err}");
        }
        for args in [&["check", "--profile", &copy][..], &["render", "--target", "nftables", "--profile", &copy]] {
            let (code, err) = ordinary(args);
            assert_eq!(code, Some(0), "{args:?}: {err}");
        }
        assert_eq!(Backend::Nftables.rules(), rules);
    });
}

/// What is only a note of an earlier look may be lost; what decides over the rules is said, with what to do.
#[test]
fn state_that_cannot_be_read() {
    inside("keeping::state_that_cannot_be_read", || {
        let machine = Machine::new(Backend::Nftables);
        let profile = machine.profile("one", &["198.51.100.0/24"], "");
        machine.apply(&profile);
        let rules = Backend::Nftables.rules();
        fs::write(machine.path("state/seen.json"), "{garbage").expect("it is written");
        run("nft", &["flush", "ruleset"], "");
        let done = machine.harden993(&["restore"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(Backend::Nftables.rules(), rules);
        fs::write(machine.path("state/confirmed.json"), "{garbage").expect("it is written");
        for args in [&["restore"][..], &["status"], &["apply", "--yes", "--profile", &profile]] {
            let done = machine.harden993(args);
            assert_eq!(done.code, Some(3), "{args:?}: {done:?}");
            assert!(done.err.contains("confirmed.json") && done.err.contains("move this file away"), "{done:?}");
        }
        assert_eq!(Backend::Nftables.rules(), rules);
        fs::remove_file(machine.path("state/confirmed.json")).expect("it was there");
        machine.apply(&profile);
        assert_eq!(machine.harden993(&["status"]).code, Some(0));
    });
}
