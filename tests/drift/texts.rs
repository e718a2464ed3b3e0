//! The text of a difference, word for word: for one known edit, on every target, the same whatever the listing looks like.

use expect_test::{ExpectFile, expect_file};

use crate::dice::Dice;
use crate::host::Host;
use crate::powershell::data;
use crate::saved::Desk;
use crate::{iptables_versions as iptables, nft_versions as nft, pf_dialects as pf};

/// Somebody's profile before and after an edit: a network more, one less, one that grew, and another limit.
const BEFORE: &str = "\
[[trusted]]
name = \"berlin\"
networks = [\"198.51.96.0/24\", \"198.51.97.0/24\", \"198.51.100.0/24\", \"203.0.113.7\", \"2a01:db8:10::/48\"]
";
const AFTER: &str = "\
[[trusted]]
name = \"berlin\"
networks = [\"198.51.96.0/23\", \"198.51.100.0/23\", \"203.0.113.9\", \"2a01:db8:10::/48\", \"2a01:db8:77::/48\"]
";
const BLOCKED: &str = "[[blocked]]\nname = \"abuse\"\nnetworks = [\"198.51.100.66\"]\n";
const HEAD: &str = "schema = 1\nname = \"office\"\n[service]\nplaintext_imap = \"leave\"\n";

/// The whole profile, with what a target has that another has not.
fn profile(target: &str, entries: &str, burst: u32) -> String {
    let limits = match target {
        "nftables" | "iptables" => format!("[limits]\nnew_connections = \"60/minute\"\nburst = {burst}\n"),
        _ => String::new(),
    };
    let log = if target == "nftables" { "" } else { "[untrusted]\nlog = false\n" };
    let keys = if target == "pf" { "[target.pf]\ndialect = \"freebsd\"\n" } else { "" };
    format!("{HEAD}{log}{limits}{entries}{BLOCKED}{keys}")
}

/// What a host prints that has loaded a rendering, in several forms.
fn listings(target: &str, rendering: &str) -> Vec<(&'static str, Vec<String>)> {
    let mut dice = Dice::new(31);
    match target {
        "nftables" => {
            let text = nft::listed(rendering);
            let used = nft::in_use(&text, &mut dice);
            vec![
                ("as it was rendered", vec![text.clone()]),
                ("in use, with handles, of another version", vec![nft::with_handles(&nft::v0_9_8(&used))]),
                ("in another order", vec![nft::reordered(&used, &mut dice)]),
                ("as ranges", vec![nft::as_ranges(&text)]),
            ]
        }
        "iptables" => {
            let [v4, v6] = iptables::parts(rendering);
            let plain = [("iptables", &v4), ("ip6tables", &v6)].map(|(t, p)| iptables::saved(t, "nft", p, false));
            let mut noisy = |text: &String| {
                let text = iptables::otherwise(&iptables::dotted(&iptables::reordered(text, &mut dice)));
                iptables::counted(&text, &mut dice)
            };
            vec![
                ("as it was rendered", plain.to_vec()),
                ("in other words and order", plain.iter().map(&mut noisy).collect()),
            ]
        }
        "pf" => {
            let forms = [("plain", pf::Form::Plain), ("with names", pf::Form::Names), ("verbose", pf::Form::Verbose)];
            let of = |(name, form)| (name, vec![pf::capture(pf::Dialect::FreeBsd, rendering, form, &mut dice)]);
            forms.map(of).to_vec()
        }
        _ => {
            let capture = Host::default().loaded(&data(rendering)).capture();
            vec![("an export", vec![capture.clone()]), ("with a mark", vec![format!("\u{feff}{capture}")])]
        }
    }
}

/// The difference of the two profiles, from every form of listing, with the words marked and without.
fn told(target: &str, golden: ExpectFile) {
    let old = Desk::of(&profile(target, BEFORE, 30));
    let rendering = old.render(target).expect("the target can do it");
    let new = Desk::of(&profile(target, AFTER, 45));
    let all = listings(target, &rendering);
    let mut first = None;
    for (what, files) in &all {
        let ask = |more: &[&str]| {
            let (code, out, err) = new.ask(&[&["diff", "--target", target][..], more].concat(), files);
            assert_eq!(code, 1, "{target}, {what}: {err}");
            out
        };
        let (plain, marked) = (ask(&["--all"]), ask(&["--all", "--color", "always"]));
        // What it was granted by stands in another line of each listing.
        let rules = |text: &str, head| text.split(head).next().expect("the rules come first").to_owned();
        let (plain, marked) = (rules(&plain, "\n\nport "), rules(&marked, "\n\n\u{1b}[1mport "));
        assert_eq!(anstream::adapter::strip_str(&marked).to_string(), plain, "{target}, {what}: colour adds nothing");
        let marked = marked.replace("\u{1b}[1m\u{1b}[4m\u{1b}[31m", "⟦").replace("\u{1b}[1m\u{1b}[4m\u{1b}[32m", "⟦");
        let text = plain + "\n\n" + &words(&marked);
        assert_eq!(*first.get_or_insert_with(|| text.clone()), text, "{target}, {what}: noise shows");
        old.is_unchanged(what, files);
    }
    golden.assert_eq(&first.expect("there are listings"));
}

/// The lines with marked words, each of these between brackets, without the other colours.
fn words(marked: &str) -> String {
    let mut out = String::new();
    for line in marked.lines().filter(|l| l.contains('⟦')) {
        let mut open = false;
        for piece in line.split_inclusive("\u{1b}[0m") {
            let start = piece.contains('⟦');
            let text = anstream::adapter::strip_str(piece).to_string();
            open |= start;
            out += &text;
            if open {
                out.push('⟧');
                open = false;
            }
        }
        out.push('\n');
    }
    out
}

#[test]
fn nftables_tells_an_edit() {
    told("nftables", expect_file!["../golden/diff/nftables.txt"]);
}

#[test]
fn iptables_tells_an_edit() {
    told("iptables", expect_file!["../golden/diff/iptables.txt"]);
}

#[test]
fn pf_tells_an_edit() {
    told("pf", expect_file!["../golden/diff/pf.txt"]);
}

#[test]
fn windows_tells_an_edit() {
    told("windows", expect_file!["../golden/diff/windows.txt"]);
}
