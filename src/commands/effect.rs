//! The effect of a change in reports: as JSON, for people, for a pull request, and held against what was expected.

use std::fmt::Write as _;
use std::net::IpAddr;

use clap::Args;
use serde::Serialize;

use crate::change::{Effect, Plan};
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

    /// What is otherwise, one sentence each; nothing if no expectation was given.
    pub(super) fn differences(&self, gained: &AddrSet, lost: &AddrSet) -> Result<Vec<String>, Failure> {
        let mut out = Vec::new();
        if !self.is_given() {
            return Ok(out);
        }
        for (option, texts, found, verb) in
            [("--expect-gain", &self.expect_gain, gained, "gain"), ("--expect-loss", &self.expect_loss, lost, "lose")]
        {
            let mut expected = AddrSet::new();
            for text in texts.iter().filter(|t| *t != "none") {
                expected = expected.union(&address(option, text)?);
            }
            let expected = expected.minus(crate::net::no_source());
            for (set, what) in [(found.minus(&expected), "unasked"), (expected.minus(found), "not, though expected")] {
                if !set.is_empty() {
                    out.push(format!("{set} {verb}s access {what}"));
                }
            }
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

    fn get(&self, effect: usize, network: &str) -> Option<&str> {
        self.0.get(&(effect, network.to_owned())).map(String::as_str)
    }
}

/// The first networks of a set with an address of each.
fn firsts(set: &AddrSet) -> Vec<(String, IpAddr)> {
    let v4 = set.v4.prefixes().map(|p| (p.to_string(), p.addr.ip()));
    v4.chain(set.v6.prefixes().map(|p| (p.to_string(), p.addr.ip()))).take(REASONS).collect()
}

/// The lists of an effect in the order in which people want to know of them.
const ORDER: [(&str, Role); 5] = [
    ("lost", Role::Bad),
    ("gained", Role::Good),
    ("limited", Role::Warn),
    ("unlimited", Role::Good),
    ("relimited", Role::Warn),
];

fn list<'e>(effect: &'e Effect, name: &str) -> &'e AddrSet {
    let pick = Effect::LISTS.iter().find(|(n, _)| *n == name).map_or(Effect::LISTS[0].1, |(_, pick)| *pick);
    pick(effect)
}

/// The most networks of a list, and lines of a diff, that a page shows without `--all`.
const SHOWN: usize = 12;
const LINES: usize = 60;

/// Writes the effects.
pub(super) fn page(page: &mut Page, effects: &[Effect], why: &Why, lists: Lists) {
    for (number, effect) in effects.iter().enumerate().filter(|(_, e)| !e.is_empty()) {
        page.gap().line(QuestionShape::from(&effect.asked).head());
        for (name, role) in ORDER {
            shape::listed(page, role, name, list(effect, name), lists, |prefix| why.get(number, prefix));
        }
        shape::unknown(page, &effect.unknown, lists);
    }
}

/// Writes a unified diff, with the changed words of changed lines marked.
pub(super) fn text(page: &mut Page, text: &str, lists: Lists) {
    // A tab would be shown as the control character that it is.
    let text = text.replace('\t', "  ");
    let lines: Vec<&str> = text.lines().collect();
    let shown = if lists.all { lines.len() } else { lines.len().min(LINES) };
    let mut at = 0;
    while at < shown {
        let line = lines[at];
        let next = lines.get(at + 1).filter(|_| at + 1 < shown);
        let alone = lines.get(at + 2).is_none_or(|l| !l.starts_with('+'));
        if let (Some(old), Some(new)) = (line.strip_prefix('-'), next.and_then(|n| n.strip_prefix('+')))
            && alone
            && !line.starts_with("---")
        {
            let (removed, added) = words(old, new);
            page.line(removed).line(added);
            at += 2;
            continue;
        }
        let role = match line.bytes().next() {
            _ if line.starts_with("--- ") || line.starts_with("+++ ") => Role::Strong,
            Some(b'-') => Role::Removed,
            Some(b'+') => Role::Added,
            Some(b'@') => Role::Dim,
            _ => Role::Plain,
        };
        page.line(Line::new().with(role, line));
        at += 1;
    }
    if lines.len() > shown {
        page.line(Line::new().dim(format!("… {} lines more (`--all` shows them)", lines.len() - shown)));
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

/// The change as a comment on a pull request.
pub(super) fn markdown(target: &str, text: &str, effects: &[Effect], why: &Why, lists: Lists) -> String {
    let mut out = String::new();
    let touched: Vec<(usize, &Effect)> = effects.iter().enumerate().filter(|(_, e)| !e.is_empty()).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "### harden993: {target}\n");
    if text.is_empty() && touched.is_empty() {
        out.push_str("Nothing changes.\n");
        return out;
    }
    if touched.is_empty() {
        out.push_str("Nobody gains or loses access.\n");
    }
    for (number, effect) in touched {
        let head = QuestionShape::from(&effect.asked).head();
        let head: String = head.0.iter().map(|t| t.text.as_str()).collect();
        let _ = writeln!(out, "**{head}**\n\n| change | network | why |\n| --- | --- | --- |");
        for (name, _) in ORDER {
            let set = list(effect, name);
            if lists.summary && !set.is_empty() {
                let _ = writeln!(out, "| {name} | {} | |", shape::size(set));
                continue;
            }
            if set.all_but().is_some() {
                let _ = writeln!(out, "| {name} | {} | |", set.brief(SHOWN));
                continue;
            }
            let v4 = set.v4.prefixes().map(|p| p.to_string());
            let mut prefixes = v4.chain(set.v6.prefixes().map(|p| p.to_string()));
            for prefix in prefixes.by_ref().take(lists.shown(SHOWN)).collect::<Vec<_>>() {
                let reason = why.get(number, &prefix).unwrap_or_default();
                let _ = writeln!(out, "| {name} | `{prefix}` | {} |", cell(reason));
            }
            let more = prefixes.count();
            if more > 0 {
                let _ = writeln!(out, "| {name} | and {more} networks more | |");
            }
        }
        for u in &effect.unknown {
            let _ = writeln!(out, "| unknown | {} | {} |", shape::size(&u.sources.0), cell(&u.because));
        }
        out.push('\n');
    }
    if !text.is_empty() {
        // A fence longer than any that the text could hold.
        let _ = writeln!(out, "<details><summary>The rules</summary>\n\n~~~~~~diff\n{text}~~~~~~\n\n</details>");
    }
    out
}

/// A text inside of a table: nothing of a rule can end its cell or become markup.
fn cell(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("`` {} ``", text.replace('|', "\\|").replace('`', "'").replace(['\n', '\r'], " "))
}
