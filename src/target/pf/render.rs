//! Policy to the text of the anchor's file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use tera::Value;

use crate::access::{Interface, Pattern, Refuse};
use crate::net::{Addr, AddrSet, Ranges};
use crate::policy::{ClassId, Forwarded, Limit, Policy};

use super::super::template::Template;
use super::{Dialect, FILE, File, Job, RenderError, capability, label};

const TEMPLATE: Template =
    Template { path: "pf/anchor.conf.tera", text: include_str!("../../../templates/pf/anchor.conf.tera") };

/// The rules of one interface, port and destination: blocked, trusted, refused, strays.
#[derive(Serialize)]
struct Block {
    on: String,
    mark: &'static str,
    to: &'static str,
    port: u16,
    blocked: bool,
    classes: Vec<Pass>,
}

/// The rule of one class of trusted sources.
#[derive(Clone, Serialize)]
struct Pass {
    table: String,
    options: String,
    label: String,
}

/// Which sources a zone treats how.
struct ZoneRules {
    blocked: bool,
    classes: Vec<Pass>,
}

/// The anchor's file. What comes from the profile is the name, the digest, interface names that
/// [`capability::refuses`] has let pass, and addresses.
pub(super) fn render(job: &Job<'_>) -> Result<Vec<File>, RenderError> {
    let content = TEMPLATE.fill(values(job))?;
    Ok(vec![File { name: FILE.to_owned(), content }])
}

