//! What boot and timer do: expired entries, reboots, loads that were cut in two, guardians that died.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harden993::host::{Host, HostError, Lock, Ran, Real, Run, Stream, Write};
use harden993::program::{World, run as program};

use crate::lab::{inside, run};
use crate::machine::{Backend, Machine};

/// This machine with another clock.
#[derive(Debug)]
struct Clock(jiff::Timestamp);

#[rustfmt::skip]
impl Host for Clock {
    fn now(&self) -> jiff::Timestamp { self.0 }
    fn var(&self, name: &str) -> Option<String> { Real.var(name).filter(|_| name == "XTABLES_LOCKFILE") }
    fn is_terminal(&self, _: Stream) -> bool { false }
    fn width(&self) -> Option<usize> { None }
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, HostError> { Real.read(path, limit) }
    fn stdin(&self, limit: u64) -> Result<Vec<u8>, HostError> { Real.stdin(limit) }
    fn exists(&self, path: &Path) -> bool { Real.exists(path) }
    fn list(&self, folder: &Path) -> Result<Vec<String>, HostError> { Real.list(folder) }
    fn make_folder(&self, path: &Path, mode: u32) -> Result<(), HostError> { Real.make_folder(path, mode) }
    fn is_own_folder(&self, path: &Path) -> Result<(), HostError> { Real.is_own_folder(path) }
    fn write(&self, files: &[Write<'_>]) -> Result<(), HostError> { Real.write(files) }
    fn create(&self, file: Write<'_>) -> Result<(), HostError> { Real.create(file) }
    fn remove(&self, path: &Path) -> Result<(), HostError> { Real.remove(path) }
    fn run(&self, run: &Run) -> Result<Ran, HostError> { Real.run(run) }
    fn identity(&self, path: &Path) -> PathBuf { Real.identity(path) }
    fn system(&self) -> &str { Real.system() }
    fn remove_folder(&self, path: &Path) -> Result<(), HostError> { Real.remove_folder(path) }
    fn lock(&self, path: &Path) -> Result<Option<Lock>, HostError> { Real.lock(path) }
    fn generation(&self) -> Option<u32> { Real.generation() }
    fn random(&self) -> Result<[u8; 16], HostError> { Real.random() }
    fn this_program(&self) -> Result<PathBuf, HostError> { Real.this_program() }
    fn detach(&self, words: &[std::ffi::OsString]) -> Result<(), HostError> { Real.detach(words) }
    fn leave_session(&self) -> Result<(), HostError> { Real.leave_session() }
    fn answer(&self, within: Option<Duration>) -> Result<Option<String>, HostError> { Real.answer(within) }
    fn sleep(&self, time: Duration) { Real.sleep(time); }
}

/// Runs a command, which must succeed, at a time; what it printed.
fn at(machine: &Machine, time: &str, args: &[&str]) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let host = Clock(time.parse().expect("a time"));
    let mut world = World { host: &host, stdout: &mut out, stderr: &mut err };
    let state = machine.path("state").display().to_string();
    let code = program([&["harden993"], args, &["--state-dir", &state]].concat(), &mut world);
    let (out, err) = (String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned());
    assert_eq!(code, 0, "{time} {args:?}: {out}{err}");
    out
}

/// An entry counts to the end of its last day, and is gone with the next look of the timer; a clock that is set back and
/// forth is followed.
#[test]
fn an_entry_expires_on_its_day() {
    inside("restore::an_entry_expires_on_its_day", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let guest = "[[trusted]]\nname = \"guest\"\nexpires = 2031-03-31\nnetworks = [\"203.0.113.0/24\", \"2001:db8:2::/48\"]\n";
            let profile = machine.profile_with("expiring", &["198.51.100.0/24", "2001:db8:1::/48"], "", guest);
            let apply = ["apply", "--yes", "--target", backend.target(), "--profile", &profile];
            at(&machine, "2031-03-30T12:00:00Z", &apply);
            let with_guest = backend.rules();
            assert!(with_guest.contains("203.0.113"), "{with_guest}");
            // Nobody needs the profile itself: what was confirmed is in the state directory.
            std::fs::remove_file(&profile).expect("the profile goes away");
            at(&machine, "2031-03-31T23:59:59Z", &["restore"]);
            assert_eq!(backend.rules(), with_guest);
            at(&machine, "2031-04-01T00:00:00Z", &["restore", "--dry-run"]);
            assert_eq!(backend.rules(), with_guest, "a dry run loads nothing");
            at(&machine, "2031-04-01T00:00:00Z", &["restore"]);
            let without = backend.rules();
            assert!(!without.contains("203.0.113") && !without.contains("2001:db8:2:"), "{without}");
            assert!(without.contains("198.51.100"), "{without}");
            // The journal goes on in order although the clock does not.
            at(&machine, "2031-03-31T01:00:00Z", &["restore"]);
            assert_eq!(backend.rules(), with_guest);
            at(&machine, "2040-01-01T00:00:00Z", &["restore"]);
            assert_eq!(backend.rules(), without);
            let list = at(&machine, "2031-03-31T01:00:00Z", &["rollback", "--list", "--format", "json"]);
            let list: serde_json::Value = serde_json::from_str(&list).expect("one object");
            let actions: Vec<_> =
                list["entries"].as_array().expect("a list").iter().map(|e| e["action"].clone()).collect();
            assert_eq!(actions, ["apply", "restore", "restore", "restore"]);
            machine.clear();
        }
    });
}

