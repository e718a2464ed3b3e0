//! The effect of a change in reports: as JSON, for people, for a pull request, and held against what was expected.

use std::net::IpAddr;

use clap::Args;
use serde::Serialize;

use crate::change::{Effect, Finding, Plan};
use crate::net::{Addr, AddrSet};
use crate::policy::{Provenance, SourceKind};
use crate::ruleset::Evaluator;

use super::asking::address;
use super::shape::{self, Count, Counts, Lists, Networks, QuestionShape, UnknownShape};
use super::{Failure, Line, Page, Role};

/// The effect that somebody expects.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What is expected")]
pub(super) struct Expected {
    /// A network that is to gain access, and no other; `none` for nobody; can be repeated
    #[arg(long, value_name = "NET", num_args = 1..)]
    expect_gain: Vec<String>,

    /// A network that is to lose access, and no other; `none` for nobody; can be repeated
    #[arg(long, value_name = "NET", num_args = 1..)]
    expect_loss: Vec<String>,
}

impl Expected {
    /// Whether anything is expected.
    pub(super) fn is_given(&self) -> bool {
        !self.expect_gain.is_empty() || !self.expect_loss.is_empty()
    }

    /// What is otherwise, as findings; nothing if no expectation was given. Of whom it cannot be told whether he gains or
    /// loses, he is not as expected.
    pub(super) fn differences(&self, effects: &[Effect]) -> Result<Vec<Finding>, Failure> {
        let mut out = Vec::new();
        let mut say = |set: AddrSet, what: &str| {
            if !set.is_empty() {
                out.push(Finding::stop("unexpected", format!("{what}: {}", set.brief(SHOWN))));
            }
        };
        for (option, texts, list, unasked, absent) in [
            (
                "--expect-gain",
                &self.expect_gain,
                "gained",
                "gains access, unexpectedly",
                "does not gain access, though expected",
            ),
            (
                "--expect-loss",
                &self.expect_loss,
                "lost",
                "loses access, unexpectedly",
                "does not lose access, though expected",
            ),
        ] {
            let mut expected = AddrSet::new();
            for text in texts.iter().filter(|t| *t != "none") {
                expected = expected.union(&address(option, text)?);
            }
            let expected = expected.minus(crate::net::no_source());
            let found = Effect::union(effects, list);
            if self.is_given() {
                say(found.minus(&expected), unasked);
                say(expected.minus(&found), absent);
            }
        }
        if self.is_given() {
            let unknown = effects.iter().fold(AddrSet::new(), |set, e| set.union(&shape::union(&e.unknown)));
            say(unknown, "it cannot be told who of these gains or loses access");
        }
        Ok(out)
    }
}

/// The effect for one question, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct EffectObject {
    #[serde(flatten)]
    question: QuestionShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    gained: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unlimited: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relimited: Option<Networks>,
    unknown: Vec<UnknownShape>,
    counts: Counts,
}

impl EffectObject {
    pub(super) fn new(effect: &Effect, summary: bool) -> Self {
        let list = |set: &AddrSet| (!summary).then(|| Networks(set.clone()));
        let mut counts: Counts = Effect::LISTS.iter().map(|(name, pick)| (*name, Count::from(pick(effect)))).collect();
        counts.insert("unknown", Count::from(&shape::union(&effect.unknown)));
        Self {
            question: (&effect.asked).into(),
            gained: list(&effect.gained),
            lost: list(&effect.lost),
            limited: list(&effect.limited),
            unlimited: list(&effect.unlimited),
            relimited: list(&effect.relimited),
            unknown: UnknownShape::list(&effect.unknown, summary),
            counts,
        }
    }
}

/// The most networks of one list of which the reason is told.
const REASONS: usize = 200;

/// Why networks gain and lose: the line of the profile that grants, the rule that granted.
#[derive(Debug, Default)]
pub(super) struct Why(std::collections::BTreeMap<(usize, String), String>);

impl Why {
    /// The reasons of a plan, for the networks that a page shows.
    pub(super) fn of(plan: &Plan, provenance: &Provenance) -> Self {
        let mut out = std::collections::BTreeMap::new();
        for (number, effect) in plan.effects.iter().enumerate() {
            for (network, ip) in firsts(&effect.gained) {
                let line = provenance.of(ip).into_iter().find(|(s, _, _)| s.kind == SourceKind::Trusted && s.in_force);
                if let Some((source, line, _)) = line {
                    out.insert((number, network), format!("{}:{line}: {}", source.file, source.entry));
                }
            }
            if effect.lost.is_empty() {
                continue;
            }
            let trace = Evaluator::new(&plan.live.ruleset).trace(&effect.question);
            for (network, ip) in firsts(&effect.lost) {
                let rule = trace.access.at(ip).by.and_then(|r| plan.live.ruleset.origin_of(r));
                let reason = rule.map_or_else(|| "nothing refused it".to_owned(), ToString::to_string);
                out.insert((number, network), reason);
            }
        }
        Self(out)
    }

    /// All reasons of the effect of this number.
    fn all(&self, effect: usize) -> impl Iterator<Item = (&str, &str)> {
        let reasons = self.0.range((effect, String::new())..(effect + 1, String::new()));
        reasons.map(|((_, network), reason)| (network.as_str(), reason.as_str()))
    }

