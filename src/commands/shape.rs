//! The shapes that several reports share: networks, counts, questions, unknowns, findings, as JSON and as lines.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeSeq, Serializer};

use crate::access::Path;
use crate::change::{Asked, Finding, Severity, Unknown};
use crate::net::{Addr, AddrSet, Prefix, Told};

use super::{Line, Page, Role};

/// How much of a list is shown.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Lists {
    /// Leave out the lists of networks, keep the numbers
    #[arg(long, conflicts_with = "all")]
    pub(super) summary: bool,

    /// Show every network and every changed line, however many
    #[arg(long)]
    pub(super) all: bool,
}

impl Lists {
    /// How many entries of a list are shown of which the first so many are enough.
    pub(super) fn shown(self, enough: usize) -> usize {
        if self.all { usize::MAX } else { enough }
    }
}

/// A set of networks as sorted minimal prefixes. They are written one by one, so that a million of them need no list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Networks(pub(super) AddrSet);

impl From<&AddrSet> for Networks {
    fn from(set: &AddrSet) -> Self {
        Self(set.clone())
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        struct Text<A>(Prefix<A>);
        impl<A: Addr> Serialize for Text<A>
        where
            Prefix<A>: std::fmt::Display,
        {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(&self.0)
            }
        }
        let mut list = s.serialize_seq(None)?;
        self.0.v4.prefixes().try_for_each(|p| list.serialize_element(&Text(p)))?;
        self.0.v6.prefixes().try_for_each(|p| list.serialize_element(&Text(p)))?;
        list.end()
    }
}

/// The number of addresses of each family, as decimal strings.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Count {
    ipv4: String,
    ipv6: String,
}

impl From<&AddrSet> for Count {
    fn from(set: &AddrSet) -> Self {
        Self { ipv4: set.v4.count().to_string(), ipv6: set.v6.count().to_string() }
    }
}

/// Counts by the name of the list.
pub(super) type Counts = BTreeMap<&'static str, Count>;

/// What was asked, as the first fields of an object.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct QuestionShape {
    port: u16,
    path: &'static str,
    interface: Option<String>,
    to: Option<Vec<String>>,
}

impl From<&Asked> for QuestionShape {
    fn from(asked: &Asked) -> Self {
        let path = if asked.path == Path::Forwarded { "forwarded" } else { "input" };
        Self { port: asked.port, path, interface: asked.interface.clone(), to: asked.to.clone() }
    }
}

impl QuestionShape {
    /// The question, asked of these ports, as the head of a paragraph.
    pub(super) fn head(&self, ports: &[u16]) -> Line {
        let list: Vec<String> = ports.iter().map(u16::to_string).collect();
        let word = if ports.len() == 1 { "port" } else { "ports" };
        let mut line = Line::new().strong(format!("{word} {}", list.join(", ")));
        if self.path == "forwarded" {
            line = line.plain(", forwarded");
        }
        if let Some(interface) = &self.interface {
            line = line.plain(format!(", by {interface}"));
        }
        if let Some(to) = &self.to {
            line = line.plain(format!(", to {}", to.join(", ")));
        }
        line
    }
}

/// Answers that differ in nothing but the port are told to people as one: each with its ports, in the order of the first.
pub(super) fn by_port<T>(
    all: impl Iterator<Item = T>,
    question: impl Fn(&T) -> QuestionShape,
    same: impl Fn(&T, &T) -> bool,
) -> Vec<(QuestionShape, Vec<u16>, T)> {
    let mut out: Vec<(QuestionShape, Vec<u16>, T)> = Vec::new();
    for one in all {
        let asked = question(&one);
        let alike = |(other, _, first): &&mut (QuestionShape, Vec<u16>, T)| {
            (other.path, &other.interface, &other.to) == (asked.path, &asked.interface, &asked.to) && same(first, &one)
        };
        match out.iter_mut().find(alike) {
            Some((_, ports, _)) => ports.push(asked.port),
            None => out.push((asked.clone(), vec![asked.port], one)),
        }
    }
    out
}

/// Sources of which something cannot be told.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct UnknownShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<Networks>,
    because: String,
    rule: Option<String>,
}

impl UnknownShape {
    pub(super) fn list(unknown: &[Unknown], summary: bool) -> Vec<Self> {
        let one = |u: &Unknown| Self {
            networks: (!summary).then(|| (&u.sources.0).into()),
            because: u.because.clone(),
            rule: u.rule.clone(),
        };
        unknown.iter().map(one).collect()
    }
}

/// The union of everything that is unknown.
pub(super) fn union(unknown: &[Unknown]) -> AddrSet {
    unknown.iter().fold(AddrSet::new(), |set, u| set.union(&u.sources.0))
}

/// Something that was found.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct FindingShape {
    code: &'static str,
    severity: &'static str,
    message: String,
    rule: Option<String>,
    help: Option<String>,
}

impl From<&Finding> for FindingShape {
    fn from(f: &Finding) -> Self {
        Self {
            code: f.code,
            severity: f.severity.word(),
            message: f.message.clone(),
            rule: f.rule.clone(),
            help: f.help.clone(),
        }
    }
}

/// Writes findings under each other.
pub(super) fn findings(page: &mut Page, findings: &[Finding]) {
    for finding in findings {
        let role = match finding.severity {
            Severity::Error => Role::Bad,
            Severity::Warning => Role::Warn,
            Severity::Note => Role::Dim,
        };
        let word = format!("{}[{}]", finding.severity.word(), finding.code);
        page.line(Line::new().with(role, word).plain(format!(": {}", finding.message)));
        if let Some(rule) = &finding.rule {
            page.line(Line::new().dim("  rule: ").plain(rule));
        }
        if let Some(help) = &finding.help {
            page.line(Line::new().dim("  help: ").plain(help));
        }
    }
}

