//! Listings that nobody's firewall prints, and huge ones: each is answered, or refused with its line, within bounds of
//! memory and of processor time that the kernel enforces. The listings are made here; each test is a process of its own.
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use harden993::change::{Scope, reach};
use harden993::target::{HEADING, Listing, Platform, ReadError, read_host};
use rustix::process::{Resource, Rlimit, setrlimit};

/// The size of a huge listing, in bytes.
const HUGE: usize = 100_000_000;

/// The processor seconds that a listing may take in an unoptimised build.
const SECONDS: u64 = 60;

/// What any listing may take of memory, in bytes, and how many bytes more for each of its own. The most are taken by single
/// rules, of which each is kept with its text.
const MEMORY: (u64, u64) = (256 << 20, 22);

/// The variable by which a test knows that it is the child.
const CHILD: &str = "HARDEN993_HOSTILE";

/// Whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

/// What came of a listing.
#[derive(Debug)]
enum Came {
    /// An answer, and whether somebody's verdict is known.
    Answer {
        known: bool,
    },
    Refused(ReadError),
}

/// Runs a test in a process whose memory and time are bounded.
fn bounded(test: &str, platform: Platform, make: impl FnOnce() -> String, hold: impl FnOnce(Came)) {
    if std::env::var_os(CHILD).is_none() {
        // One after the other: the largest take gigabytes.
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let exe = std::env::current_exe().expect("a test has a path");
        let child = Command::new(exe).args(["--exact", test, "--nocapture"]).env(CHILD, "1").output();
        let child = child.expect("a test can run itself");
        let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{test}: {}\n{said}", child.status);
        return;
    }
    let text = make();
    let memory = MEMORY.0 + MEMORY.1 * text.len() as u64;
    let limit = |bound| Rlimit { current: Some(bound), maximum: Some(bound) };
    setrlimit(Resource::As, limit(memory)).expect("memory can be bounded");
    setrlimit(Resource::Cpu, limit(SECONDS)).expect("time can be bounded");
    let listing = Listing::parse(&text);
    let came = match read_host(platform, &listing) {
        Err(e) => Came::Refused(e),
        Ok(rules) => {
            let answers = reach(&rules.ruleset, &Scope::of_port(993));
            Came::Answer { known: answers.iter().any(|a| !a.reachable.is_empty() || !a.refused.is_empty()) }
        }
    };
    hold(came);
}

fn known(came: Came) {
    assert!(matches!(came, Came::Answer { known: true }), "{came:?}");
}

fn answered(came: Came) {
    assert!(matches!(came, Came::Answer { .. }), "{came:?}");
}

/// Refused, with a line of the listing.
fn refused(came: Came) {
    match came {
        Came::Refused(e) => assert!(e.line >= 1 && !e.message.is_empty(), "{e}"),
        Came::Answer { .. } => panic!("it is no listing"),
    }
}

/// A text of about [`HUGE`] bytes: a head, as many of the lines as fit, and a foot.
fn huge(head: &str, mut line: impl FnMut(&mut String, u32), foot: &str) -> String {
    let mut out = String::with_capacity(HUGE + 1000);
    out.push_str(head);
    let mut number = 0;
    while out.len() + foot.len() < HUGE {
        line(&mut out, number);
        number += 1;
    }
    out.push_str(foot);
    out
}

/// An address for a number, each another one and none next to another.
fn address(number: u32) -> std::net::Ipv4Addr {
    (0x0100_0000 + number * 2).into()
}

macro_rules! hostile {
    ($($name:ident, $platform:ident, $make:expr, $hold:expr;)*) => {
        $(
            #[test]
            fn $name() {
                bounded(stringify!($name), Platform::$platform, $make, $hold);
            }
        )*
    };
}

