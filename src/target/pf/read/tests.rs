//! What the three systems print, and rulesets of others.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::super::Pf;
use crate::access::{Interface, Outcome, Packet, Path, Question, Refuse, Verdict};
use crate::ruleset::{Ruleset, evaluate};
use crate::target::{HEADING, Listing, ReadError, Target};

fn read(text: &str) -> Ruleset {
    Pf.read(&Listing::of_text(text)).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn error(text: &str) -> ReadError {
    Pf.read(&Listing::of_text(text)).expect_err(text)
}

/// A capture of sections, each a command and its output.
fn capture(sections: &[(&str, &str)]) -> Ruleset {
    let text: Vec<String> = sections.iter().map(|(command, text)| format!("{HEADING}{command}\n{text}")).collect();
    let text = text.concat();
    Pf.read(&Listing::parse(&text)).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn on(interface: &str) -> Question {
    Question { interface: Interface::parse(interface), ..Question::opening(993) }
}

fn verdict(ruleset: &Ruleset, q: &Question, ip: &str) -> Verdict {
    evaluate(ruleset, q).at(ip.parse::<IpAddr>().unwrap()).verdict.clone()
}

const DROP: Verdict = Verdict::Refuse(Refuse::Drop);

/// Which of some sources get in through `em0`: `+` in, `-` refused, `?` unknown.
fn in_by_em0(ruleset: &Ruleset, ips: &[&str]) -> String {
    let sign = |ip: &&str| match verdict(ruleset, &on("em0"), ip) {
        Verdict::Accept | Verdict::Limit { .. } => '+',
        Verdict::Refuse(_) => '-',
        Verdict::Unknown { .. } => '?',
    };
    ips.iter().map(sign).collect()
}

const FILE: &str = include_str!("../../../../tests/golden/pf/office.conf");

/// The rules of the file as each system prints them.
fn printed(dialect: &str) -> String {
    let rules = FILE.lines().filter(|l| l.starts_with("pass") || l.starts_with("block"));
    let mut out = String::new();
    for (number, rule) in rules.enumerate() {
        let rule = rule.replace("on \"lo0\"", "on lo0").replace("on \"em0\"", "on em0");
        let rule = rule.replace("(floating, source-track", "(source-track");
        let plain = if dialect == "openbsd" { "" } else { " keep state" };
        let rule = rule.replace(" keep state (floating)", plain);
        match dialect {
            "macos" => out.push_str(&rule.replace("port = 993", "port = imaps")),
            "verbose" => {
                let rule = rule.replace("h993_blocked>", "h993_blocked:1>").replace("h993_allow>", "h993_allow:1>");
                let _ = writeln!(out, "@{number} {}", rule.replace("h993_limit1>", "h993_limit1:10>"));
                out.push_str("  [ Evaluations: 12        Packets: 0         Bytes: 0           States: 0     ]\n");
                out.push_str("  [ Inserted: uid 0 pid 4242 State Creations: 0     ]");
            }
            _ => out.push_str(&rule),
        }
        out.push('\n');
    }
    out
}

/// The tables of the file as `pfctl -T show` prints them.
fn shown(name: &str) -> String {
    let table = FILE.split(&format!("table <{name}> persist {{ \\\n")).nth(1).unwrap().split('}').next().unwrap();
    table.lines().map(|l| format!("   {}\n", l.trim_end_matches('\\').trim())).collect::<Vec<_>>().concat()
}

/// A host that has loaded the file: what its pfctl prints.
fn host(main: &str, rules: &str) -> Ruleset {
    let tables =
        ["h993_blocked", "h993_allow", "h993_limit1"].map(|t| (format!("pfctl -a harden993 -t {t} -T show"), shown(t)));
    let mut sections =
        vec![("pfctl -si", "Status: Enabled for 0 days 00:01:02           Debug: err\n"), ("pfctl -sr", main)];
    sections.push(("pfctl -a harden993 -vvsr", rules));
    sections.extend(tables.iter().map(|(command, text)| (command.as_str(), text.as_str())));
    capture(&sections)
}

const MAIN: &str = "anchor \"harden993\" in proto tcp all\npass all flags S/SA\n";

#[test]
fn every_system_prints_the_same_rules() {
    let file = read(FILE);
    for dialect in ["openbsd", "freebsd", "macos", "verbose"] {
        let host = host(MAIN, &printed(dialect));
        assert_eq!(Pf.print(&host), Pf.print(&file), "{dialect}");
        assert_eq!(host.digest, file.digest, "{dialect}");
        assert_eq!(host.remarks, [""; 0], "{dialect}");
        for interface in ["em0", "em1", "lo0"] {
            for packet in Packet::ALL {
                let q = on(interface).packet(packet);
                assert!(evaluate(&host, &q) == evaluate(&file, &q), "{dialect}: {q}");
            }
        }
    }
}

#[test]
fn print_shows_a_change_and_nothing_else() {
    let file = read(FILE);
    let changed = FILE.replace("  203.0.113.7 \\\n", "");
    let (before, after) = (Pf.print(&file), Pf.print(&read(&changed)));
    let gone: Vec<&str> = before.lines().filter(|l| !after.lines().any(|a| a == *l)).collect();
    assert_eq!(gone, ["  203.0.113.7"]);
    assert_ne!(Pf.print(&read(&FILE.replace("30/60", "31/60"))), before);
    assert_ne!(Pf.print(&read(&FILE.replace("block drop in log", "block drop in"))), before);
}

#[test]
fn what_is_read_is_loaded_again_as_it_was() {
    let file = read(FILE);
    for text in [FILE.to_owned(), printed("openbsd")] {
        let listing = Listing::of_text(text);
        let snapshot = Pf.snapshot(&listing).unwrap().unwrap();
        assert_eq!(Pf.print(&read(&snapshot)).lines().next(), Pf.print(&file).lines().next());
        assert!(!snapshot.contains("if-bound") && snapshot.contains("keep state (floating"));
    }
    let snapshot = Pf.snapshot(&Listing::of_text(FILE)).unwrap().unwrap();
    assert_eq!(Pf.print(&read(&snapshot)), Pf.print(&file));
    assert_eq!(Pf.snapshot(&Listing::parse(&format!("{HEADING}pfctl -sr\npass all\n"))).unwrap(), None);
}

#[test]
fn an_anchor_that_main_never_calls_is_not_in_force() {
    for main in
        ["pass all\n", "anchor \"harden99\" in proto tcp all\npass all\n", "anchor \"harden993/*\" all\npass all\n"]
    {
        let host = host(main, &printed("openbsd"));
        assert!(
            Pf.has_ours(&host) && host.remarks.iter().any(|r| r.contains("never calls")),
            "{main}: {:?}",
            host.remarks
        );
        assert_ne!(verdict(&host, &on("em0"), "192.0.2.99"), DROP, "{main}");
    }
}

#[test]
fn pf_that_is_switched_off_refuses_nobody() {
    let host = capture(&[("pfctl -si", "Status: Disabled\n"), ("pfctl -sr", "block drop all\n")]);
    assert_eq!(verdict(&host, &on("em0"), "192.0.2.99"), Verdict::Accept);
    assert!(host.remarks[0].contains("switched off"));
}

#[test]
fn an_earlier_quick_rule_of_main_bypasses_us_and_others_do_not() {
    let quick = format!("pass in quick proto tcp from any to any port {{ 25 993 }}\n{MAIN}");
    assert_eq!(verdict(&host(&quick, &printed("openbsd")), &on("em0"), "192.0.2.99"), Verdict::Accept);
    let plain = format!("pass in proto tcp from any to any port = 993 flags S/SA\n{MAIN}");
    assert_eq!(verdict(&host(&plain, &printed("openbsd")), &on("em0"), "192.0.2.99"), DROP);
}

#[test]
fn an_absent_anchor_is_not_ours() {
    for says in
        ["pfctl: Anchor does not exist\n", "pfctl: Anchor does not exist.\n", "pfctl: DIOCGETRULES: Invalid argument\n"]
    {
        let host = capture(&[("pfctl -sr", MAIN), ("pfctl -a harden993 -sr", says)]);
        assert!(!Pf.has_ours(&host) && Pf.print(&host).is_empty());
        assert_eq!(verdict(&host, &on("em0"), "192.0.2.99"), Verdict::Accept);
    }
}

#[test]
fn replacing_ours_is_loading_the_file() {
    let file = read(FILE);
    let before = host(MAIN, "");
    let after = Pf.replace_ours(&before, &file);
    assert_eq!(Pf.print(&after), Pf.print(&file));
    assert_eq!(verdict(&after, &on("em0"), "192.0.2.99"), DROP);
    let removed = Pf.replace_ours(&after, &Ruleset::default());
    assert!(!Pf.has_ours(&removed));
    assert_eq!(verdict(&removed, &on("em0"), "192.0.2.99"), Verdict::Accept);
    let uncalled = Pf.replace_ours(&capture(&[("pfctl -sr", "pass all\n")]), &file);
    assert_eq!(verdict(&uncalled, &on("em0"), "192.0.2.99"), Verdict::Accept);
}

#[test]
fn the_last_match_decides_unless_a_rule_is_quick() {
    let rules = "block drop in all\n\
                 pass in on em0 proto tcp from 192.0.2.0/24 to any port = imaps flags S/SA\n\
                 block return in quick on em0 inet proto tcp from 192.0.2.128/25 to any port 1:1023\n\
                 pass in on em0 inet6 proto tcp from any to any port > 992 keep state\n\
                 block drop in on em0 proto tcp from { 192.0.2.7, 2001:db8::7 } to any\n\
                 pass in quick on em0 proto udp all\n";
    let ruleset = read(rules);
    let ips = ["192.0.2.1", "192.0.2.7", "198.51.100.1", "2001:db8::1", "2001:db8::7"];
    assert_eq!(in_by_em0(&ruleset, &ips), "+--+-");
    assert_eq!(verdict(&ruleset, &on("em0"), "192.0.2.129"), Verdict::Refuse(Refuse::Reset));
    assert_eq!(verdict(&ruleset, &on("em1"), "192.0.2.1"), DROP);
    assert_eq!(verdict(&ruleset, &on("em0").packet(Packet::Known), "192.0.2.7"), Verdict::Accept);
}

#[test]
fn anchors_are_entered_where_they_are_called() {
    let nested = "block drop in all\n\
                  anchor \"mail\" in on em0 proto tcp {\n\
                  \x20 pass in from 192.0.2.0/24 to any port = 993 flags S/SA\n\
                  \x20 anchor \"deep\" all {\n\
                  \x20   block return in quick from 192.0.2.9 to any\n\
                  \x20 }\n\
                  }\n\
                  anchor quick all {\n\
                  \x20 pass in proto tcp from 198.51.100.0/24 to any port = 993\n\
                  }\n\
                  block drop in proto tcp from 198.51.100.0/24 to any\n";
    let ruleset = read(nested);
    assert_eq!(in_by_em0(&ruleset, &["192.0.2.1", "192.0.2.9", "198.51.100.1", "203.0.113.1"]), "+-+-");
    let by_section = capture(&[
        ("pfctl -sr", "block drop all\nanchor \"a/*\" all\n"),
        ("pfctl -vsA", "  a\n  a/one\n  b\n"),
        ("pfctl -a a -sr", "pass quick all\n"),
        ("pfctl -a a/one -sr", "pass in proto tcp from <ok> to any port = 993\nanchor \"/b\" all\n"),
        ("pfctl -a b -sr", "pass in quick from <ok> to any\n"),
        ("pfctl -a a/one -t ok -T show", "   192.0.2.1\n"),
        ("pfctl -t ok -T show", "   192.0.2.2\n"),
    ]);
    // An anchor sees its own table, else main's.
    assert_eq!(in_by_em0(&by_section, &["192.0.2.1", "192.0.2.2", "192.0.2.3"]), "++-");
}

#[test]
fn what_is_not_in_the_listing_is_unknown() {
    let unknown = |rules: &str, ip: &str| in_by_em0(&read(rules), &[ip]) == "?";
    assert!(unknown("block all\npass in proto tcp from <friends> to any port = 993\n", "192.0.2.1"));
    assert!(unknown("anchor \"relayd/*\" all\npass all\n", "192.0.2.1"));
    assert!(unknown("block in proto tcp from any to (em0) port 993\n", "192.0.2.1"));
    assert!(unknown("block in on egress all\n", "192.0.2.1"));
    for option in [
        "user = 1000",
        "os \"Linux\"",
        "tos 0x10",
        "tagged X",
        "! tagged X",
        "probability 50%",
        "rtable 1",
        "shiny new 7",
    ] {
        let rules = format!("block in proto tcp from any to any port = 993 {option} label \"x\"\n");
        assert!(unknown(&rules, "192.0.2.1"), "{option}");
    }
    for effect in ["rdr-to 10.0.0.5 port 993", "divert-to 127.0.0.1 port 9", "route-to 10.0.0.1"] {
        assert!(
            unknown(&format!("pass in proto tcp from any to any port = 993 flags S/SA {effect}\n"), "192.0.2.1"),
            "{effect}"
        );
    }
    // What decides before it is not touched by it.
    assert_eq!(in_by_em0(&read("block in quick from 192.0.2.1 to any\nanchor \"x\" all\n"), &["192.0.2.1"]), "-");
}

#[test]
fn options_that_do_not_decide_are_passed_over() {
    let rules = "set skip on { lo0 em9 }\nscrub in all fragment reassemble\nscrub-anchor \"com.apple/*\" all fragment reassemble\n\
                 nat-anchor \"com.apple/*\" all\ndummynet-anchor \"com.apple/*\" all\n\
                 match in all scrub (no-df random-id max-mss 1440)\n\
                 block return log (all, to pflog1) all label \"default\" ridentifier 7\n\
                 pass in log quick on em0 proto tcp from 192.0.2.0/24 to any port = 993 flags S/SAFRUPEW modulate state (sloppy, \
                 pflow, tcp.established 60) queue (a, b) set ( prio 6 ) tag ok allow-opts label \"a \\\"b\" \n\
                 block in quick proto icmp all icmp-type echoreq\nblock in quick proto tcp all fragment\n";
    let ruleset = read(rules);
    assert_eq!(in_by_em0(&ruleset, &["192.0.2.1", "198.51.100.1"]), "+-");
    assert_eq!(verdict(&ruleset, &on("em9"), "198.51.100.1"), Verdict::Accept);
}

#[test]
fn the_noise_of_pfctl_is_not_rules() {
    let rules = "No ALTQ support in kernel\nALTQ related functions disabled\nFILTER RULES:\n@0 block drop in all\n\
                 \x20 [ Evaluations: 1 Packets: 2 Bytes: 3 States: 0 ]\n  [ Owner : nil          Priority : 0     ]\n";
    assert_eq!(in_by_em0(&read(rules), &["192.0.2.1"]), "-");
}

#[test]
fn macros_and_lists_of_a_file() {
    let rules = "ext = \"em0\"\nok = \"{ 192.0.2.1, 192.0.2.2 }\"\nall_ok = \"{\" $ok 198.51.100.0/24 \"}\"\nports = \"{ 143 993 }\"\n\
                 set block-policy return\n\
                 table <bad> const { 198.51.100.0/24 !198.51.100.7 }\n\
                 block in\npass in on $ext proto { tcp udp } from $ok to any port $ports\n\
                 pass in on $ext proto tcp from <bad> to self port $ports\n";
    let ruleset = read(rules);
    assert_eq!(in_by_em0(&ruleset, &["192.0.2.1", "192.0.2.3", "198.51.100.1", "198.51.100.7"]), "+-+-");
    assert_eq!(verdict(&ruleset, &on("em0"), "192.0.2.3"), Verdict::Refuse(Refuse::Reset));
}

#[test]
fn a_negated_list_is_one_rule_for_each_item() {
    let ruleset = read("block all\npass in proto tcp from { 10.0.0.0/8 !10.1.2.0/24 } to any port = 993\n");
    // The second rule lets in everything outside of 10.1.2.0/24, and the first everything inside of it.
    assert_eq!(in_by_em0(&ruleset, &["10.0.0.1", "10.1.2.3", "192.0.2.1"]), "+++");
}

#[test]
fn redirections_are_followed_before_filtering() {
    let host = capture(&[
        (
            "pfctl -sn",
            "no rdr on em0 inet proto tcp from 192.0.2.9 to any port = 993\nrdr on em0 inet proto tcp from any to any port = 993 -> 127.0.0.1 port 8993\n",
        ),
        (
            "pfctl -sr",
            "block drop in all\npass in proto tcp from 192.0.2.0/24 to any port = 8993 flags S/SA keep state\n",
        ),
    ]);
    let outside = Question { path: Path::Outside, ..on("em0") };
    assert_eq!(verdict(&host, &outside, "192.0.2.1"), Verdict::Accept);
    assert_eq!(verdict(&host, &outside, "192.0.2.9"), DROP);
    assert_eq!(verdict(&host, &outside, "198.51.100.1"), DROP);
    let pass = capture(&[
        ("pfctl -sn", "rdr pass on em0 inet proto tcp from 192.0.2.0/24 to any port = 993 -> 10.0.0.5 port 993\n"),
        ("pfctl -sr", "block drop in all\n"),
    ]);
    assert_eq!(verdict(&pass, &outside, "192.0.2.1"), Verdict::Accept);
    assert_eq!(verdict(&pass, &outside, "198.51.100.1"), DROP);
}

#[test]
fn forwarded_packets_pass_the_rules_for_both_directions() {
    let q = |to: &str| Question { path: Path::Forwarded, ..on("em0") }.to(to.parse().unwrap());
    let only_in = read("block drop all\npass in proto tcp from any to 10.0.0.5 port = 993\n");
    assert_eq!(verdict(&only_in, &q("10.0.0.5"), "192.0.2.1"), DROP);
    let both = read("block drop all\npass proto tcp from any to 10.0.0.5 port = 993\n");
    assert_eq!(verdict(&both, &q("10.0.0.5"), "192.0.2.1"), Verdict::Accept);
}

#[test]
fn limits_of_others() {
    let ruleset = read(
        "block all\npass in proto tcp from any to any port = 993 flags S/SA keep state (source-track rule, max-src-conn 15, max-src-conn-rate 5/3, overload <bad> flush global, src.track 3)\n",
    );
    let outcome = Outcome { by: None, ..evaluate(&ruleset, &on("em0")).at("192.0.2.1".parse().unwrap()).clone() };
    assert_eq!(outcome.to_string(), "accept within 100/minute, burst 5, 15 at once per /32");
}

#[test]
fn truncated_and_alien_texts_are_errors_with_their_place() {
    for (text, line, column) in [
        ("pass in all\n-A INPUT -j ACCEPT\n", 2, 1),
        ("table inet filter {\n", 1, 7),
        ("table <x> persist { \\\n  10.0.0.1 \\\n", 1, 19),
        ("pass in quick on em0 proto tcp from <x> to any port", 1, 48),
        ("block drop in log quick on", 1, 25),
        ("pass in quick fr", 1, 15),
        ("pass in label \"h993:al", 1, 15),
        ("anchor \"x\" all {\n  pass all\n", 3, 1),
        ("pass in keep state (max-src-conn", 1, 20),
        ("pass from $nowhere to any\n", 1, 11),
        ("pfctl: /dev/pf: Permission denied\n", 1, 1),
    ] {
        let error = error(text);
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
    }
}

#[test]
fn hostile_texts_end_soon() {
    // Macros that double, anchors in anchors, a line of a million braces, rules without end.
    let mut macros = String::from("a0 = \"10.0.0.1 10.0.0.2\"\n");
    for n in 1..60 {
        let _ = writeln!(macros, "a{n} = $a{} $a{}", n - 1, n - 1);
    }
    assert!(error(&macros).message.contains("too much"));
    let deep: String = "anchor {\n".repeat(5000);
    assert!(error(&deep).message.contains("nested"));
    error(&"{".repeat(1_000_000));
    error(&format!("pass in from {}", "{ ".repeat(600_000)));
    let calls = (0..300).map(|n| format!("anchor \"/a{}\" all\n", n % 7)).collect::<Vec<_>>().concat();
    let sections: Vec<(String, &str)> = (0..7).map(|n| (format!("pfctl -a a{n} -sr"), &*calls)).collect();
    let mut all = vec![("pfctl -sr", &*calls)];
    all.extend(sections.iter().map(|(c, t)| (&**c, *t)));
    // Anchors that call each other in a circle: pf stops at some depth, so the answer is not known.
    assert_eq!(in_by_em0(&capture(&all), &["192.0.2.1"]), "?");
}

#[test]
fn rules_of_pf_are_recognised() {
    for text in [FILE, "pass in quick on em0 all\n", "@0 block drop all\n", MAIN, &format!("{HEADING}pfctl -sr\n")] {
        assert!(Pf.recognises(text), "{text}");
    }
    for text in ["table inet harden993 {\n", "*filter\n:INPUT ACCEPT [0:0]\n", "{\"nftables\": []}", ""] {
        assert!(!Pf.recognises(text), "{text}");
    }
}
