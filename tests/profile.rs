//! The profile as strangers meet it: hostile files, precedence of includes, and the documentation's own examples.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harden993::access::{Bucket, Pattern, Per, Rate, Refuse};
use harden993::net::{AddrSet, Network, Span};
use harden993::policy::{Draft, Feature, Forwarded, Grant, Limit, LogPolicy, TargetSpec};
use harden993::profile::{Disk, Loaded, Options, Origin, load};
use proptest::prelude::*;

const SPECS: &[TargetSpec] = &[TargetSpec { name: "pf", keys: &[("dialect", &["openbsd", "freebsd", "macos"])] }];

fn options() -> Options<'static> {
    Options { today: jiff::civil::date(2026, 11, 25), specs: SPECS }
}

/// Loads files that are in memory; the first is the profile.
fn files(files: &[(&str, &str)]) -> Loaded {
    let map: BTreeMap<PathBuf, Vec<u8>> = files.iter().map(|(n, c)| (n.into(), c.as_bytes().to_vec())).collect();
    let read = |path: &Path| map.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
    load(&Origin::File(files[0].0.into()), &options(), &read)
}

fn text(bytes: impl Into<Vec<u8>>) -> Loaded {
    load(&Origin::Text { text: bytes.into(), dir: "/nowhere".into() }, &options(), &Disk)
}

fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.problems.iter().map(|p| p.code.name).collect()
}

const HEAD: &str = "schema = 1\nname = \"a\"\nservice.plaintext_imap = \"close\"\n";