const NFT: &str = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n";
const WINDOWS: &str = r#"{"schema": 1, "policy_store": "ActiveStore", "profiles": [{"name": "Public", "enabled": "True", "default_inbound": "Block", "local_rules": "True"}], "rules": ["#;
const WINDOWS_RULE: &str = r#"{"name": "@", "enabled": "True", "action": "Allow", "direction": "Inbound", "protocol": "TCP", "local_port": "993", "remote_address": ["1.0.0.1"]}"#;
const IPTABLES: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n";

// A hundred megabytes.
hostile! {
    nft_of_one_line, Linux, || {
        let head = format!("{NFT}\t\ttcp dport 993 ip saddr {{ ");
        huge(&head, |out, n| write!(out, "{}, ", address(n)).expect("it is a String"), "0.0.0.1 } accept\n\t}\n}\n")
    }, answered;
    nft_of_many_lines, Linux, || huge(NFT, |out, n| {
        writeln!(out, "\t\tip saddr {} tcp dport 993 accept", address(n)).expect("it is a String");
    }, "\t}\n}\n"), known;
    nft_of_one_set, Linux, || {
        let head = "table inet filter {\n\tset a {\n\t\ttype ipv4_addr\n\t\telements = { ";
        let foot = NFT.replace("table inet filter {\n", "1.0.0.1 }\n\t}\n") + "\t\tip saddr @a tcp dport 993 accept\n\t}\n}\n";
        huge(head, |out, n| write!(out, "{},\n\t\t\t", address(n)).expect("it is a String"), &foot)
    }, known;
    nft_json_of_one_set, Linux, || {
        let head = r#"{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}, {"table": {"family": "ip", "name": "f", "handle": 1}}, {"set": {"family": "ip", "name": "a", "table": "f", "type": "ipv4_addr", "handle": 2, "elem": ["#;
        huge(head, |out, n| write!(out, "\"{}\", ", address(n)).expect("it is a String"), "\"1.0.0.1\"]}}]}")
    }, answered;
    nft_json_of_many_rules, Linux, || {
        let head = r#"{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}, {"table": {"family": "ip", "name": "f", "handle": 1}}, {"chain": {"family": "ip", "table": "f", "name": "i", "handle": 2, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}"#;
        huge(head, |out, n| {
            write!(out, r#", {{"rule": {{"family": "ip", "table": "f", "chain": "i", "handle": {n}, "expr": [{{"match": {{"op": "==", "left": {{"payload": {{"protocol": "ip", "field": "saddr"}}}}, "right": "{}"}}}}, {{"accept": null}}]}}}}"#, address(n)).expect("it is a String");
        }, "]}")
    }, known;
    windows_of_one_rule, Windows, || {
        let rule = WINDOWS_RULE.replace('@', "rule");
        let head = format!("{WINDOWS}{}", rule.strip_suffix("\"1.0.0.1\"]}").expect("it ends so"));
        huge(&head, |out, n| write!(out, "\"{}\", ", address(n)).expect("it is a String"), "\"1.0.0.1\"]}]}")
    }, known;
    windows_of_many_rules, Windows, || huge(WINDOWS, |out, n| {
        *out += &WINDOWS_RULE.replace('@', &n.to_string()).replace("1.0.0.1", &address(n).to_string());
        out.push_str(",\n");
    }, &(WINDOWS_RULE.to_owned() + "]}")), known;
    iptables_of_one_line, Linux, || {
        huge(&format!("{IPTABLES}-A INPUT -p tcp"), |out, _| out.push_str(" -m tcp"), " --dport 993 -j ACCEPT\nCOMMIT\n")
    }, answered;
    iptables_of_many_lines, Linux, || huge(IPTABLES, |out, n| {
        writeln!(out, "-A INPUT -s {}/32 -p tcp -m tcp --dport 993 -j ACCEPT", address(n)).expect("it is a String");
    }, "COMMIT\n"), known;
    iptables_of_one_set, Linux, || {
        let rules = format!("{IPTABLES}-A INPUT -p tcp -m tcp --dport 993 -m set --match-set a src -j ACCEPT\nCOMMIT\n");
        let head = format!("{HEADING}iptables-save\n{rules}{HEADING}ipset save\ncreate a hash:ip family inet\n");
        huge(&head, |out, n| writeln!(out, "add a {}", address(n)).expect("it is a String"), "")
    }, known;
    pf_of_one_line, Bsd, || {
        huge("pass in quick proto tcp from { ", |out, n| write!(out, "{}, ", address(n)).expect("it is a String"), "1.0.0.1 } to any port = 993\n")
    }, refused;
    pf_of_many_lines, Bsd, || huge("block drop in all\n", |out, n| {
        writeln!(out, "pass in quick inet proto tcp from {} to any port = 993 flags S/SA keep state", address(n)).expect("it is a String");
    }, ""), known;
    pf_of_one_table, Bsd, || {
        let rules = "block drop in all\npass in proto tcp from <a> to any port = 993 flags S/SA keep state\n";
        let head = format!("{HEADING}pfctl -sr\n{rules}{HEADING}pfctl -t a -T show\n");
        huge(&head, |out, n| writeln!(out, "   {}", address(n)).expect("it is a String"), "")
    }, known;
    zeros_of_no_firewall, Linux, || {
        let head = format!("{HEADING}nft list ruleset\n");
        huge(&head, |out, _| out.push_str("00000000"), "\n")
    }, refused;
}

// Chains.
hostile! {
    nft_jumps_ten_thousand_deep, Linux, || nft_chains(10_000, |n| format!("jump c{}", n + 1)), known;
    nft_jumps_in_a_circle, Linux, || nft_chains(10_000, |n| format!("jump c{}", (n + 1) % 10_000)), answered;
    nft_jumps_that_double, Linux, || nft_chains(60, |n| format!("jump c{0}\n\t\tip saddr 10.0.0.{n} jump c{0}", n + 1)), answered;
    nft_of_ten_thousand_chains, Linux, || {
        let jumps = joined(10_000, |n| format!("\t\tjump c{n}\n"));
        let chains = joined(10_000, |n| format!("\tchain c{n} {{\n\t\tip saddr {} accept\n\t}}\n", address(n)));
        format!("{NFT}{jumps}\t}}\n{chains}}}\n")
    }, known;
    nft_of_nested_anonymous_chains, Linux, || {
        format!("{NFT}\t\t{}accept{}\n\t}}\n}}\n", "jump { ".repeat(10_000), " }".repeat(10_000))
    }, answered;
    nft_of_open_brackets, Linux, || format!("{NFT}\t\ttcp dport {}", "{ ".repeat(100_000)), refused;
    nft_maps_onto_themselves, Linux, || format!(
        "table inet filter {{\n\tmap m {{\n\t\ttype ipv4_addr : verdict\n\t\telements = {{ 10.0.0.1 : jump a, 10.0.0.2 : goto a }}\n\t}}\n\
         \tchain a {{\n\t\tip saddr vmap @m\n\t}}\n{}\t\tip saddr vmap @m\n\t}}\n}}\n",
        NFT.trim_start_matches("table inet filter {\n")
    ), answered;
    iptables_jumps_ten_thousand_deep, Linux, || iptables_chains(10_000, |n| format!("-A c{n} -j c{}\n", n + 1)), known;
    iptables_jumps_in_a_circle, Linux, || iptables_chains(10_000, |n| format!("-A c{n} -j c{}\n", (n + 1) % 10_000)), answered;
    iptables_jumps_that_double, Linux, || iptables_chains(60, |n| format!("-A c{n} -j c{0}\n-A c{n} -s 10.0.0.{n}/32 -j c{0}\n", n + 1)), answered;
    iptables_of_ten_thousand_chains, Linux, || {
        let rules = joined(10_000, |n| format!("-A INPUT -j c{n}\n-A c{n} -s {}/32 -j ACCEPT\n", address(n)));
        iptables_chains(10_000, |_| String::new()).replace("COMMIT\n", &(rules + "COMMIT\n"))
    }, known;
    ipsets_that_hold_each_other, Linux, || format!(
        "{HEADING}iptables-save\n{IPTABLES}-A INPUT -m set --match-set a src -j ACCEPT\nCOMMIT\n{HEADING}ipset save\n\
         create a list:set size 8\ncreate b list:set size 8\nadd a b\nadd b a\nadd a a\n"
    ), answered;
    pf_anchors_that_call_themselves, Bsd, || format!(
        "{HEADING}pfctl -sr\nblock drop all\nanchor \"a\" all\n{HEADING}pfctl -a a -sr\nanchor \"/a\" all\nanchor \"a\" all\npass in all\n"
    ), answered;
}

// Values.
hostile! {
    json_nested_deep, Linux, || format!("{{\"nftables\": {}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000)), refused;
    windows_json_nested_deep, Windows, || format!("{{\"schema\": 1, \"policy_store\": {}", "[".repeat(1_000_000)), refused;
    nft_numbers_without_end, Linux, || {
        let number = "9".repeat(100_000);
        format!("{NFT}\t\ttcp dport {number} accept\n\t\tip saddr 10.0.0.0/{number} accept\n\t\tmeta mark & {number} == {number} accept\n\t\tlimit rate {number}/second accept\n\t}}\n}}\n")
    }, answered;
    nft_ranges_that_run_backwards, Linux, || format!(
        "{NFT}\t\tip saddr 10.0.0.9-10.0.0.1 accept\n\t\ttcp dport 999-1 accept\n\t\ttcp dport {{ 999-1 }} accept\n\t\tip saddr {{ 10.0.0.9-10.0.0.1 }} accept\n\t}}\n}}\n"
    ), |_| {};
    iptables_numbers_without_end, Linux, || {
        let number = "9".repeat(100_000);
        format!("{IPTABLES}-A INPUT -p tcp --dport {number}:1 -j ACCEPT\n-A INPUT -s 10.0.0.0/{number} -j ACCEPT\n-A INPUT -m iprange --src-range 10.0.0.9-10.0.0.1 -j ACCEPT\n-A INPUT -m limit --limit {number}/sec -j ACCEPT\nCOMMIT\n")
    }, |_| {};
    pf_numbers_without_end, Bsd, || {
        let number = "9".repeat(100_000);
        format!("pass in proto tcp from 10.0.0.0/{number} to any port {number}:1\npass in proto tcp from 10.0.0.9 - 10.0.0.1 to any port 999 >< 1\n")
    }, |_| {};
}

/// The texts of the numbers below a count, one after the other.
fn joined(count: u32, text: impl Fn(u32) -> String) -> String {
    (0..count).fold(String::new(), |all, n| all + &text(n))
}

/// Chains `c0` to the last one, each with a rule that is given and the last with an acceptance; the first is jumped to.
fn nft_chains(count: u32, rule: impl Fn(u32) -> String) -> String {
    let chains = joined(count, |n| format!("\tchain c{n} {{\n\t\t{}\n\t}}\n", rule(n)));
    let last = format!("\tchain c{count} {{\n\t\tip saddr 192.0.2.0/24 tcp dport 993 accept\n\t}}\n");
    format!("{NFT}\t\tjump c0\n\t}}\n{chains}{last}}}\n")
}

fn iptables_chains(count: u32, rule: impl Fn(u32) -> String) -> String {
    let names = joined(count + 1, |n| format!(":c{n} - [0:0]\n"));
    let rules = joined(count, rule);
    let last = format!("-A c{count} -s 192.0.2.0/24 -p tcp -m tcp --dport 993 -j ACCEPT\n");
    format!("{IPTABLES}{names}-A INPUT -j c0\n{rules}{last}COMMIT\n")
}
