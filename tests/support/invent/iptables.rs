//! Rulesets for iptables-restore and ip6tables-restore.

use std::fmt::Write as _;

use super::{INTERFACES, MARKS, PORTS, V4, V4_RANGES, V6, V6_RANGES};
use crate::dice::Dice;

/// What empties every table that rulesets use, of either family.
pub(crate) const EMPTY: &str = "\
*raw
:PREROUTING ACCEPT
:OUTPUT ACCEPT
COMMIT
*mangle
:PREROUTING ACCEPT
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT
:INPUT ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
COMMIT
*filter
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
COMMIT
";

/// Where in the ruleset a rule stands.
struct Place {
    table: &'static str,
    six: bool,
    /// The first and the number of all user chains that may be jumped to.
    chains: std::ops::Range<u64>,
}

/// What `iptables-restore` takes, a line `# ip6tables`, and what `ip6tables-restore` takes.
pub(crate) fn ruleset(dice: &mut Dice) -> String {
    let mut out = String::new();
    for six in [false, true] {
        if six {
            out.push_str("# ip6tables\n");
        }
        for (table, chains) in [
            ("raw", &["PREROUTING"][..]),
            ("mangle", &["PREROUTING", "INPUT", "FORWARD"]),
            ("nat", &["PREROUTING"]),
            ("filter", &["INPUT", "FORWARD"]),
        ] {
            if table == "filter" || dice.often(40) {
                block(table, chains, six, dice, &mut out);
            }
        }
    }
    out
}

fn block(table: &'static str, base: &[&str], six: bool, dice: &mut Dice, out: &mut String) {
    let _ = writeln!(out, "*{table}");
    for chain in base {
        let policy = if table == "filter" && dice.often(50) { "DROP" } else { "ACCEPT" };
        let _ = writeln!(out, ":{chain} {policy} [0:0]");
    }
    let chains = dice.below(4);
    for chain in 0..chains {
        let _ = writeln!(out, ":c{chain} - [0:0]");
    }
    let all = base.iter().map(|b| (*b).to_owned()).chain((0..chains).map(|c| format!("c{c}")));
    for (number, chain) in all.enumerate() {
        let first = (number + 1).saturating_sub(base.len()) as u64;
        let place = Place { table, six, chains: first..chains };
        for _ in 0..dice.below(6) {
            let mut rule = format!("-A {chain}");
            let mut tcp = false;
            for _ in 0..dice.below(4) {
                matching(&place, &mut tcp, dice, &mut rule);
            }
            target(&place, tcp, dice, &mut rule);
            out.push_str(&rule);
            out.push('\n');
        }
    }
    out.push_str("COMMIT\n");
}

fn not(dice: &mut Dice) -> &'static str {
    if dice.often(25) { " !" } else { "" }
}

/// Adds a match, unless the rule has one of the kind.
fn matching(place: &Place, tcp: &mut bool, dice: &mut Dice, rule: &mut String) {
    let (nets, ranges) = if place.six { (V6, V6_RANGES) } else { (V4, V4_RANGES) };
    let negated = not(dice);
    let (key, text) = match dice.below(14) {
        0..=3 => (" -s ", format!("{negated} -s {}", dice.pick(nets))),
        4..=5 => (" -i ", format!("{negated} -i {}", dice.pick(&[INTERFACES, &["eth+", "lan+"]].concat()))),
        6..=8 => {
            let ports = match dice.below(3) {
                0 => format!(" -m multiport{negated} --dports {}", dice.pick(&["993,22", "143,990:995", "443"])),
                1 if place.table == "filter" && dice.often(30) => {
                    format!(" -m conntrack{negated} --ctorigdstport {}", dice.pick(PORTS))
                }
                1 => format!(" -m tcp{negated} --dport {}", dice.pick(&["993", "990:1000", ":993", "22"])),
                _ => format!(" -m tcp{negated} --dport {}", dice.pick(PORTS)),
            };
            ("port", if *tcp { ports } else { format!(" -p tcp{ports}") })
        }
        9 => ("iprange", format!(" -m iprange{negated} --src-range {}", dice.pick(ranges))),
        10 => ("ctstate", {
            let states = dice.pick(&["NEW", "RELATED,ESTABLISHED", "INVALID", "NEW,UNTRACKED", "DNAT"]);
            format!(" -m conntrack{negated} --ctstate {states}")
        }),
        11 => (
            " mark",
            format!(" -m mark{negated} --mark {}/{}", dice.pick(MARKS), dice.pick(&["0xff", "0xf", "0xffffffff"])),
        ),
        12 => ("addrtype", format!(" -m addrtype{negated} --dst-type LOCAL")),
        _ => ("extra", {
            let plain = [
                " -m conntrack --ctdir ORIGINAL",
                " -m connmark ! --mark 0x10",
                " -m state --state NEW",
                " -m comment --comment \"-j ACCEPT -s 10.0.0.0/8\"",
                " -m pkttype --pkt-type unicast",
            ];
            let flags = [" --syn", " ! --syn", " --tcp-flags FIN,SYN,RST,ACK SYN", " ! --tcp-flags SYN,ACK SYN"];
            if dice.often(50) {
                (*dice.pick(&plain)).to_owned()
            } else {
                let proto = if *tcp { "" } else { " -p tcp" };
                format!("{proto} -m tcp{}", dice.pick(&flags))
            }
        }),
    };
    let port = key == "port" && (rule.contains("dport") || rule.contains("-m tcp"));
    let again =
        port || rule.contains(key) || (key == "extra" && (rule.contains("-m tcp") || rule.contains("-m state")));
    if !again {
        *tcp |= text.contains(" -p tcp");
        rule.push_str(&text);
    }
}

fn target(place: &Place, tcp: bool, dice: &mut Dice, rule: &mut String) {
    let chains = place.chains.end.saturating_sub(place.chains.start);
    let chain = |dice: &mut Dice| place.chains.start + dice.below(chains);
    let port = dice.pick(PORTS);
    let text = match dice.below(12) {
        0..=1 if chains > 0 => format!(" -j c{}", chain(dice)),
        2 if chains > 0 => format!(" -g c{}", chain(dice)),
        3 => " -j RETURN".to_owned(),
        4 if place.table == "mangle" => {
            let options = ["--set-xmark", "--or-mark", "--and-mark", "--xor-mark", "--set-mark"];
            format!(" -j MARK {} {}", dice.pick(&options), dice.pick(MARKS))
        }
        5 if place.table == "mangle" => {
            format!(" -j CONNMARK {}", dice.pick(&["--save-mark", "--restore-mark", "--set-mark 0x10"]))
        }
        4 if place.table == "raw" => " -j CT --notrack".to_owned(),
        4..=5 if place.table == "nat" && tcp => format!(" -j REDIRECT --to-ports {port}"),
        6 if place.table == "nat" && tcp => {
            format!(" -j DNAT --to-destination {}", if place.six { "fd29::2" } else { "172.29.0.2" })
        }
        4..=5 if place.table == "filter" => {
            if tcp && dice.often(50) { " -j REJECT --reject-with tcp-reset" } else { " -j REJECT" }.to_owned()
        }
        7 => " -j LOG --log-prefix \"invented \"".to_owned(),
        // A rule that only counts.
        8 => String::new(),
        9 if place.table != "nat" => " -j DROP".to_owned(),
        10 if place.table == "filter" => " -j DROP".to_owned(),
        _ => " -j ACCEPT".to_owned(),
    };
    rule.push_str(&text);
}
