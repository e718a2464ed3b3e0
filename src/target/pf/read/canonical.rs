//! A rule in one spelling, whatever printed it: what is only said by one dialect, or is implied, is left out.

use std::fmt::Write as _;

use crate::access::Refuse;
use crate::net::Family;
use crate::ruleset::Ports;

use super::super::capability;
use super::super::label::{GROUP, Label};
use super::statement;
use super::syntax::{Action, Anchors, Direction, End, Host, HostKind, On, Rule, State};

/// A rule to be compared as text.
pub(in super::super) struct Canonical {
    pub(in super::super) text: String,
    /// The table that is its source, if it is one.
    pub(in super::super) source: Option<String>,
    /// The table that is its destination, if it is one.
    pub(in super::super) destination: Option<String>,
}

/// The canonical form of a rule as it was listed; a text that is no rule stands for itself.
pub(in super::super) fn canonical(listed: &str) -> Canonical {
    let mut anchors = Anchors::default();
    let read = statement::read(&format!("{listed}\n"), 0, "", &mut anchors);
    let rules = anchors.by_path.remove("").unwrap_or_default().rules;
    match (read, &rules[..]) {
        (Ok(()), [rule]) => {
            Canonical { text: spell(rule, false), source: table(&rule.from), destination: table(&rule.to) }
        }
        _ => Canonical { text: listed.to_owned(), source: None, destination: None },
    }
}

/// A rule as text that pfctl loads; what is not modelled stands as it was listed.
pub(super) fn spell(rule: &Rule, digest: bool) -> String {
    // A rule that can match no TCP packet is somebody else's too.
    if rule.unknown.is_empty() && rule.effect.is_none() && !rule.never {
        print(rule, digest)
    } else {
        rule.text.clone()
    }
}

fn table(end: &End) -> Option<String> {
    match &end.hosts[..] {
        [host] => match &host.what {
            HostKind::Table(name, _) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The rule as pf.conf has it, with everything in it that pfctl leaves out when it prints.
fn print(rule: &Rule, digest: bool) -> String {
    let mut out = match rule.action {
        Action::Pass => "pass",
        Action::Block(Some(Refuse::Reset)) => "block return-rst",
        Action::Block(Some(Refuse::Icmp)) => "block return-icmp",
        Action::Block(_) => "block drop",
        Action::Match => "match",
        Action::Anchor(_) | Action::Translate(_) => return rule.text.clone(),
    }
    .to_owned();
    match rule.direction {
        Some(Direction::In) => out.push_str(" in"),
        Some(Direction::Out) => out.push_str(" out"),
        None => {}
    }
    if rule.log {
        out.push_str(" log");
    }
    if rule.quick {
        out.push_str(" quick");
    }
    if !rule.on.is_empty() {
        let on = |on: &On| format!("{}\"{}\"", if on.negated { "! " } else { "" }, on.name);
        let _ = write!(out, " on {}", list(rule.on.iter().map(on)));
    }
    match rule.family {
        Some(Family::V4) => out.push_str(" inet"),
        Some(Family::V6) => out.push_str(" inet6"),
        None => {}
    }
    out.push_str(" proto tcp");
    end(" from", &rule.from, &mut out);
    end(" to", &rule.to, &mut out);
    let keeps = rule.action == Action::Pass && rule.state != Some(State::None);
    match rule.flags {
        None if keeps => out.push_str(" flags S/SA"),
        None => {}
        Some((0, _)) => out.push_str(" flags any"),
        Some((mask, value)) => {
            let _ = write!(out, " flags {}/{}", letters(value), letters(mask));
        }
    }
    if keeps {
        out.push_str(" keep state (floating");
        if rule.concurrent.is_some() || rule.rate.is_some() {
            out.push_str(", source-track rule");
        }
        if let Some(count) = rule.concurrent {
            let _ = write!(out, ", max-src-conn {count}");
        }
        if let Some((count, seconds)) = rule.rate.and_then(capability::rate) {
            let _ = write!(out, ", max-src-conn-rate {count}/{seconds}, src.track {seconds}");
        }
        out.push(')');
    } else if rule.state == Some(State::None) {
        out.push_str(" no state");
    }
    if let Some(label) = &rule.label {
        match Label::parse(label) {
            Some(ours) if !digest => {
                let _ = write!(out, " label \"h993:{}{}\"", ours.purpose, if ours.group { GROUP } else { "" });
            }
            _ => {
                let _ = write!(out, " label \"{label}\"");
            }
        }
    }
    out
}

/// One item as it is, several in braces.
fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.len() == 1 { items.concat() } else { format!("{{ {} }}", items.join(" ")) }
}

fn end(word: &str, end: &End, out: &mut String) {
    let host = |host: &Host| {
        let what = match &host.what {
            HostKind::Any => "any".to_owned(),
            HostKind::This => "(self)".to_owned(),
            HostKind::Net(set) => set.to_cidrs().join(" "),
            HostKind::Table(name, _) => format!("<{name}>"),
            HostKind::Unknown(what) => what.clone(),
        };
        if host.negated { format!("! {what}") } else { what }
    };
    let hosts = if end.hosts.is_empty() { "any".to_owned() } else { list(end.hosts.iter().map(host)) };
    let _ = write!(out, "{word} {hosts}");
    if let Some(Ports(ports)) = &end.ports {
        let port =
            |(first, last): &(u16, u16)| if first == last { format!("= {first}") } else { format!("{first}:{last}") };
        let _ = write!(out, " port {}", list(ports.iter().map(port)));
    }
}

fn letters(bits: u8) -> String {
    "FSRPAUEW".chars().enumerate().filter(|(n, _)| bits & 1 << n != 0).map(|(_, c)| c).collect()
}
