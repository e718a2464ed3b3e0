//! What `check` says: every case of `tests/cases/check`, each also with its IPv4 networks turned into IPv6 ones.
//!
//! A case is a title (`=== title`), options (`today: 2027-01-01`, `ipv4 only`), files (`--- name`) and what is said
//! (`--- problems`). `UPDATE_EXPECT=1` writes what is said into the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use harden993::diagnostic::{CATALOGUE, Files, Problem};
use harden993::policy::TargetSpec;
use harden993::profile::{Loaded, Options, Origin, load};

const SPECS: &[TargetSpec] = &[
    TargetSpec { name: "nftables", keys: &[] },
    TargetSpec { name: "iptables", keys: &[("accept", &["accept", "return"])] },
    TargetSpec { name: "pf", keys: &[("dialect", &["openbsd", "freebsd", "macos"])] },
    TargetSpec { name: "windows", keys: &[] },
];

#[derive(Clone, Default)]
struct Case {
    title: String,
    today: String,
    ipv4_only: bool,
    files: Vec<(String, String)>,
    problems: String,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut section: Option<String> = None;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            cases.push(Case { title: title.to_owned(), today: "2026-11-25".to_owned(), ..Case::default() });
            section = None;
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(name) = line.strip_prefix("--- ") {
            section = Some(name.to_owned());
            if name != "problems" {
                case.files.push((name.to_owned(), String::new()));
            }
            continue;
        }
        match section.as_deref() {
            None if line == "ipv4 only" => case.ipv4_only = true,
            None => {
                if let Some(day) = line.strip_prefix("today: ") {
                    day.clone_into(&mut case.today);
                }
            }
            Some("problems") => writeln!(case.problems, "{line}").unwrap(),
            Some(_) => writeln!(case.files.last_mut().unwrap().1, "{line}").unwrap(),
        }
    }
    for case in &mut cases {
        case.problems = case.problems.trim_end().to_owned();
    }
    cases
}

fn print(cases: &[Case]) -> String {
    let mut out = String::new();
    for case in cases {
        writeln!(out, "=== {}", case.title).unwrap();
        if case.today != "2026-11-25" {
            writeln!(out, "today: {}", case.today).unwrap();
        }
        if case.ipv4_only {
            out += "ipv4 only\n";
        }
        for (name, content) in &case.files {
            write!(out, "--- {name}\n{content}").unwrap();
        }
        writeln!(out, "--- problems\n{}\n", case.problems).unwrap();
    }
    out.trim_end().to_owned() + "\n"
}

fn run(case: &Case) -> Loaded {
    // A case cannot well hold these bytes as they are.
    let bytes = |text: &str| {
        let text = text.replace("{x:1001}", &"x".repeat(1001));
        let mut out = Vec::new();
        for (i, part) in text.split("{byte:").enumerate() {
            match part.split_once('}') {
                Some((hex, rest)) if i > 0 => {
                    out.push(u8::from_str_radix(hex, 16).unwrap());
                    out.extend_from_slice(rest.as_bytes());
                }
                _ => out.extend_from_slice(part.as_bytes()),
            }
        }
        out
    };
    let files: BTreeMap<PathBuf, Vec<u8>> = case.files.iter().map(|(n, c)| (n.into(), bytes(c))).collect();
    let read = |path: &Path| files.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
    let options = Options { today: case.today.parse().unwrap(), specs: SPECS };
    load(&Origin::File(case.files[0].0.clone().into()), &options, &read)
}

/// One problem as a case writes it. `places`: with columns, which differ between the families.
fn show(problem: &Problem, files: &Files, places: bool) -> String {
    let mut out = format!("{}[{}]", problem.code.severity, problem.code.name);
    let place = |p: &harden993::diagnostic::Place| {
        let (from, to) = (files.position(p.file, p.span.start), files.position(p.file, p.span.end));
        let end = if from.line == to.line { to.column.to_string() } else { format!("{}:{}", to.line, to.column) };
        let columns = if places { format!(":{}-{end}", from.column) } else { String::new() };
        format!("{}:{}{columns}", files.get(p.file).name, from.line)
    };
    if let Some(p) = &problem.place {
        write!(out, " {}", place(p)).unwrap();
    }
    write!(out, " {}", problem.message).unwrap();
    for label in &problem.labels {
        write!(out, "\n  see {} {}", place(&label.place), label.text).unwrap();
    }
    for (word, text) in [("help", &problem.help), ("fix", &problem.fix)] {
        if let Some(text) = text {
            write!(out, "\n  {word}: {text}").unwrap();
        }
    }
    out
}

fn said(loaded: &Loaded, places: bool) -> String {
    loaded.problems.iter().map(|p| show(p, &loaded.files, places)).collect::<Vec<_>>().join("\n")
}

/// A text with its IPv4 networks turned into IPv6 ones, each into the same place of one /96.
fn to_ipv6(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        out += &rest[..start];
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let octets: Vec<Option<u8>> = word.split('.').map(|o| o.parse().ok()).collect();
        rest = after;
        let [Some(a), Some(b), Some(c), Some(d)] = octets[..] else {
            out += word;
            continue;
        };
        let high: u32 = if [a, b, c] == [198, 51, 100] { 0x2001_0db8 } else { 0x2a00_0001 };
        let address = u128::from(high) << 96 | u128::from(u32::from_be_bytes([a, b, c, d]));
        out += &std::net::Ipv6Addr::from(address).to_string();
        if let Some(length) = after.strip_prefix('/') {
            let digits = length.find(|c: char| !c.is_ascii_digit()).unwrap_or(length.len());
            if let Ok(n) = length[..digits].parse::<u8>() {
                let n = if n == 32 { String::new() } else { format!("/{}", n + 96) };
                out += &n;
                rest = &length[digits..];
            }
        }
    }
    out + rest
}

#[test]
fn every_case() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/check");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut seen = BTreeSet::new();
    let mut failed = String::new();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut cases = parse(&text);
        for case in &mut cases {
            let loaded = run(case);
            assert_eq!(loaded.policy.is_none(), loaded.has_errors(), "{}", case.title);
            seen.extend(loaded.problems.iter().map(|p| p.code.name));
            let found = said(&loaded, true);
            if update {
                case.problems.clone_from(&found);
            } else if found != case.problems {
                writeln!(failed, "{}: {}\n{found}\n", path.display(), case.title).unwrap();
            }
            if case.ipv4_only {
                continue;
            }
            let mut other = case.clone();
            other.files.iter_mut().for_each(|(_, content)| *content = to_ipv6(content));
            let (other, wanted) = (said(&run(&other), false), to_ipv6(&said(&loaded, false)));
            if other != wanted {
                writeln!(failed, "{}: {} (IPv6)\n{other}\ninstead of\n{wanted}\n", path.display(), case.title).unwrap();
            }
        }
        if update {
            std::fs::write(&path, print(&cases)).unwrap();
        }
    }
    assert!(failed.is_empty(), "{failed}");
    // Reading a profile does not ask a target; `tests/cases/check.txt` has what the command says of one.
    seen.insert("target-cannot");
    let untested: Vec<_> = CATALOGUE.iter().map(|c| c.name).filter(|n| !seen.contains(n)).collect();
    assert!(untested.is_empty(), "no case says {untested:?}");
}
