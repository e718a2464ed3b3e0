//! A state directory that is full or read-only: nothing is half done, and rules that are away are loaded all the same.

use crate::lab::{inside, run};
use crate::machine::{Backend, Machine};

/// Runs a script in which `H` is harden993, with a state directory that is a file system of its own and `fill` fills.
fn on_a_small_disk(machine: &Machine, script: &str) -> String {
    std::fs::create_dir_all(machine.path("state")).expect("the folder");
    let (state, bin) = (machine.path("state"), machine.path("bin"));
    let head = format!(
        "mount -t tmpfs -o size=256k,mode=700 none {state}\n\
         fill() {{ dd if=/dev/zero of={state}/full bs=4k 2>/dev/null; }}\n\
         H() {{ PATH={bin}:$PATH {program} \"$@\" --state-dir {state} 2>&1; echo \"$1=$?\"; }}\n",
        state = state.display(),
        bin = bin.display(),
        program = env!("CARGO_BIN_EXE_harden993"),
    );
    run("unshare", &["--mount", "sh", "-c", &(head + script)], "")
}

/// What a flush by hand takes away.
fn flush(backend: Backend) -> &'static str {
    match backend {
        Backend::Nftables => "nft flush ruleset",
        Backend::IptablesNft => "iptables-nft -F INPUT; ip6tables-nft -F INPUT",
        Backend::IptablesLegacy => "iptables-legacy -F INPUT; ip6tables-legacy -F INPUT",
    }
}

#[test]
fn rules_come_back_although_nothing_can_be_written() {
    inside("disk::rules_come_back_although_nothing_can_be_written", || {
        for backend in Backend::ALL {
            for fault in ["fill", "mount -o remount,ro $STATE"] {
                let machine = Machine::new(backend);
                let profile = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
                machine.apply(&profile);
                let rules = backend.rules();
                machine.clear();
                let fault = fault.replace("$STATE", &machine.path("state").display().to_string());
                let said = on_a_small_disk(
                    &machine,
                    &format!(
                        "H apply --yes --target {} --profile {profile}\n{fault}\n{}\nH restore\nH restore --dry-run",
                        backend.target(),
                        flush(backend)
                    ),
                );
                assert!(said.contains("apply=0"), "{backend:?}, {fault}: {said}");
                assert!(said.contains("the journal will know nothing"), "{backend:?}, {fault}: {said}");
                assert_eq!(said.matches("restore=0").count(), 2, "{backend:?}, {fault}: {said}");
                assert!(said.contains("nothing to do"), "{backend:?}, {fault}: {said}");
                assert_eq!(backend.rules(), rules, "{backend:?}, {fault}: {said}");
                let flushed = machine.harden993(&["remove", "--yes"]);
                assert_eq!(flushed.code, Some(0), "{flushed:?}");
            }
        }
    });
}

/// What the exit code says is loaded, and the next command leaves it so and has nothing to complain about.
#[test]
fn a_disk_that_fills_up_at_any_step() {
    inside("disk::a_disk_that_fills_up_at_any_step", || {
        for backend in Backend::ALL {
            let machine = Machine::new(backend);
            let old = machine.profile("old", &["198.51.100.0/24", "2001:db8:1::/48"], "");
            let new = machine.profile("new", &["203.0.113.0/24", "2001:db8:2::/48"], "");
            machine.apply(&new);
            let rules_new = backend.rules();
            machine.apply(&old);
            let rules_old = backend.rules();
            machine.wrap("exec $real \"$@\"");
            machine.apply(&new);
            let steps = machine.count();
            machine.unwrap_tools();
            machine.clear();
            let mut codes = std::collections::BTreeSet::new();
            for at in 0..steps {
                for confirm in ["", "--confirm 600"] {
                    let (armed, full) = (machine.path("armed"), machine.path("state/full"));
                    let (armed, full) = (armed.display(), full.display());
                    machine.wrap(&format!(
                        "[ ! -e {armed} ] || [ \"$n\" != {at} ] || dd if=/dev/zero of={full} bs=4k 2>/dev/null\nexec $real \"$@\""
                    ));
                    let apply = format!("H apply --yes --target {} --profile", backend.target());
                    let said = on_a_small_disk(
                        &machine,
                        &format!(
                            "{apply} {old}\necho 0 >{}\ntouch {armed}\necho begin\n{apply} {new} {confirm}\n\
                             rm -f {armed} {full}\nH restore\n[ '{confirm}' = '' ] || H confirm\nH status",
                            machine.path("count").display()
                        ),
                    );
                    machine.unwrap_tools();
                    let said = said.split_once("begin").expect("it has begun").1;
                    let code = said.split("apply=").nth(1).and_then(|t| t.chars().next()).expect("a code");
                    let rules = if code == '0' { &rules_new } else { &rules_old };
                    assert!(matches!(code, '0' | '3' | '4'), "{backend:?}, step {at} {confirm}: {said}");
                    assert_eq!(&backend.rules(), rules, "{backend:?}, step {at} {confirm}: {said}");
                    assert!(said.contains("restore=0"), "{backend:?}, step {at} {confirm}: {said}");
                    assert!(said.contains("status=0"), "{backend:?}, step {at} {confirm}: {said}");
                    codes.insert(code);
                    run("sh", &["-c", flush(backend)], "");
                }
            }
            assert!(codes.contains(&'3') && codes.contains(&'4'), "{backend:?}: {codes:?}");
        }
    });
}
