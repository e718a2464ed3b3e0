//! A change as a comment on a pull request: Markdown that renders on a forge, whatever stands in the rules.

use std::fmt::Write as _;

use crate::access::Path;
use crate::change::{Asked, Effect, Finding};
use crate::net::AddrSet;

use super::effect::{ORDER, SHOWN, Why, list};
use super::page::is_hidden;
use super::shape::{self, Lists};

/// A change, to be told in a comment.
pub(super) struct Comment<'a> {
    pub(super) target: &'a str,
    pub(super) changed: bool,
    pub(super) text: &'a str,
    pub(super) effects: &'a [Effect],
    pub(super) why: &'a Why,
    pub(super) findings: &'a [Finding],
    pub(super) unexpected: &'a [Finding],
    pub(super) lists: Lists,
}

/// The most bytes of a comment: GitHub takes 65,536 characters, and what calls this may add a few words.
const MOST: usize = 64_000;

/// The part of them that the addresses may take, so that findings and rules have some as well.
const ADDRESSES: usize = 40_000;

/// The part that the findings may take.
const FINDINGS: usize = 8_000;

impl Comment<'_> {
    /// The comment.
    pub(super) fn text(&self) -> String {
        let mut out = format!("### harden993: {}\n\n", self.target);
        if !self.changed {
            out.push_str("Nothing changes.\n\n");
        } else if self.effects.iter().all(Effect::is_empty) {
            out.push_str("Nobody gains or loses access.\n\n");
        } else {
            self.addresses(&mut out);
        }
        self.findings(&mut out);
        self.rules(&mut out);
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }

    fn addresses(&self, out: &mut String) {
        let touched: Vec<(usize, &Effect)> = self.effects.iter().enumerate().filter(|(_, e)| !e.is_empty()).collect();
        for (told, (number, effect)) in touched.iter().enumerate() {
            if out.len() > ADDRESSES {
                let _ = writeln!(out, "… and {} questions more.\n", touched.len() - told);
                return;
            }
            let _ = writeln!(out, "{}\n\n| change | who | why |\n| --- | --- | --- |", head(&effect.asked));
            for (name, _) in ORDER {
                self.rows(out, *number, name, list(effect, name));
            }
            for u in &effect.unknown {
                let rule = u.rule.as_deref().map_or_else(String::new, |r| format!(": {r}"));
                let because = code(&format!("{}{rule}", u.because));
                let _ = writeln!(out, "| unknown | {} | {because} |", shape::numbers(&u.sources.0));
            }
            out.push('\n');
        }
    }

    /// The rows of one list.
    fn rows(&self, out: &mut String, number: usize, name: &str, set: &AddrSet) {
        for part in set.told() {
            if self.lists.summary || part.inverse {
                let who = if self.lists.summary { shape::in_numbers(&part) } else { part.phrase(SHOWN) };
                let _ = writeln!(out, "| {name} | {who} | |");
                continue;
            }
            let v4 = part.list.v4.prefixes().map(|p| p.to_string());
            let mut prefixes = v4.chain(part.list.v6.prefixes().map(|p| p.to_string())).peekable();
            for _ in 0..self.lists.shown(SHOWN) {
                let Some(prefix) = prefixes.next_if(|_| out.len() < ADDRESSES) else { break };
                let reason = self.why.get(number, &prefix).map(code).unwrap_or_default();
                let _ = writeln!(out, "| {name} | `{prefix}` | {reason} |");
            }
            let more = prefixes.count();
            if more > 0 {
                let _ = writeln!(out, "| {name} | and {more} more, {} in all | |", shape::size(&part.list));
            }
        }
    }

    fn findings(&self, out: &mut String) {
        // What does not change is silent: the findings of an unchanged host are `verify`'s.
        let found = self.findings.iter().filter(|_| self.changed);
        let all: Vec<&Finding> = self.unexpected.iter().chain(found).collect();
        let start = out.len();
        for (told, finding) in all.iter().enumerate() {
            if out.len() - start > FINDINGS {
                let _ = writeln!(out, "- … and {} findings more", all.len() - told);
                break;
            }
            let _ = writeln!(out, "- **{}** {}: {}", finding.severity.word(), finding.code, code(&finding.message));
            if let Some(rule) = &finding.rule {
                let _ = writeln!(out, "  by the rule {}", code(rule));
            }
        }
        if !all.is_empty() {
            out.push('\n');
        }
    }

    fn rules(&self, out: &mut String) {
        if self.text.is_empty() {
            if self.changed && self.effects.iter().all(Effect::is_empty) {
                out.push_str("The rules stay; only where they are or the digest that they carry changes.\n");
            }
            return;
        }
        let (mut shown, mut lines) = (0, 0);
        for line in self.text.split_inclusive('\n') {
            if self.lists.summary || out.len() + shown + line.len() > MOST {
                break;
            }
            shown += line.len();
            lines += 1;
        }
        let more = self.text.lines().count() - lines;
        if shown > 0 {
            // Nothing in the text may end the block, so its fence is longer than whatever looks like one.
            let fence = "~".repeat(longest_run(self.text, '~').max(2) + 1);
            let text = &self.text[..shown];
            let _ =
                writeln!(out, "<details><summary>The rules</summary>\n\n{fence}diff\n{text}{fence}\n\n</details>\n");
        }
        if more > 0 {
            let rest = if lines > 0 { " more" } else { "" };
            let _ = writeln!(out, "The difference of the rules has {more} lines{rest}: see `harden993 diff --all`.");
        }
    }
}

/// What was asked, with names as code: a `*` or `_` of an interface is no markup.
fn head(asked: &Asked) -> String {
    let mut out = format!("**port {}**", asked.port);
    if asked.path == Path::Forwarded {
        out.push_str(", forwarded");
    }
    if let Some(interface) = &asked.interface {
        out.extend([", by ", &code(interface)]);
    }
    if let Some(to) = &asked.to {
        out.extend([", to ", &code(&to.join(", "))]);
    }
    out
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

/// The most characters of a text that is told as code: a rule can be as long as its author likes.
const LONG: usize = 300;

/// A text as code, in a table or out of it: nothing of a rule can end its cell or become markup.
fn code(text: &str) -> String {
    let mut plain: String = text.chars().take(LONG).map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONG).is_some() {
        plain.push('…');
    }
    format!("`` {} ``", plain.replace('|', "\\|").replace('`', "'"))
}