/// The most networks of one list that a page shows without `--all`.
const SHOWN: usize = 12;

/// Writes a list: its name, how many addresses it has, and its networks.
pub(super) fn networks(page: &mut Page, role: Role, name: &str, set: &AddrSet, lists: Lists) {
    listed(page, role, name, set, lists, |_| None);
}

/// As [`networks`], with a reason beside each network. Nearly everybody is told as everybody but a few.
pub(super) fn listed<'w>(
    page: &mut Page,
    role: Role,
    name: &str,
    set: &AddrSet,
    lists: Lists,
    why: impl Fn(&str) -> Option<&'w str>,
) {
    for part in set.told() {
        page.line(Line::new().plain("  ").with(role, format!("{name:<10}")).plain(in_numbers(&part)));
        if lists.summary {
            continue;
        }
        let v4 = part.list.v4.prefixes().map(|p| p.to_string());
        let mut prefixes = v4.chain(part.list.v6.prefixes().map(|p| p.to_string()));
        let shown = prefixes.by_ref().take(lists.shown(SHOWN));
        let rows: Vec<Vec<Line>> = shown
            .map(|prefix| {
                let reason = why(&prefix).filter(|_| !part.inverse).map_or_else(Line::new, |r| Line::new().dim(r));
                vec![Line::from(format!("    {prefix}")), reason]
            })
            .collect();
        if !rows.is_empty() {
            page.table(rows);
        }
        let more = prefixes.count();
        if more > 0 {
            let networks = plural(more, "network", "networks");
            page.line(Line::new().dim(format!("    and {networks} more (`--all` shows them)")));
        }
    }
}

/// A part of a set in numbers.
pub(super) fn in_numbers(part: &Told) -> String {
    match (part.inverse, part.list.is_empty()) {
        (false, _) => size(&part.list),
        (true, true) => part.everybody().to_owned(),
        (true, false) => {
            let few = size(&part.list);
            // Where the family was named, it is not named again.
            let few = if part.whom.is_some() { few.replace("IPv4 ", "").replace("IPv6 ", "") } else { few };
            format!("{} but {few}", part.everybody())
        }
    }
}

/// A set in numbers: how many addresses it has, or how many it has not.
pub(super) fn numbers(set: &AddrSet) -> String {
    let parts: Vec<String> = set.told().iter().map(in_numbers).collect();
    if parts.is_empty() { "nobody".to_owned() } else { parts.join(", and ") }
}

/// How many addresses a set has, for people.
pub(super) fn size(set: &AddrSet) -> String {
    sizes(set.v4.count().get(), set.v6.count().get())
}

/// How many IPv4 and IPv6 addresses that is, for people; none stands for the whole space.
pub(super) fn sizes(v4: Option<u128>, v6: Option<u128>) -> String {
    let v4 = (v4 != Some(0))
        .then(|| v4.map_or_else(|| "every IPv4 address".to_owned(), |n| plural(n, "IPv4 address", "IPv4 addresses")));
    let v6 = (v6 != Some(0)).then(|| match v6 {
        // Nobody reads thirty digits; networks of /64 are what people count.
        Some(n) if n >> 64 > 0 => {
            let more = if n.trailing_zeros() < 64 { "more than " } else { "" };
            more.to_owned() + &plural(n >> 64, "IPv6 network of /64", "IPv6 networks of /64")
        }
        Some(n) => plural(n, "IPv6 address", "IPv6 addresses"),
        None => "every IPv6 address".to_owned(),
    });
    match (v4, v6) {
        (None, None) => "nobody".to_owned(),
        (v4, v6) => v4.into_iter().chain(v6).collect::<Vec<_>>().join(" and "),
    }
}

fn plural(n: impl std::fmt::Display, one: &str, many: &str) -> String {
    let n = n.to_string();
    if n == "1" { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Writes what is unknown and why.
pub(super) fn unknown(page: &mut Page, unknown: &[Unknown], lists: Lists) {
    for u in unknown {
        networks(page, Role::Warn, "unknown", &u.sources.0, lists);
        page.line(Line::new().dim("    because ").plain(&u.because));
        if let Some(rule) = &u.rule {
            page.line(Line::new().dim("    rule: ").plain(rule));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(networks: &[&str]) -> AddrSet {
        networks.iter().map(|t| crate::net::parse_network(t.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn sizes_can_be_read() {
        let is = |networks: &[&str], text: &str| assert_eq!(size(&set(networks)), text);
        is(&[], "nobody");
        is(&["192.0.2.1"], "1 IPv4 address");
        is(&["192.0.2.0/24", "2001:db8::1"], "256 IPv4 addresses and 1 IPv6 address");
        is(&["2001:db8::/64"], "1 IPv6 network of /64");
        is(&["2001:db8::/48", "2001:db9::1"], "more than 65536 IPv6 networks of /64");
        is(&["::/0"], "every IPv6 address");
    }

    #[test]
    fn networks_are_written_as_prefixes() {
        let networks = Networks(set(&["192.0.2.0/25", "192.0.2.128/25", "2001:db8::1"]));
        assert_eq!(serde_json::to_string(&networks).unwrap(), r#"["192.0.2.0/24","2001:db8::1"]"#);
    }
}
