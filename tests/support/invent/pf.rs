//! Rulesets of pf, as `pfctl` prints them, with a walk of their rules packet by packet: no pf runs on Linux, so the judge is
//! what pf.conf(5) says, in code that shares nothing with the reader.

use std::fmt::Write as _;
use std::net::IpAddr;

use harden993::net::AddrSet;

use super::{V4, V6};
use crate::dice::Dice;

/// The interfaces that rules name, and one that none does.
pub(crate) const INTERFACES: &[&str] = &["em0", "em1", "vlan7", "lan7"];

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Passed,
    Blocked,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Pass,
    Block,
    /// The anchor of this number.
    Anchor(usize),
}

/// Where packets come from.
#[derive(Clone, Copy)]
enum From {
    Any,
    Net(&'static str),
    /// The table of this number.
    Table(usize),
}

struct Rule {
    action: Action,
    out: bool,
    quick: bool,
    on: Option<(bool, &'static str)>,
    proto: Option<&'static str>,
    negated: bool,
    from: From,
    port: Option<&'static str>,
    flags: Option<&'static str>,
}

/// A ruleset: its anchors, of which the first is the main one, and its tables.
pub(crate) struct Ruleset {
    anchors: Vec<Vec<Rule>>,
    /// Networks, the more special ones excepted or not.
    tables: Vec<Vec<(bool, &'static str)>>,
}

fn set(network: &str) -> AddrSet {
    network.parse().expect("the constants are networks")
}

fn is_v6(network: &str) -> bool {
    network.contains(':')
}

impl Ruleset {
    /// A ruleset by its dice.
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let nets: Vec<&'static str> = V4.iter().chain(V6).copied().collect();
        let tables = (0..3)
            .map(|_| dice.some(&nets, 5).into_iter().map(|n| (dice.often(25), n)).collect::<Vec<_>>())
            .collect::<Vec<_>>();
        let count = 1 + dice.below(4) as usize;
        let anchors =
            (0..count).map(|number| (0..dice.below(7)).map(|_| rule(number, count, &nets, dice)).collect()).collect();
        Self { anchors, tables }
    }

    /// The capture of a host that has it.
    pub(crate) fn capture(&self, heading: &str) -> String {
        let mut out = format!("{heading}pfctl -si\nStatus: Enabled for 0 days 00:01:02           Debug: err\n");
        for (number, rules) in self.anchors.iter().enumerate() {
            let of = if number == 0 { String::new() } else { format!("-a {} ", path(number)) };
            let _ = writeln!(out, "{heading}pfctl {of}-sr");
            // The name of an anchor is one within its own anchor, unless it begins with a slash.
            let root = if number == 0 { "" } else { "/" };
            for rule in rules {
                print(rule, root, &mut out);
            }
            for (table, entries) in self.tables.iter().enumerate() {
                let _ = writeln!(out, "{heading}pfctl {of}-t t{table} -T show");
                for (except, network) in entries {
                    let _ = writeln!(out, "   {}{network}", if *except { "!" } else { "" });
                }
            }
        }
        out
    }

    /// What becomes of a SYN from outside to this host.
    pub(crate) fn fate(&self, source: IpAddr, port: u16, interface: &str) -> Fate {
        let mut last = Action::Pass;
        self.walk(0, &|rule| self.matches(rule, source, port, interface), &mut last);
        if last == Action::Block { Fate::Blocked } else { Fate::Passed }
    }

    /// Walks an anchor: whether anything matched, and whether evaluation is over.
    fn walk(&self, anchor: usize, matches: &dyn Fn(&Rule) -> bool, last: &mut Action) -> (bool, bool) {
        let mut any = false;
        for rule in self.anchors[anchor].iter().filter(|r| matches(r)) {
            let (matched, over) = match rule.action {
                Action::Anchor(inner) => self.walk(inner, matches, last),
                action => {
                    *last = action;
                    (true, false)
                }
            };
            any |= matched;
            if over || rule.quick && matched {
                return (any, true);
            }
        }
        (any, false)
    }

