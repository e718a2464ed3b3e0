//! Holds the example profiles to what they say: nothing in them is doubtful, and each renders, proved, for the targets that
//! its head comment names, and for no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harden993::profile::{Disk, Loaded, Options, Origin, load};
use harden993::target::{ALL, Target, adapt, render};

/// The example profiles, sorted.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let entries = fs::read_dir(folder).expect("profiles/").map(|e| e.expect("an entry").path());
    let mut out: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    out.sort();
    assert!(out.len() >= 9, "an example for each situation");
    out
}

fn loaded(path: &Path) -> Loaded {
    let specs: Vec<_> = ALL.iter().map(|t| t.spec()).collect();
    load(&Origin::File(path.to_owned()), &Options { today: jiff::civil::date(2026, 11, 25), specs: &specs }, &Disk)
}

/// The targets that the head comment names: `# Renders for: nftables, pf.`, with remarks behind the names.
fn named(path: &Path) -> BTreeSet<&'static str> {
    let text = fs::read_to_string(path).expect("an example");
    let line = text.lines().find_map(|l| l.strip_prefix("# Renders for: ")).expect("a line `Renders for:`");
    let list = line.split('.').next().unwrap_or_default();
    let words: Vec<&str> = list.split([',', ';', ' ']).collect();
    ALL.iter().map(|t| t.spec().name).filter(|name| words.contains(name)).collect()
}

/// Whether a target takes the profile; what it takes must be proved.
fn renders(target: &dyn Target, loaded: &Loaded) -> bool {
    let settings = loaded.target(target.spec().name);
    let policy = loaded.policy.as_ref().expect("a valid profile");
    let Ok(adapted) = adapt(target, policy, &loaded.asked, &settings) else { return false };
    let job = adapted.job(policy.digest(), &loaded.name, &settings);
    let files = render(target, &job).unwrap_or_else(|e| panic!("{}, {}: {e}", loaded.name, target.spec().name));
    files.iter().all(|f| f.content.contains(&policy.digest().to_string()))
}

#[test]
fn the_examples_are_beyond_doubt() {
    let mut problems = Vec::new();
    for path in examples() {
        let loaded = loaded(&path);
        problems.extend(loaded.problems.iter().map(|p| format!("{}: {}: {}", path.display(), p.code.name, p.message)));
        assert_eq!(path.file_stem().and_then(|s| s.to_str()), Some(loaded.name.as_str()), "named as its file");
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_examples_render_for_the_targets_that_they_name() {
    for path in examples() {
        let loaded = loaded(&path);
        assert!(loaded.policy.is_some(), "{} is valid", path.display());
        let found: BTreeSet<_> = ALL.iter().filter(|t| renders(**t, &loaded)).map(|t| t.spec().name).collect();
        assert_eq!(found, named(&path), "{}", path.display());
    }
}