    /// The reason of a network in the effect of this number.
    pub(super) fn get(&self, effect: usize, network: &str) -> Option<&str> {
        self.0.get(&(effect, network.to_owned())).map(String::as_str)
    }
}

/// The first networks of a set with an address of each.
fn firsts(set: &AddrSet) -> Vec<(String, IpAddr)> {
    let v4 = set.v4.prefixes().map(|p| (p.to_string(), p.addr.ip()));
    v4.chain(set.v6.prefixes().map(|p| (p.to_string(), p.addr.ip()))).take(REASONS).collect()
}

/// The lists of an effect in the order in which people want to know of them.
pub(super) const ORDER: [(&str, Role); 5] = [
    ("lost", Role::Bad),
    ("gained", Role::Good),
    ("limited", Role::Warn),
    ("unlimited", Role::Good),
    ("relimited", Role::Warn),
];

pub(super) fn list<'e>(effect: &'e Effect, name: &str) -> &'e AddrSet {
    let pick = Effect::LISTS.iter().find(|(n, _)| *n == name).map_or(Effect::LISTS[0].1, |(_, pick)| *pick);
    pick(effect)
}

/// The most networks of a list, and lines of a diff, that a page shows without `--all`.
pub(super) const SHOWN: usize = 12;
const LINES: usize = 60;

/// Writes the effects.
pub(super) fn page(page: &mut Page, effects: &[Effect], why: &Why, lists: Lists) {
    let touched = effects.iter().enumerate().filter(|(_, e)| !e.is_empty());
    let same = |(a, one): &(usize, &Effect), (b, other): &(usize, &Effect)| {
        Effect::LISTS.iter().all(|(_, list)| list(one) == list(other))
            && one.unknown == other.unknown
            && why.all(*a).eq(why.all(*b))
    };
    for (question, ports, (number, effect)) in shape::by_port(touched, |(_, e)| QuestionShape::from(&e.asked), same) {
        page.gap().line(question.head(&ports));
        for (name, role) in ORDER {
            shape::listed(page, role, name, list(effect, name), lists, |prefix| why.get(number, prefix));
        }
        shape::unknown(page, &effect.unknown, lists);
    }
}

/// Writes a unified diff, with the changed words of changed lines marked; in short, how many lines it has.
pub(super) fn text(page: &mut Page, text: &str, lists: Lists) {
    if text.is_empty() {
        return;
    }
    // A tab would be shown as the control character that it is.
    let text = text.replace('\t', "  ");
    let lines: Vec<&str> = text.lines().collect();
    if lists.summary {
        let count = |sign| lines.iter().skip(HEADER).filter(|l| l.starts_with(sign)).count();
        page.line(format!("rules     {} lines are new, {} are gone", count('+'), count('-')));
        return;
    }
    let shown = if lists.all { lines.len() } else { lines.len().min(LINES) };
    let mut at = 0;
    while at < shown {
        let run = |from: usize, sign| lines[from..].iter().take_while(|l| l.starts_with(sign)).count();
        let (old, new) = if at < HEADER { (0, 0) } else { (run(at, '-'), run(at + run(at, '-'), '+')) };
        // Lines that stand for each other: as many are new as are gone.
        if old > 0 && old == new && at + old + new <= shown {
            let (mut removed, mut added) = (Vec::new(), Vec::new());
            for (a, b) in lines[at..at + old].iter().zip(&lines[at + old..at + old + new]) {
                let (a, b) = words(&a[1..], &b[1..]);
                removed.push(a);
                added.push(b);
            }
            for line in removed.into_iter().chain(added) {
                page.line(line);
            }
            at += old + new;
            continue;
        }
        // All of one run at once: of a run that was seen not to fit, the rest is no run of its own.
        for line in &lines[at..(at + (old + new).max(1)).min(shown)] {
            page.line(Line::new().with(role(line, at < HEADER), line));
        }
        at += (old + new).max(1);
    }
    if lines.len() > shown {
        let more = lines.len() - shown;
        let s = if more == 1 { "" } else { "s" };
        page.line(Line::new().dim(format!("… {more} line{s} more (`--all` shows them)")));
    }
}

/// How many lines a unified diff has before its first hunk.
const HEADER: usize = 2;

fn role(line: &str, header: bool) -> Role {
    match line.bytes().next() {
        _ if header => Role::Strong,
        Some(b'-') => Role::Removed,
        Some(b'+') => Role::Added,
        Some(b'@') => Role::Dim,
        _ => Role::Plain,
    }
}

/// Two versions of one line, each with the words marked that the other does not have.
fn words(old: &str, new: &str) -> (Line, Line) {
    use similar::{ChangeTag, TextDiff};
    let (mut removed, mut added) = (Line::new().with(Role::Removed, "-"), Line::new().with(Role::Added, "+"));
    for change in TextDiff::from_words(old, new).iter_all_changes() {
        match change.tag() {
            ChangeTag::Equal => {
                removed = removed.with(Role::Removed, change.value());
                added = added.with(Role::Added, change.value());
            }
            ChangeTag::Delete => removed = removed.with(Role::RemovedWords, change.value()),
            ChangeTag::Insert => added = added.with(Role::AddedWords, change.value()),
        }
    }
    (removed, added)
}
