//! A document as a ruleset of the model: base chains become stages, statements become tests and actions.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::{Log, LogClass, Pattern, Refuse, RuleId};
use crate::net::{AddrSet, Family, Network, parse_network};
use crate::ruleset::{ChainId, Change, Hook, Match, Mixture, Origin, Rewrite, Rule, Ruleset, Stage, Then, Within};

use super::document::{
    Base, Chain, Data, Document, Element, Inner, Limit, Op, Operand, Statement, Table, TableFamily, Translation,
    Verdict,
};
use super::field::Field;
use super::parse::cut;
use super::statement;
use super::test::{implied, test};
use super::values::{Sets, Values, number, ports, prefix_of_mask};
use crate::target::nftables::{REVISION, refill_seconds};

/// The most destinations of one translation map that are told apart.
const MOST_DESTINATIONS: usize = 256;

/// How many rules of one chain are worth making room for at once.
const MANY: usize = 10_000;

/// The ruleset of a document. `before` lines stand before the listing in its file.
pub(super) fn ruleset(document: &Document<'_>, before: u32) -> Ruleset {
    let mut out = Ruleset { remarks: document.remarks.clone(), ..Ruleset::default() };
    for table in document.tables.iter().filter(|t| !t.gone && t.family != TableFamily::Elsewhere) {
        if table.dormant {
            let name = format!("{} {}", table.family.word(), table.name);
            out.remarks.push(format!("the table {name} is dormant: its rules do not count"));
            continue;
        }
        if table.family == TableFamily::Bridge {
            let met = |c: &Chain| c.base.as_ref().is_some_and(|b| matches!(b.hook.as_str(), "prerouting" | "input"));
            if table.chains.iter().any(met) {
                let name = &table.name;
                out.remarks.push(format!(
                    "the table bridge {name} is not followed: it may refuse what comes by a port of a bridge"
                ));
            }
            continue;
        }
        lower_table(&mut out, document, table, before);
    }
    // Of base chains with one priority the one that was registered last runs first.
    out.stages.reverse();
    out
}

fn lower_table(out: &mut Ruleset, document: &Document<'_>, table: &Table, before: u32) {
    let place = format!("{} {}", table.family.word(), table.name);
    let ours = place == crate::target::nftables::TABLE;
    let chains: HashMap<&str, ChainId> =
        table.chains.iter().map(|c| (c.name.as_str(), out.chain(format!("{place} {}", c.name)))).collect();
    let mut lowering = Lowering { out, sets: Sets::new(table), chains: &chains, ours };
    for chain in &table.chains {
        let name = format!("{place} {}", chain.name);
        let Some(id) = chains.get(chain.name.as_str()).copied() else { continue };
        let place: Arc<str> = name.as_str().into();
        // What is huge has its rules in one chain; many chains grow together.
        if chain.rules.len() >= MANY {
            lowering.out.reserve(id, chain.rules.len());
        }
        for rule in &chain.rules {
            let origin = lowering.out.origin(Origin {
                place: Arc::clone(&place),
                line: rule.line + before,
                handle: rule.handle,
                text: cut(document.written(rule)),
            });
            lowering.rule(id, &statement::of_rule(document, rule), origin);
        }
        if let Some(base) = &chain.base {
            lowering.stage(table, chain, base, &name, id);
        }
        if ours && let Some(digest) = chain.name.strip_prefix(REVISION) {
            lowering.out.digest = Some(digest.to_owned());
        }
    }
    if let Some(set) = lowering.sets.torn() {
        lowering.out.torn = Some(format!("{place} {set}"));
    }
}

struct Lowering<'o, 'd> {
    out: &'o mut Ruleset,
    sets: Sets<'d>,
    chains: &'o HashMap<&'d str, ChainId>,
    ours: bool,
}