/// What the template is given.
fn values(job: &Job<'_>) -> BTreeMap<&'static str, Value> {
    let policy = job.policy;
    let dialect = Dialect::of(job.settings);
    let mut tables = Tables::default();
    let zones: Vec<ZoneRules> = (0..policy.zones.len()).map(|zone| tables.zone(policy, zone)).collect();
    let destinations: &[&'static str] = match &policy.forwarded {
        // Where every destination is guarded anyway, one rule does.
        _ if !dialect.knows_self() => &["any"],
        Forwarded::Routed(nets) => {
            tables.add("h993_routed".to_owned(), nets);
            &["(self)", "<h993_routed>"]
        }
        _ => &["(self)"],
    };
    let mut blocks = Vec::new();
    for (interface, zone) in interfaces(policy) {
        for port in policy.all_ports() {
            for to in destinations {
                let guarded = policy.ports.contains(&port);
                blocks.push(Block {
                    on: interface.map_or_else(String::new, |p| format!("on \"{}\" ", p.text())),
                    mark: if interface.is_some_and(Pattern::is_wildcard) { label::GROUP } else { "" },
                    to,
                    port,
                    // A closed port is the same table with nobody named.
                    blocked: guarded && zones[zone].blocked,
                    classes: if guarded { zones[zone].classes.clone() } else { Vec::new() },
                });
            }
        }
    }
    let ports: Vec<u16> = policy.all_ports();
    let digest = job.digest.to_string();
    BTreeMap::from([
        ("version", Value::from(super::super::VERSION)),
        ("system", dialect.system().into()),
        ("name", job.name.into()),
        ("ports", ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ").into()),
        ("digest_first", digest[..32].into()),
        ("digest_second", digest[32..].into()),
        ("digest", digest.into()),
        ("deviations", job.deviations.to_vec().into()),
        ("tables", tables.into_value()),
        ("loopback", ports.into()),
        ("blocks", Value::from_serializable(&blocks)),
        ("reply", if policy.action == Refuse::Reset { "return-rst" } else { "drop" }.into()),
        ("log", if policy.log.is_some() { "log " } else { "" }.into()),
    ])
}

/// The interfaces that get rules, the most special first, each with the number of its zone; none: every interface.
fn interfaces(policy: &Policy) -> Vec<(Option<&Pattern>, usize)> {
    let zone_of = |interface: &Interface| {
        let found = policy.zones.iter().position(|z| z.patterns.iter().any(|p| interface.matches(p)));
        found.unwrap_or(policy.zones.len() - 1)
    };
    let mut patterns: Vec<&Pattern> =
        policy.interfaces.iter().chain(policy.zones.iter().flat_map(|z| &z.patterns)).collect();
    patterns.sort_by(|a, b| a.specificity().cmp(&b.specificity()));
    patterns.dedup();
    let covered = patterns.into_iter().map(|p| (p, p.representative())).filter(|(_, i)| policy.covers(i));
    let mut out: Vec<_> = covered.map(|(p, i)| (Some(p), zone_of(&i))).collect();
    if policy.interfaces.is_empty() {
        out.push((None, policy.zones.len() - 1));
    }
    out
}

/// The tables of the anchor, each with its entries as one text.
#[derive(Default)]
struct Tables(Vec<(String, String)>);

impl Tables {
    /// The tables of one zone, and which rules it gets.
    fn zone(&mut self, policy: &Policy, zone: usize) -> ZoneRules {
        let partition = &policy.zones[zone].partition;
        let other = zone + 1 < policy.zones.len();
        let suffix = if other { format!("_via{}", zone + 1) } else { String::new() };
        let blocked = partition.members(Policy::BLOCKED);
        // Blocked sources are blocked by every interface, so one table serves all zones.
        if !blocked.is_empty() && !self.0.iter().any(|(name, _)| name == "h993_blocked") {
            self.add("h993_blocked".to_owned(), &blocked);
        }
        let mut classes = Vec::new();
        for (id, limit, word) in generous_first(policy) {
            let members = partition.members(id);
            if members.is_empty() {
                continue;
            }
            let table = format!("h993_{word}{suffix}");
            self.add(table.clone(), &members);
            classes.push(Pass { table, options: options(limit), label: word });
        }
        ZoneRules { blocked: !blocked.is_empty(), classes }
    }

    fn add(&mut self, name: String, set: &AddrSet) {
        let mut entries = String::with_capacity(24 * set.v4.spans().len() + 44 * set.v6.spans().len());
        write_entries(&set.v4, &mut entries);
        write_entries(&set.v6, &mut entries);
        self.0.push((name, entries));
    }

    fn into_value(self) -> Value {
        let table = |(name, entries): (String, String)| {
            Value::from(BTreeMap::from([("name", Value::from(name)), ("entries", Value::from(entries))]))
        };
        Value::from(self.0.into_iter().map(table).collect::<Vec<_>>())
    }
}

/// One entry a line, each line continued: a bare line break is no separator everywhere.
pub(super) fn write_entries<A: Addr>(ranges: &Ranges<A>, out: &mut String) {
    for prefix in ranges.prefixes() {
        out.push_str("  ");
        prefix.write(out);
        out.push_str(" \\\n");
    }
}

/// The trusted classes with the words that name their tables and rules: `allow` for the exempt one, then `limit1`, `limit2`
/// from the most generous to the tightest.
fn generous_first(policy: &Policy) -> Vec<(ClassId, Option<Limit>, String)> {
    let mut classes: Vec<_> = policy.trusted_classes().collect();
    classes.sort_by_key(|(id, limit)| (limit.is_some(), std::cmp::Reverse(*id)));
    let mut number = 0;
    let named = classes.into_iter().map(|(id, limit)| {
        number += u32::from(limit.is_some());
        (id, limit, limit.map_or_else(|| "allow".to_owned(), |_| format!("limit{number}")))
    });
    named.collect()
}

/// The options of `keep state`. What pfctl would add by itself is written too.
fn options(limit: Option<Limit>) -> String {
    // Written, because `set state-policy if-bound` in the main pf.conf leaks into files that it loads.
    let mut out = "floating".to_owned();
    let Some(limit) = limit else { return out };
    let rate = limit.rate.and_then(capability::rate);
    out.push_str(", source-track rule");
    if let Some(count) = limit.concurrent {
        let _ = write!(out, ", max-src-conn {count}");
    }
    if let Some((count, seconds)) = rate {
        let _ = write!(out, ", max-src-conn-rate {count}/{seconds}, src.track {seconds}");
    }
    out
}
