//! Rules as they are written to rules of the one model.

use std::sync::Arc;

use crate::access::{Log, LogClass, Pattern, Refuse};
use crate::net::{AddrSet, Family};
use crate::ruleset::{Match, Ports, Rewrite, Rule as Plain, Then, Within};

use super::super::label::Label;
use super::syntax::{Action, Anchors, Direction, End, HostKind, On, Rule, State, Table, Translation};

/// The prefix lengths that count as one source: pf counts single addresses.
const SINGLE: [(Family, u8); 2] = [(Family::V4, 32), (Family::V6, 128)];

/// SYN set, ACK not set: `flags S/SA`, which is what pass rules that keep state look for unless they say otherwise.
const OPENING: (u8, u8) = (0x12, 0x02);

/// What a rule is read in: which rules and tables there are, and which anchor it stands in.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) anchors: &'a Anchors,
    pub(super) path: &'a str,
    /// Whether the anchor is ours.
    pub(super) ours: bool,
}

impl Scope<'_> {
    /// A table as a rule of this anchor sees it: the anchor's own, else the main ruleset's. A parent's is not seen.
    fn table(&self, name: &str, count: Option<&str>) -> Result<Arc<AddrSet>, String> {
        let of = |path: &str| self.anchors.by_path.get(path).and_then(|a| a.tables.get(name));
        match of(self.path).or_else(|| of("")) {
            Some(Table::Known(set)) => Ok(Arc::clone(set)),
            Some(Table::Unknown(because)) => Err(because.clone()),
            // `<x:*>` is no table that there is, `<x:0>` an empty one.
            None if matches!(count, Some("*" | "0")) => Ok(Arc::default()),
            None => Err(format!("the table <{}> is not in the listing", name.escape_default())),
        }
    }

    /// The tests of a rule for packets of one direction; none if it never matches such a packet.
    pub(super) fn matches(&self, rule: &Rule, direction: Direction) -> Option<Vec<Match>> {
        if rule.never || rule.direction.is_some_and(|d| d != direction) {
            return None;
        }
        let mut out = Vec::new();
        if !rule.on.is_empty() {
            out.push(match direction {
                Direction::In => any(rule.on.iter().map(|on| self.interface(on, rule))),
                Direction::Out => Match::Unknown("it depends on the interface that the packet leaves by".to_owned()),
            });
        }
        out.extend(rule.family.map(Match::Family));
        if let Some(ports) = &rule.to.ports {
            out.push(Match::Port(ports.clone()));
        }
        let flags = match (rule.flags, &rule.action) {
            (None, Action::Pass) if rule.state != Some(State::None) => OPENING,
            (flags, _) => flags.unwrap_or((0, 0)),
        };
        if flags.0 != 0 {
            out.push(Match::Flags { mask: flags.0, value: flags.1 });
        }
        out.extend(rule.from.ports.clone().map(Match::SourcePort));
        out.extend(self.end(&rule.to, false));
        out.extend(rule.unknown.iter().cloned().map(Match::Unknown));
        out.extend(self.end(&rule.from, true));
        Some(out)
    }

    /// One of several hosts: a list stands for one rule each.
    fn end(&self, end: &End, source: bool) -> Option<Match> {
        if end.hosts.is_empty() {
            return None;
        }
        Some(any(end.hosts.iter().map(|host| {
            let of_set = |set: Arc<AddrSet>| if source { Match::Source(set) } else { Match::Destination(set) };
            let m = match &host.what {
                HostKind::Any => Match::Always,
                HostKind::Net(set) => of_set(Arc::new(set.clone())),
                HostKind::Table(name, count) => match self.table(name, count.as_deref()) {
                    Ok(set) => of_set(set),
                    Err(because) => Match::Unknown(because),
                },
                // Nobody connects from the host's own addresses.
                HostKind::This if source => Match::Never,
                HostKind::This => Match::DestinationLocal,
                HostKind::Unknown(what) => Match::Unknown(format!("it depends on {what}")),
            };
            if host.negated { m.negate() } else { m }
        })))
    }

    fn interface(&self, on: &On, rule: &Rule) -> Match {
        let name = &on.name;
        let one = |pattern| Match::Interface(vec![pattern]);
        let ours = self.ours.then(|| rule.label.as_deref().and_then(Label::parse)).flatten();
        let m = if name.ends_with(|c: char| c.is_ascii_digit()) || name == "lo" {
            one(Pattern::name(name.as_str()))
        } else if let Some(label) = ours {
            one(if label.group { Pattern::prefix(name.as_str()) } else { Pattern::name(name.as_str()) })
        } else if name == "all" {
            Match::Always
        } else {
            // A name without a number is a group, or an interface that somebody has renamed.
            Match::All(vec![
                one(Pattern::name("lo0")).negate(),
                Match::Any(vec![
                    one(Pattern::name(name.as_str())),
                    Match::Unknown(format!("it depends on the interface group `{}`", name.escape_default())),
                ]),
            ])
        };
        if on.negated { m.negate() } else { m }
    }

    /// What a rule does to packets of one direction. None for what decides nothing.
    pub(super) fn rules(&self, rule: &Rule, direction: Direction, origin: crate::access::RuleId) -> Vec<Plain> {
        let Some(matches) = self.matches(rule, direction) else { return Vec::new() };
        let label = rule.label.as_deref().filter(|_| self.ours).and_then(Label::parse);
        let log = rule.log.then(|| Log { class: label.map_or(LogClass::Foreign, Label::log_class), rate: None });
        let plain = |extra: Vec<Match>, log, then| {
            let matches = matches.iter().cloned().chain(extra).collect();
            Plain { matches, log, then, origin }
        };
        if let Some(because) = &rule.effect {
            return vec![plain(Vec::new(), log, Then::Unknown(because.clone()))];
        }
        match &rule.action {
            Action::Pass if rule.rate.is_some() || rule.concurrent.is_some() => {
                let within = SINGLE.map(|(family, prefix)| {
                    let rate = rule.rate.map(|bucket| Match::Within(Within::Rate { bucket, prefix }));
                    let open = rule.concurrent.map(|count| Match::Within(Within::Concurrent { count, prefix }));
                    plain([Some(Match::Family(family)), rate, open].into_iter().flatten().collect(), log, Then::Accept)
                });
                // Over the limit the connection is ended without a word.
                within.into_iter().chain([plain(Vec::new(), None, Then::Refuse(Refuse::Drop))]).collect()
            }
            Action::Pass => vec![plain(Vec::new(), log, Then::Accept)],
            Action::Block(how) => {
                let how = how.or(self.anchors.block_policy).unwrap_or(Refuse::Drop);
                vec![plain(Vec::new(), log, Then::Refuse(how))]
            }
            Action::Match if log.is_some() => vec![plain(Vec::new(), log, Then::Continue)],
            Action::Match | Action::Anchor(_) | Action::Translate(_) => Vec::new(),
        }
    }

    /// What a translation does to packets that come in.
    pub(super) fn translation(&self, rule: &Rule, origin: crate::access::RuleId) -> Option<Plain> {
        let Action::Translate(translation) = &rule.action else { return None };
        let then = match translation {
            Translation::None => Then::Accept,
            Translation::To { to, port, .. } => Then::Rewrite(Box::new(Rewrite { to: to.clone(), port: *port })),
            Translation::Unknown(because) => Then::Unknown(because.clone()),
            Translation::Anchor(_) => return None,
        };
        Some(Plain { matches: self.matches(rule, Direction::In)?, log: None, then, origin })
    }

    /// `rdr pass` lets its packets pass without filtering: the same rule seen from behind the translation.
    pub(super) fn passes(&self, rule: &Rule, origin: crate::access::RuleId) -> Option<Plain> {
        let Action::Translate(translation) = &rule.action else { return None };
        let mut matches = self.matches(rule, Direction::In)?;
        for m in &mut matches {
            let Match::Port(Ports(ports)) = m else { continue };
            *m = Match::OriginalPort(Ports(std::mem::take(ports)));
        }
        if !rule.to.hosts.is_empty() {
            matches.retain(|m| !matches!(m, Match::Destination(_) | Match::DestinationLocal));
            matches.push(Match::Unknown("it depends on the destination before its translation".to_owned()));
        }
        matches.push(Match::Translated);
        let pass = matches!(translation, Translation::To { pass: true, .. });
        Some(Plain { matches, log: None, then: if pass { Then::Accept } else { Then::Return }, origin })
    }
}

/// Any of some tests; one alone stands for itself.
fn any(ms: impl Iterator<Item = Match>) -> Match {
    let mut ms: Vec<Match> = ms.collect();
    if ms.len() == 1 { ms.remove(0) } else { Match::Any(ms) }
}