impl Lowering<'_, '_> {
    fn stage(&mut self, table: &Table, chain: &Chain, base: &Base, name: &str, id: ChainId) {
        let hook = match (base.hook.as_str(), table.family) {
            ("ingress", _) => Hook::Ingress,
            ("prerouting", _) => Hook::Prerouting,
            ("input", _) => Hook::Input,
            ("forward", _) => Hook::Forward,
            // What goes out is never asked about.
            ("output" | "postrouting" | "egress", _) => return,
            (other, _) => {
                self.out.remarks.push(format!("the chain {name} is at the hook {other}, which is not known"));
                return;
            }
        };
        let priority = base.priority.unwrap_or_else(|| {
            self.out.remarks.push(format!("the priority of the chain {name} is not known; it is taken as 0"));
            0
        });
        let chain = match (hook, base.devices.is_empty()) {
            (Hook::Ingress, _) | (_, false) => self.only_from(&base.devices, name, id, chain),
            (_, true) => id,
        };
        self.out.stages.push(Stage {
            name: name.to_owned(),
            hook,
            priority,
            family: match table.family {
                TableFamily::Ip => Some(Family::V4),
                TableFamily::Ip6 => Some(Family::V6),
                _ => None,
            },
            nat: base.kind == "nat",
            chain,
            policy: if base.drops { Then::Refuse(Refuse::Drop) } else { Then::Accept },
            ours: self.ours,
        });
    }

    /// A chain that leads to another one what comes in by some devices, and lets all else pass.
    fn only_from(&mut self, devices: &[String], name: &str, id: ChainId, chain: &Chain) -> ChainId {
        let entry = self.out.chain(name);
        let origin = self.out.origin(Origin {
            place: name.into(),
            line: chain.rules.first().map_or(0, |r| r.line),
            handle: None,
            text: format!("device {}", devices.join(", ")),
        });
        // The JSON of nft 1.0.6 leaves the devices out.
        let from = if devices.is_empty() {
            Match::Unknown("the listing does not say which device the chain is for".to_owned())
        } else {
            Match::Interface(devices.iter().map(Pattern::name).collect())
        };
        for (test, then) in [(from.clone().negate(), Then::Accept), (from, Then::Jump(id))] {
            self.out.push(entry, Rule { matches: vec![test], log: None, then, origin });
        }
        entry
    }

