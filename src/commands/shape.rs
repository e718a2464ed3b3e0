//! The shapes that several reports share: networks, counts, questions, unknowns, findings, as JSON and as lines.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::access::Path;
use crate::change::{Asked, Finding, Severity, Unknown};
use crate::net::AddrSet;

use super::{Line, Page, Role};

/// A set of networks as sorted minimal prefixes; null where a summary leaves lists out.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Networks(pub(super) Vec<String>);

impl From<&AddrSet> for Networks {
    fn from(set: &AddrSet) -> Self {
        Self(set.to_cidrs())
    }
}

/// The number of addresses of each family, as decimal strings.
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
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
    /// The question as the head of a paragraph.
    pub(super) fn head(&self) -> Line {
        let mut line = Line::new().strong(format!("port {}", self.port));
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

/// Sources of which something cannot be told.
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
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
pub(super) fn networks(page: &mut Page, role: Role, name: &str, set: &AddrSet, all: bool) {
    if set.is_empty() {
        return;
    }
    page.line(Line::new().plain("  ").with(role, format!("{name:<10}")).plain(size(set)));
    let v4 = set.v4.prefixes().map(|p| p.to_string());
    let mut prefixes = v4.chain(set.v6.prefixes().map(|p| p.to_string()));
    let shown = prefixes.by_ref().take(if all { usize::MAX } else { SHOWN });
    for prefix in shown.collect::<Vec<_>>() {
        page.line(Line::new().plain(format!("    {prefix}")));
    }
    let more = prefixes.count();
    if more > 0 {
        page.line(Line::new().dim(format!("    and {more} networks more (`--all` shows them)")));
    }
}

/// How many addresses a set has, for people.
pub(super) fn size(set: &AddrSet) -> String {
    let v4 = (!set.v4.is_empty()).then(|| plural(&set.v4.count().to_string(), "IPv4 address", "IPv4 addresses"));
    let v6 = (!set.v6.is_empty()).then(|| match set.v6.count().get() {
        // Nobody reads thirty digits; the size of the network that would hold as many says more.
        Some(n) if n > 1_000_000 => format!("IPv6: as many addresses as a /{}", 128 - n.ilog2()),
        _ => plural(&set.v6.count().to_string(), "IPv6 address", "IPv6 addresses"),
    });
    match (v4, v6) {
        (None, None) => "nobody".to_owned(),
        (v4, v6) => v4.into_iter().chain(v6).collect::<Vec<_>>().join(", "),
    }
}

fn plural(n: &str, one: &str, many: &str) -> String {
    if n == "1" { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Writes what is unknown and why.
pub(super) fn unknown(page: &mut Page, unknown: &[Unknown], all: bool) {
    for u in unknown {
        networks(page, Role::Warn, "unknown", &u.sources.0, all);
        page.line(Line::new().dim("    because ").plain(&u.because));
        if let Some(rule) = &u.rule {
            page.line(Line::new().dim("    rule: ").plain(rule));
        }
    }
}