/// Changes a value of the file that says what waits.
fn edit_pending(machine: &Machine, key: &str, value: &str) {
    let path = machine.path("state/pending.json");
    let text = std::fs::read_to_string(&path).expect("something waits");
    let mut pending: serde_json::Value = serde_json::from_str(&text).expect("one object");
    pending[key] = value.into();
    std::fs::write(&path, pending.to_string()).expect("it is written");
}

/// A reboot takes all rules away, and what waited with them: what was confirmed before is loaded.
#[test]
fn a_boot_while_an_apply_waits_loads_what_was_confirmed() {
    inside("restore::a_boot_while_an_apply_waits_loads_what_was_confirmed", || {
        let machine = Machine::new(Backend::Nftables);
        let old = machine.profile("old", &["198.51.100.0/24"], "");
        let new = machine.profile("new", &["203.0.113.0/24"], "");
        machine.apply(&old);
        let rules = Backend::Nftables.rules();
        let done = machine.harden993(&["apply", "--yes", "--confirm", "600", "--profile", &new]);
        assert_eq!(done.code, Some(0), "{done:?}");
        // The timer leaves it alone while it waits.
        let loaded = Backend::Nftables.rules();
        assert_eq!(machine.harden993(&["restore"]).code, Some(0));
        assert_eq!(Backend::Nftables.rules(), loaded);
        run("nft", &["flush", "ruleset"], "");
        edit_pending(&machine, "boot", "00000000-0000-0000-0000-000000000000");
        let done = machine.harden993(&["restore"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.err.contains("a reboot took the apply"), "{done:?}");
        assert_eq!(Backend::Nftables.rules(), rules);
        assert_eq!(machine.harden993(&["confirm"]).code, Some(1), "nothing waits any more");
        assert_eq!(machine.harden993(&["status"]).code, Some(0));
    });
}

/// Loads a profile and kills the command between the two families: IPv4 has the new rules, IPv6 the old ones.
fn cut_in_two(machine: &Machine, new: &str) {
    let tool = machine.tools()[1];
    std::fs::write(machine.path("count"), "0").expect("the counter is written");
    machine.wrap_one(tool, "case \"$*\" in *--test*) exec $real \"$@\" ;; esac\nkill -9 $PPID");
    let done = machine.harden993(&["apply", "--yes", "--target", "iptables", "--profile", new]);
    machine.unwrap_tools();
    assert_eq!(done.code, None, "{done:?}");
    let rules = machine.backend.rules();
    assert!(rules.contains("203.0.113.0/24") && rules.contains("2001:db8:1::/48"), "not cut in two:\n{rules}");
}

/// The timer, the next command and a boot each bring both families together again.
#[test]
fn a_load_that_was_cut_in_two_is_undone() {
    inside("restore::a_load_that_was_cut_in_two_is_undone", || {
        for backend in [Backend::IptablesNft, Backend::IptablesLegacy] {
            let machine = Machine::new(backend);
            let old = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let new = machine.profile("new", &["203.0.113.0/24", "2001:db8:2::/48"], "");
            machine.apply(&old);
            let rules = backend.rules();

            cut_in_two(&machine, &new);
            let half = backend.rules();
            // To look is not to touch.
            let status = machine.harden993(&["status"]);
            assert!(status.code == Some(1) && status.out.contains("was cut off"), "{backend:?}: {status:?}");
            let look = machine.harden993(&["restore", "--dry-run"]);
            assert!(look.code == Some(0) && look.err.contains("was cut off"), "{backend:?}: {look:?}");
            assert_eq!(backend.rules(), half, "{backend:?}");
            let timer = machine.harden993(&["restore"]);
            assert!(timer.code == Some(0) && timer.err.contains("was cut off"), "{backend:?}: {timer:?}");
            assert_eq!(backend.rules(), rules, "{backend:?}");

            // A rollback takes back what was cut off, and nothing before it.
            cut_in_two(&machine, &new);
            let next = machine.harden993(&["rollback"]);
            assert_eq!(next.code, Some(0), "{backend:?}: {next:?}");
            assert_eq!(backend.rules(), rules, "{backend:?}");

            // After a boot nothing of it is loaded, and what was confirmed is.
            cut_in_two(&machine, &new);
            edit_pending(&machine, "boot", "00000000-0000-0000-0000-000000000000");
            for tool in &machine.tools()[..2] {
                let empty = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";
                run(tool, &[], empty);
            }
            let boot = machine.harden993(&["restore"]);
            assert_eq!(boot.code, Some(0), "{backend:?}: {boot:?}");
            assert_eq!(backend.rules(), rules, "{backend:?}");
            assert_eq!(machine.harden993(&["status"]).code, Some(0), "{backend:?}");
            machine.clear();
        }
    });
}

/// The process that waits for an apply of this machine.
pub(crate) fn guardian_of(machine: &Machine) -> Option<i32> {
    let state = machine.path("state").display().to_string();
    std::fs::read_dir("/proc").expect("it is mounted").flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let words = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).into_owned();
        (words.contains("\0guard\0") && words.contains(&state)).then_some(pid)
    })
}