    fn rule(&mut self, chain: ChainId, statements: &[Statement], origin: RuleId) {
        let mut matches: Vec<Match> = Vec::new();
        let mut log: Option<Log> = None;
        let mut rate = None;
        let mut rest = statements.iter();
        while let Some(statement) = rest.next() {
            let then = match statement {
                Statement::Nothing => continue,
                Statement::Match { key, op, right } => {
                    let values = self.sets.values(right);
                    matches.push(test(&mut self.sets, key, *op, &values));
                    continue;
                }
                Statement::UnknownTest(because) => {
                    matches.push(Match::Unknown(because.clone()));
                    continue;
                }
                Statement::Log { prefix } => {
                    let class = LogClass::of_prefix(prefix);
                    // Lines of others say nothing about what happens.
                    if log.is_none() && (self.ours || class != LogClass::Foreign) {
                        log = Some(Log { class, rate });
                    }
                    continue;
                }
                Statement::Limit(limit) => {
                    // A limit before a line that nothing follows bounds the line.
                    let only_logs =
                        rest.as_slice().iter().all(|s| matches!(s, Statement::Nothing | Statement::Log { .. }));
                    match limit {
                        Limit { bucket: Some(bucket), over: false } if only_logs && rate.is_none() => {
                            rate = Some(*bucket);
                        }
                        _ => matches.push(Match::Unknown("it depends on a limit that all sources share".to_owned())),
                    }
                    continue;
                }
                Statement::CtCount(_) => {
                    matches.push(Match::Unknown("it depends on the number of all open connections".to_owned()));
                    continue;
                }
                Statement::Put { update, set, key, inner } => {
                    let decides = rest.as_slice().iter().any(|s| !matches!(s, Statement::Nothing));
                    matches.extend(self.put(*update, set, key, inner, decides));
                    continue;
                }
                Statement::SetMark { mark, to } => {
                    if to.is_some_and(|to| to.connection != 0) {
                        // Without a connection the rule ends here.
                        matches.push(Match::Connection);
                    }
                    let change = Change::Mark { mark: *mark, to: *to };
                    match self.change(chain, &matches, change, rest.as_slice(), origin) {
                        Some(then) => then,
                        None => continue,
                    }
                }
                Statement::NoTrack => match self.change(chain, &matches, Change::NoTrack, rest.as_slice(), origin) {
                    Some(then) => then,
                    None => continue,
                },
                Statement::MarkMap { mark, key, right } => {
                    if !rest.as_slice().iter().all(|s| matches!(s, Statement::Nothing | Statement::Log { .. })) {
                        let because = "a mark from a map, and more in the same rule".to_owned();
                        self.push(chain, &matches, log, Then::Unknown(because), origin);
                        return;
                    }
                    let values = self.sets.values(right);
                    self.map(chain, &matches, log, origin, key, &values, |_, data| {
                        let bits = match data {
                            Some(Data::Value(parts)) if parts.len() == 1 => number(&parts[0]),
                            _ => None,
                        };
                        let to = bits.and_then(|b| u32::try_from(b).ok()).map(Mixture::constant);
                        (Vec::new(), Then::Change(Change::Mark { mark: *mark, to }))
                    });
                    return;
                }
                Statement::Verdict(verdict) => self.verdict(verdict),
                Statement::Reject(how) => Then::Refuse(*how),
                Statement::UnknownAction(because) => Then::Unknown(because.clone()),
                Statement::Translate(translation) => match rewrite(translation) {
                    Some((rewrite, family)) => {
                        matches.extend(family.map(Match::Family));
                        Then::Rewrite(Box::new(rewrite))
                    }
                    None => Then::Unknown("a translation that is not modelled".to_owned()),
                },
                Statement::VerdictMap { key, right } => {
                    let values = self.sets.values(right);
                    self.map(chain, &matches, log, origin, key, &values, |lowering, data| match data {
                        Some(Data::Verdict(verdict)) => (Vec::new(), lowering.verdict(verdict)),
                        _ => (Vec::new(), Then::Unknown("a map without a verdict".to_owned())),
                    });
                    return;
                }
                Statement::TranslateMap { key, right } => {
                    let values = self.sets.values(right);
                    self.map(chain, &matches, log, origin, key, &values, |_, data| {
                        let translation = match data {
                            Some(Data::Value(parts)) => match &parts[..] {
                                [to] => Some(Translation { to: Some(to.clone()), port: None }),
                                [to, port] => Some(Translation { to: Some(to.clone()), port: Some(port.clone()) }),
                                _ => None,
                            },
                            _ => None,
                        };
                        match translation.as_ref().and_then(rewrite) {
                            Some((rewrite, family)) => {
                                (family.map(Match::Family).into_iter().collect(), Then::Rewrite(Box::new(rewrite)))
                            }
                            None => (Vec::new(), Then::Unknown("a translation that is not modelled".to_owned())),
                        }
                    });
                    return;
                }
            };
            self.push(chain, &matches, log, then, origin);
            return;
        }
        if log.is_some() {
            self.push(chain, &matches, log, Then::Continue, origin);
        } else if !self.ours {
            // It decides nothing, but it is a rule: tables of iptables are held against its own listing rule by rule.
            self.push(chain, &[Match::Never], None, Then::Continue, origin);
        }
    }