#[test]
fn the_documentation_shows_profiles_that_load() {
    let page = include_str!("../docs/profile.md");
    let examples: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|e| e.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let loaded = files(&[
            ("p.toml", example),
            ("common.toml", "[target.pf]\ndialect = \"openbsd\"\n"),
            ("lists/berlin.txt", "198.51.100.0/25\n"),
        ]);
        let errors: Vec<_> = loaded.problems.iter().filter(|p| p.is_error()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn nearer_files_win_and_later_includes_win_over_earlier_ones() {
    let d = "[untrusted]\naction = \"reject\"\n[limits]\nconcurrent = 100\nnew_connections = \"90/minute\"\n";
    let loaded = files(&[
        ("p.toml", &format!("{HEAD}include = [\"b.toml\", \"c.toml\"]\n[limits]\nburst = 20\n")),
        (
            "b.toml",
            "include = [\"d.toml\"]\n[limits]\nconcurrent = 50\n[target.pf]\ndegrade = [\"burst\"]\ndialect = \"macos\"\n",
        ),
        ("c.toml", "include = [\"d.toml\"]\n[service]\nports = [995]\n[target.pf]\ndegrade = [\"limits\"]\n"),
        (
            "d.toml",
            &format!(
                "{d}[service]\nports = [993, 4190]\n[[trusted]]\nname = \"x\"\nnetworks = [\"20.0.0.1\", \"2a00::1\"]\n"
            ),
        ),
    ]);
    let policy = loaded.policy.as_ref().unwrap_or_else(|| panic!("{:?}", loaded.problems));
    assert_eq!(policy.ports, [995]);
    assert_eq!(policy.action, Refuse::Reset);
    let rate = Some(Bucket { rate: Rate::new(90, Per::Minute), burst: 20 });
    assert_eq!(policy.trusted_classes().next().unwrap().1, Some(Limit { rate, concurrent: Some(50) }));
    let pf = loaded.target("pf");
    assert_eq!(pf.choice("dialect"), Some("macos"));
    assert_eq!(pf.degrade.into_iter().collect::<Vec<_>>(), [Feature::Limits]);
    assert_eq!(loaded.files.closure().count(), 4);
}

#[test]
fn false_stops_what_farther_files_say() {
    let entry = "[[trusted]]\nname = \"x\"\nnetworks = [\"20.0.0.1\", \"2a00::1\"]\n";
    let loaded = files(&[
        ("p.toml", &format!("{HEAD}include = [\"b.toml\"]\nlimits = false\nuntrusted.log = false\n{entry}")),
        ("b.toml", "limits = { concurrent = 50 }\nuntrusted.log = { rate = \"1/second\" }\n"),
    ]);
    let policy = loaded.policy.unwrap();
    assert_eq!((policy.has_limits(), policy.log), (false, None));
    assert!(loaded.asked.is_empty(), "{:?}", loaded.asked);
}

#[test]
fn only_what_is_written_is_asked_for() {
    let entry = "[[trusted]]\nname = \"x\"\nnetworks = [\"20.0.0.1\", \"2a00::1\"]\n";
    let asked =
        |more: &str| files(&[("p.toml", &format!("{HEAD}{entry}{more}"))]).asked.into_iter().collect::<Vec<_>>();
    assert_eq!(asked(""), []);
    assert_eq!(asked("[untrusted]\naction = \"drop\"\n"), []);
    assert_eq!(asked("[untrusted]\naction = \"reject\"\nlog = {}\n"), [Feature::Log, Feature::Reject]);
    assert_eq!(asked("[untrusted]\nlog = { burst = 20 }\n"), [Feature::Log, Feature::LogRate]);
    // The exception: what counts as one source, wherever any limit applies.
    let limited = [Feature::Limits, Feature::Ipv4Prefix, Feature::Ipv6Prefix];
    assert_eq!(asked("[limits]\nconcurrent = 20\n"), limited);
    assert_eq!(asked("limits = { concurrent = 20 }\n"), limited);
    let forwarded = format!("{HEAD}service.forwarded = [\"20.1.0.0/28\"]\n{entry}");
    assert_eq!(files(&[("p.toml", &forwarded)]).asked.into_iter().collect::<Vec<_>>(), [Feature::Forwarded]);
}

#[test]
fn every_address_names_its_line() {
    let loaded = files(&[
        (
            "p.toml",
            &format!(
                "{HEAD}[[trusted]]\nname = \"x\"\nnetworks = [\n  \"20.0.0.0/24\",\n]\nfile = \"l.txt\"\n[[trusted]]\nname = \"vpn\"\nvia = [\"wg0\"]\n"
            ),
        ),
        ("l.txt", "# list\n20.0.0.7\n2a00::/48\n"),
    ]);
    let of = |a: &str| -> Vec<String> {
        let found = loaded.provenance.of(a.parse().unwrap());
        found.iter().map(|(s, line, net)| format!("{} {}:{line} {net}", s.entry, s.file)).collect()
    };
    assert_eq!(of("20.0.0.7"), ["x l.txt:2 20.0.0.7", "x p.toml:7 20.0.0.0/24", "vpn p.toml:12 0.0.0.0/0"]);
    assert_eq!(of("2a00::1"), ["x l.txt:3 2a00::/48", "vpn p.toml:12 ::/0"]);
}

#[test]
fn files_that_are_none_are_errors_and_never_wait() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let profile = format!(
        "{HEAD}include = [\"fifo\", \".\", \"/dev/zero\"]\n[[trusted]]\nname = \"x\"\nfile = \"fifo\"\n[[blocked]]\nname = \"y\"\nfile = \".\"\n"
    );
    let origin = Origin::Text { text: profile.into_bytes(), dir: dir.path().to_owned() };
    let loaded = load(&origin, &options(), &Disk);
    assert_eq!(codes(&loaded), ["unreadable-file"; 5]);
    let loaded = load(&Origin::File(fifo), &options(), &Disk);
    assert_eq!(codes(&loaded), ["unreadable-file"]);
}

#[test]
fn ten_thousand_nested_includes() {
    let dir = tempfile::tempdir().unwrap();
    let last = 9_999;
    for i in 0..=last {
        let next = if i < last { format!("include = [\"{}.toml\"]\n", i + 1) } else { String::new() };
        let head = if i == 0 { HEAD } else { "" };
        let entry = format!(
            "[[trusted]]\nname = \"e{i}\"\nnetworks = [\"20.{}.{}.1\", \"2a00:{i:x}::/32\"]\n",
            i >> 8,
            i & 255
        );
        std::fs::write(dir.path().join(format!("{i}.toml")), format!("{head}{next}{entry}")).unwrap();
    }
    let loaded = load(&Origin::File(dir.path().join("0.toml")), &options(), &Disk);
    assert_eq!(codes(&loaded), [""; 0]);
    assert_eq!(loaded.files.closure().count(), 10_000);
}

#[test]
fn what_is_deep_or_long_or_strange_is_an_error_soon() {
    let mut hostile: Vec<Vec<u8>> = [
        format!("x = {}", "[".repeat(200_000)),
        format!("x = {}{}", "[".repeat(200_000), "]".repeat(200_000)),
        format!("[{}a]", "a.".repeat(200_000)),
        format!("x = {}", "{a=".repeat(200_000)),
        format!("{HEAD}description = \"{}\"\n", "x".repeat(1_000_000)),
        format!("schema = 1\nname = \"{}\"\n", "a".repeat(1_000_000)),
        format!("schema = 1\nname = \"{}\"\n", "ä".repeat(500_000)),
        format!("{HEAD}{} = 1\n", "k".repeat(1_000_000)),
        format!("{HEAD}[[trusted]]\nname = \"x\"\nnetworks = [\"{}\"]\n", "1".repeat(1_000_000)),
        format!("{HEAD}[[trusted]]\nname = \"x\"\nnetworks = [{}]\n", "\"10.0.0.1/8\",".repeat(50_000)),
        (0..50_000).map(|i| format!("key{i} = 1")).collect::<Vec<_>>().join("\n"),
        "= [] {} \" ''' \u{202e}".repeat(20_000),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    hostile.push((0..=255).cycle().take(1_000_000).collect());
    hostile.push((128..=255).cycle().take(1_000_000).collect());
    for bytes in hostile {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        let start = Instant::now();
        let loaded = text(bytes);
        assert!(loaded.policy.is_none() && loaded.has_errors(), "{shown}");
        for problem in &loaded.problems {
            let said = format!("{}{:?}", problem.message, problem.help);
            assert!(said.len() < 2_000, "{shown}: a message of {} bytes", said.len());
            assert!(!said.contains(['\u{1b}', '\u{202e}']), "{shown}: {said}");
            let place = problem.place.as_ref().unwrap();
            assert!(loaded.files.position(place.file, place.span.end).line >= 1);
        }
        // Generous, for a loaded machine: what is quadratic here takes hours.
        assert!(start.elapsed() < Duration::from_secs(60), "{shown}");
    }
}

/// A generated entry, to be written as TOML and as a draft.
#[derive(Clone, Debug)]
struct Entry {
    networks: Vec<Network>,
    via: Vec<&'static str>,
    limits: Own,
}

/// What an entry says of limits.
#[derive(Clone, Debug)]
enum Own {
    Nothing,
    Exempt,
    Limits(Option<u32>, Option<u32>),
}

fn network() -> impl Strategy<Value = Network> {
    let v4 = (0u32..64, 0u32..64).prop_map(|(a, b)| Network::V4(Span::new(0x1400_0000 + a, 0x1400_0000 + b)));
    let v6 = (0u128..64, 0u128..64).prop_map(|(a, b)| Network::V6(Span::new((0x2a00 << 112) + a, (0x2a00 << 112) + b)));
    prop_oneof![v4, v6]
}

fn entry() -> impl Strategy<Value = Entry> {
    let number = || proptest::option::of(1u32..90);
    let limits = prop_oneof![
        Just(Own::Nothing),
        Just(Own::Exempt),
        (number(), number()).prop_map(|(rate, concurrent)| Own::Limits(rate, concurrent)),
    ];
    let via = proptest::sample::subsequence(vec!["eth0", "wg0", "wg*"], 0..3);
    (proptest::collection::vec(network(), 1..5), via, limits).prop_map(|(networks, via, limits)| Entry {
        networks,
        via,
        limits,
    })
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|i| format!("\"{}\"", i.to_string())).collect::<Vec<_>>().join(", ")
}

fn toml(entries: &[Entry], blocked: &[Network]) -> String {
    let mut out = format!("{HEAD}[limits]\nconcurrent = 40\n[untrusted]\naction = \"reject\"\n");
    for (i, e) in entries.iter().enumerate() {
        writeln!(out, "[[trusted]]\nname = \"e{i}\"\nnetworks = [{}]", list(&e.networks)).unwrap();
        if !e.via.is_empty() {
            writeln!(out, "via = [{}]", list(&e.via)).unwrap();
        }
        match e.limits {
            Own::Nothing => {}
            Own::Exempt => out.push_str("limits = false\n"),
            Own::Limits(rate, concurrent) => {
                let rate = rate.map(|n| format!("new_connections = \"{n}/minute\", burst = 20"));
                let concurrent = concurrent.map(|n| format!("concurrent = {n}"));
                let keys: Vec<_> = rate.into_iter().chain(concurrent).collect();
                writeln!(out, "limits = {{ {} }}", keys.join(", ")).unwrap();
            }
        }
    }
    for (i, network) in blocked.iter().enumerate() {
        writeln!(out, "[[blocked]]\nname = \"b{i}\"\nnetworks = [\"{network}\"]").unwrap();
    }
    out
}

fn draft(entries: &[Entry], blocked: &[Network]) -> Draft {
    let bucket = |n| Bucket { rate: Rate::new(n, Per::Minute), burst: 20 };
    let grants = entries.iter().map(|e| Grant {
        sources: e.networks.iter().copied().collect(),
        via: e.via.iter().map(|v| Pattern::parse(v)).collect(),
        limit: match e.limits {
            Own::Nothing => Some(Limit { rate: None, concurrent: Some(40) }),
            Own::Exempt | Own::Limits(None, None) => None,
            Own::Limits(rate, concurrent) => Some(Limit { rate: rate.map(bucket), concurrent }),
        },
    });
    Draft {
        ports: vec![993],
        close_plaintext: true,
        forwarded: Forwarded::No,
        interfaces: vec![],
        action: Refuse::Reset,
        log: Some(LogPolicy { rate: Some(Bucket { rate: Rate::new(10, Per::Minute), burst: 10 }) }),
        ipv4_prefix: 32,
        ipv6_prefix: 64,
        grants: grants.collect(),
        blocked: blocked.iter().copied().collect::<AddrSet>(),
    }
}

proptest! {
    #[test]
    fn a_draft_written_as_toml_is_the_same_policy(
        entries in proptest::collection::vec(entry(), 1..6),
        blocked in proptest::collection::vec(network(), 0..3),
    ) {
        let loaded = text(toml(&entries, &blocked));
        prop_assert_eq!(loaded.policy, Some(draft(&entries, &blocked).lower()), "{:?}", loaded.problems);
    }

    #[test]
    fn the_order_of_entries_means_nothing(
        (entries, shuffled) in proptest::collection::vec(entry(), 1..6)
            .prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
    ) {
        let (a, b) = (text(toml(&entries, &[])).policy.unwrap(), text(toml(&shuffled, &[])).policy.unwrap());
        prop_assert_eq!(a.digest(), b.digest());
        prop_assert_eq!(a, b);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..200) {
        let _ = text(bytes.clone());
        // And in the middle of what is well formed.
        let mut profile = toml(&[], &[]).into_bytes();
        let at = at.min(profile.len());
        profile.splice(at..at, bytes);
        let loaded = text(profile);
        prop_assert_eq!(loaded.policy.is_none(), loaded.has_errors());
    }
}
