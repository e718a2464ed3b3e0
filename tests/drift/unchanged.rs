//! After loading, on the kernel: `diff` prints nothing and `verify` holds, of the live rules and of every listing of them.

use std::path::{Path, PathBuf};

use crate::dice::Dice;
use crate::judge::profile;
use crate::lab::{inside, run};
use crate::machine::{Backend, Machine};
use crate::policies;

/// How many generated policies are loaded into each firewall.
const POLICIES: u64 = 24;

/// The example profiles, sorted.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let entries = std::fs::read_dir(folder).expect("profiles/").map(|e| e.expect("an entry").path());
    let mut out: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    out.sort();
    assert!(out.len() >= 9, "an example for each situation");
    out
}

/// Asserts that nothing would change, that nothing is printed, and that the host does what the profile says.
fn nothing(machine: &Machine, profile: &str, what: &str, more: &[&str]) {
    let args = [&["diff", "--target", machine.backend.target(), "--profile", profile], more].concat();
    let done = machine.harden993(&args);
    assert_eq!((done.code, done.out.as_str()), (Some(0), ""), "{:?}, {profile}, {what}: {}", machine.backend, done.err);
    let args = [&["verify", "--target", machine.backend.target(), "--profile", profile], more].concat();
    let done = machine.harden993(&args);
    assert_eq!(done.code, Some(0), "{:?}, {profile}, {what}: {done:?}", machine.backend);
}

/// The listings of what is loaded, each as its files: by name, what they hold.
fn listings(machine: &Machine) -> Vec<(&'static str, Vec<String>)> {
    let nft = |options: &[&str]| run("nft", &[options, &["list", "ruleset"]].concat(), "");
    let save = |variant: &str, options: &[&str]| {
        ["iptables", "ip6tables"].map(|p| run(&format!("{p}-{variant}-save"), options, "")).to_vec()
    };
    let mut out = match machine.backend {
        Backend::Nftables => vec![
            ("nft list ruleset", vec![nft(&[])]),
            ("with handles", vec![nft(&["-a"])]),
            ("without counters", vec![nft(&["-s"])]),
            ("as JSON", vec![nft(&["-j"])]),
            ("as JSON with handles", vec![nft(&["-j", "-a"])]),
            ("our table alone", vec![run("nft", &["list", "table", "inet", "harden993"], "")]),
        ],
        Backend::IptablesNft => vec![
            ("iptables-save", save("nft", &[])),
            ("with counters", save("nft", &["-c"])),
            ("with nft's listing", [save("nft", &[]), vec![nft(&[])]].concat()),
            ("with nft's JSON", [save("nft", &["-c"]), vec![nft(&["-j"])]].concat()),
            ("in one file", vec![save("nft", &[]).concat()]),
        ],
        Backend::IptablesLegacy => vec![
            ("iptables-save", save("legacy", &[])),
            ("with counters", save("legacy", &["-c"])),
            ("in one file", vec![save("legacy", &[]).concat()]),
        ],
    };
    let capture = machine.harden993(&["capture"]);
    assert_eq!(capture.code, Some(0), "{capture:?}");
    out.push(("a capture", vec![capture.out]));
    out
}

/// Loads a profile, by `apply` or by hand, and looks at it from everywhere.
fn unchanged(machine: &Machine, profile: &str, by_hand: bool) {
    if by_hand {
        let backend = machine.backend;
        let rendered = machine.harden993(&["render", "--target", backend.target(), "--profile", profile]);
        assert_eq!(rendered.code, Some(0), "{backend:?}, {profile}: {rendered:?}");
        match backend {
            Backend::Nftables => drop(run("nft", &["-f", "-"], &rendered.out)),
            Backend::IptablesNft | Backend::IptablesLegacy => {
                let variant = if backend == Backend::IptablesNft { "nft" } else { "legacy" };
                let (v4, v6) = (format!("IPTABLES=iptables-{variant}"), format!("IP6TABLES=ip6tables-{variant}"));
                run("env", &[&v4, &v6, "sh", "-s"], &rendered.out);
            }
        }
    } else {
        machine.apply(profile);
    }
    nothing(machine, profile, "live", &[]);
    for (what, files) in listings(machine) {
        let paths: Vec<String> =
            (0..files.len()).map(|i| machine.path(&format!("listing{i}")).display().to_string()).collect();
        for (path, text) in paths.iter().zip(&files) {
            std::fs::write(path, text).expect("the listing is written");
        }
        let more: Vec<&str> = paths.iter().flat_map(|p| ["--current", p.as_str()]).collect();
        nothing(machine, profile, what, &more);
    }
}

/// Every example and generated policies, one after the other on one host.
fn all_unchanged(test: &str, backend: Backend) {
    inside(test, || {
        let machine = Machine::new(backend);
        run(
            "cp",
            &["-r", concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/."), &machine.path("").display().to_string()],
            "",
        );
        for (number, path) in examples().into_iter().enumerate() {
            let mut text = std::fs::read_to_string(&path).expect("an example");
            let line = text.lines().find(|l| l.starts_with("# Renders for: ")).expect("a line `Renders for:`");
            if !line.contains(backend.target()) {
                continue;
            }
            // A copy, which names the variant of iptables.
            text.extend(["\n", backend.settings()]);
            let copy = machine.path(&path.file_name().expect("a file").to_string_lossy());
            std::fs::write(&copy, text).expect("the profile is written");
            unchanged(&machine, &copy.display().to_string(), number % 2 == 1);
        }
        for seed in 0..POLICIES {
            let draft = policies::draft(&mut Dice::new(9_000_000 + seed), seed == 17);
            let path = machine.path("generated.toml").display().to_string();
            std::fs::write(&path, profile(backend, &draft)).expect("the profile is written");
            unchanged(&machine, &path, seed % 2 == 1);
        }
    });
}

#[test]
fn nftables_is_as_it_was_loaded() {
    all_unchanged("unchanged::nftables_is_as_it_was_loaded", Backend::Nftables);
}

#[test]
fn iptables_nft_is_as_it_was_loaded() {
    all_unchanged("unchanged::iptables_nft_is_as_it_was_loaded", Backend::IptablesNft);
}

#[test]
fn iptables_legacy_is_as_it_was_loaded() {
    all_unchanged("unchanged::iptables_legacy_is_as_it_was_loaded", Backend::IptablesLegacy);
}