    fn matches(&self, rule: &Rule, source: IpAddr, port: u16, interface: &str) -> bool {
        let from = match rule.from {
            From::Any => true,
            From::Net(network) => {
                // A rule with an address is one of its family.
                is_v6(network) == source.is_ipv6() && set(network).contains(source) != rule.negated
            }
            From::Table(table) => {
                let holding = self.tables[table].iter().filter(|(_, n)| set(n).contains(source));
                let closest = holding.max_by_key(|(_, n)| {
                    n.split_once('/').map_or(128, |(_, len)| len.parse::<u32>().expect("a length"))
                });
                closest.is_some_and(|(except, _)| !except) != rule.negated
            }
        };
        let ports = rule.port.is_none_or(|text| {
            let (operator, number) = text.split_once(' ').expect("an operator");
            let bound: u16 = number.parse().expect("a port");
            match operator {
                "=" => port == bound,
                "!=" => port != bound,
                ">" => port > bound,
                _ => port <= bound,
            }
        });
        !rule.out
            && from
            && ports
            && rule.on.is_none_or(|(negated, name)| (name == interface) != negated)
            && rule.proto != Some("udp")
            && rule.flags != Some("A/A")
    }
}

fn path(anchor: usize) -> String {
    format!("a{anchor}")
}

fn rule(anchor: usize, anchors: usize, nets: &[&'static str], dice: &mut Dice) -> Rule {
    let later = anchors - anchor - 1;
    let action = match dice.below(7) {
        0..=2 => Action::Pass,
        3 if later > 0 => Action::Anchor(anchor + 1 + dice.below(later as u64) as usize),
        _ => Action::Block,
    };
    let from = match dice.below(5) {
        0 => From::Any,
        1 => From::Table(dice.below(3) as usize),
        _ => From::Net(nets[dice.below(nets.len() as u64) as usize]),
    };
    let proto = if dice.often(60) { Some(*dice.pick(&["tcp", "tcp", "tcp", "udp"])) } else { None };
    let tcp = proto == Some("tcp");
    Rule {
        action,
        out: dice.often(10),
        quick: dice.often(40),
        on: dice.often(40).then(|| (dice.often(25), *dice.pick(&INTERFACES[..3]))),
        proto,
        negated: !matches!(from, From::Any) && dice.often(25),
        from,
        port: (tcp && dice.often(60)).then(|| *dice.pick(&["= 993", "= 993", "!= 993", "> 900", "<= 993", "= 22"])),
        flags: (tcp && !matches!(action, Action::Anchor(_))).then(|| *dice.pick(&["S/SA", "S/SA", "any", "A/A"])),
    }
}

fn print(rule: &Rule, root: &str, out: &mut String) {
    match rule.action {
        Action::Pass => out.push_str("pass"),
        Action::Block => out.push_str("block drop"),
        Action::Anchor(number) => {
            let _ = write!(out, "anchor \"{root}{}\"", path(number));
        }
    }
    out.push_str(if rule.out { " out" } else { " in" });
    if rule.quick {
        out.push_str(" quick");
    }
    if let Some((negated, name)) = rule.on {
        let _ = write!(out, " on {}{name}", if negated { "! " } else { "" });
    }
    if let From::Net(network) = rule.from {
        out.push_str(if is_v6(network) { " inet6" } else { " inet" });
    }
    if let Some(proto) = rule.proto {
        let _ = write!(out, " proto {proto}");
    }
    let not = if rule.negated { "! " } else { "" };
    let from = match rule.from {
        From::Any if rule.port.is_none() => None,
        From::Any => Some("any".to_owned()),
        From::Net(network) => Some(format!("{not}{network}")),
        From::Table(table) => Some(format!("{not}<t{table}>")),
    };
    match from {
        None => out.push_str(" all"),
        Some(from) => {
            let _ = write!(out, " from {from} to any");
        }
    }
    if let Some(port) = rule.port {
        let _ = write!(out, " port {port}");
    }
    if let Some(flags) = rule.flags {
        let _ = write!(out, " flags {flags}");
    }
    if rule.action == Action::Pass && rule.flags.is_some() {
        out.push_str(" keep state");
    }
    out.push('\n');
}