    /// A change in the middle of a rule: a rule of its own, after which the tests are made again for what follows. Where
    /// they could come out otherwise then, what follows has a chain of its own, and what leads there is given.
    fn change(
        &mut self,
        chain: ChainId,
        matches: &[Match],
        change: Change,
        rest: &[Statement],
        origin: RuleId,
    ) -> Option<Then> {
        let again = match change {
            Change::Mark { .. } => !matches.iter().any(Match::looks_at_marks),
            Change::NoTrack => !matches.iter().any(Match::looks_at_tracking),
        };
        let mut rest = rest.iter().filter(|s| !matches!(s, Statement::Nothing | Statement::Log { .. }));
        let (next, more) = (rest.next(), rest.next().is_some());
        if again || next.is_none() {
            self.push(chain, matches, None, Then::Change(change), origin);
            return None;
        }
        let then = match next {
            Some(Statement::Verdict(verdict)) if !more => self.verdict(verdict),
            Some(Statement::Reject(how)) if !more => Then::Refuse(*how),
            _ => return Some(Then::Unknown("a rule that tests what it changes, and goes on".to_owned())),
        };
        let after = self.out.chain(format!("{} after a change", self.out.chains[chain.0 as usize].name));
        self.push(after, &[], None, Then::Change(change), origin);
        let comes_back = matches!(then, Then::Continue | Then::Jump(_));
        if then != Then::Return {
            self.push(after, &[], None, then, origin);
        }
        Some(if comes_back { Then::Jump(after) } else { Then::Goto(after) })
    }

    fn push(&mut self, chain: ChainId, matches: &[Match], log: Option<Log>, then: Then, origin: RuleId) {
        self.out.push(chain, Rule { matches: matches.to_vec(), log, then, origin });
    }

    fn verdict(&self, verdict: &Verdict) -> Then {
        let chain = |name: &String| self.chains.get(name.as_str()).copied();
        let absent = |name: &String| Then::Unknown(format!("the chain {name} is not listed"));
        match verdict {
            Verdict::Accept => Then::Accept,
            Verdict::Drop => Then::Refuse(Refuse::Drop),
            Verdict::Continue => Then::Continue,
            Verdict::Return => Then::Return,
            Verdict::Jump(name) => chain(name).map_or_else(|| absent(name), Then::Jump),
            Verdict::Goto(name) => chain(name).map_or_else(|| absent(name), Then::Goto),
            Verdict::Other(what) => Then::Unknown((*what).to_owned()),
        }
    }