/// Somebody kills the guardian itself: the timer does its work when its time is long over.
#[test]
fn the_timer_stands_in_for_a_dead_guardian() {
    inside("restore::the_timer_stands_in_for_a_dead_guardian", || {
        let machine = Machine::new(Backend::Nftables);
        let old = machine.profile("old", &["198.51.100.0/24"], "");
        let new = machine.profile("new", &["203.0.113.0/24"], "");
        machine.apply(&old);
        let rules = Backend::Nftables.rules();
        let done = machine.harden993(&["apply", "--yes", "--confirm", "600", "--profile", &new]);
        assert_eq!(done.code, Some(0), "{done:?}");
        let guardian = guardian_of(&machine).expect("a guardian waits");
        run("kill", &["-9", &guardian.to_string()], "");
        let loaded = Backend::Nftables.rules();
        assert_eq!(machine.harden993(&["restore"]).code, Some(0));
        assert_eq!(Backend::Nftables.rules(), loaded, "it may still be confirmed");
        edit_pending(&machine, "confirm_by", "2026-01-01T00:00:00Z");
        let done = machine.harden993(&["restore"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.err.contains("its guardian did not put it back"), "{done:?}");
        assert_eq!(Backend::Nftables.rules(), rules);
        assert_eq!(machine.harden993(&["status"]).code, Some(0));
    });
}