    /// A rule for each thing that a map says, with all keys of which it says that.
    #[allow(clippy::too_many_arguments)] // the parts of one rule, used once for verdicts and once for destinations
    fn map<'v>(
        &mut self,
        chain: ChainId,
        matches: &[Match],
        log: Option<Log>,
        origin: RuleId,
        key: &[Operand],
        values: &Values<'v>,
        then: impl Fn(&Self, Option<&Data>) -> (Vec<Match>, Then),
    ) {
        let elements = match values {
            Values::List(elements) => elements,
            Values::Unknown(because) => {
                self.push(chain, matches, log, Then::Unknown(because.clone()), origin);
                return;
            }
            _ => {
                self.push(chain, matches, log, Then::Unknown("a map that is not modelled".to_owned()), origin);
                return;
            }
        };
        let mut groups: Vec<(Option<&'v Data>, Vec<&'v Element>)> = Vec::new();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut otherwise = None;
        for element in elements {
            if element.key[..] == ["*"] {
                otherwise = Some(element.data.as_ref());
                continue;
            }
            let number = *numbers.entry(format!("{:?}", element.data)).or_insert_with(|| {
                groups.push((element.data.as_ref(), Vec::new()));
                groups.len() - 1
            });
            groups[number].1.push(element);
        }
        if groups.len() > MOST_DESTINATIONS {
            self.push(chain, matches, log, Then::Unknown("a map that says too many things".to_owned()), origin);
            return;
        }
        let mut found = Vec::new();
        for (data, elements) in groups {
            let m = test(&mut self.sets, key, Op::Is, &Values::List(elements));
            found.push(m.clone());
            let (more, then) = then(self, data);
            let all: Vec<Match> = matches.iter().cloned().chain([m]).chain(more).collect();
            self.push(chain, &all, log, then, origin);
        }
        if let Some(data) = otherwise {
            let (more, then) = then(self, data);
            let others = implied(key).into_iter().chain([Match::Any(found).negate()]);
            let all: Vec<Match> = matches.iter().cloned().chain(others).chain(more).collect();
            self.push(chain, &all, log, then, origin);
        }
    }

    /// What it depends on that a packet could be put into a set: within a limit for each source and port, or something that
    /// is not modelled.
    fn put(&self, update: bool, set: &str, key: &[Operand], inner: &[Inner], decides: bool) -> Vec<Match> {
        let counted: Vec<&Inner> = inner.iter().filter(|i| **i != Inner::Nothing).collect();
        if counted.is_empty() {
            // When the set is full the rule ends here.
            let full = format!("it depends on whether the set {set} is full");
            return if decides { vec![Match::Unknown(full)] } else { Vec::new() };
        }
        let unknown = || vec![Match::Unknown("it depends on a limit that does not count sources and ports".to_owned())];
        let [Operand { field: Field::Source(family), mask }, Operand { field: port, mask: None }] = key else {
            return unknown();
        };
        if !matches!(port, Field::DestinationPort | Field::OriginalDestinationPort) {
            return unknown();
        }
        let prefix = match mask {
            None if *family == Family::V4 => 32,
            None => 128,
            Some(text) => match prefix_of_mask(text, *family) {
                Some(len) => len,
                None => return unknown(),
            },
        };
        let within = match counted[..] {
            // An element that is forgotten before its bucket is full again would find it full; `add` lets it grow old
            // although packets come.
            [Inner::Rate(Limit { bucket: Some(bucket), over: false })]
                if update && self.sets.timeout(set).is_none_or(|t| t >= refill_seconds(*bucket)) =>
            {
                Within::Rate { bucket: *bucket, prefix }
            }
            [Inner::Count(count)] if !count.over => Within::Concurrent { count: count.count, prefix },
            _ => return unknown(),
        };
        vec![Match::Family(*family), Match::Within(within)]
    }
}

/// A change of destination, and the family that it is for.
fn rewrite(translation: &Translation) -> Option<(Rewrite, Option<Family>)> {
    let port = match &translation.port {
        None => None,
        Some(text) => match ports(text)? {
            (first, last) if first == last => Some(first),
            _ => return None,
        },
    };
    let Some(to) = &translation.to else { return Some((Rewrite { to: None, port }, None)) };
    let network = parse_network(to.as_bytes()).ok()?;
    let family = match network {
        Network::V4(_) => Family::V4,
        Network::V6(_) => Family::V6,
    };
    let loopback = crate::net::special(network).is_some_and(|(s, _)| s == crate::net::Special::Loopback);
    let to = (!loopback).then(|| AddrSet::from(network));
    Some((Rewrite { to, port }, Some(family)))
}

#[cfg(test)]
mod tests {
    use crate::target::nftables::Nftables;
    use crate::target::{Listing, Target as _};

    #[test]
    fn a_table_of_bridges_that_could_refuse_is_told() {
        let remarks = |hook: &str| {
            let chain = format!("type filter hook {hook} priority filter; policy accept;\n\t\tip saddr 192.0.2.1 drop");
            let text = format!("table bridge b {{\n\tchain x {{\n\t\t{chain}\n\t}}\n}}\n");
            Nftables.read(&Listing::of_text(text)).expect("a listing").remarks
        };
        let told = "the table bridge b is not followed: it may refuse what comes by a port of a bridge";
        assert_eq!(remarks("input"), [told]);
        assert_eq!(remarks("prerouting"), [told]);
        assert!(remarks("output").is_empty());
    }
}
