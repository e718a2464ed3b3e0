//! One rule's text as tests and an action.

use std::borrow::Cow;

use crate::access::Log;
use crate::net::Family;
use crate::ruleset::{ChainId, Change, Mark, Match, Then};

use super::matches::Tests;
use super::sets::Sets;
use super::targets::{self, Action};
use super::words::words;

/// What a rule's meaning depends on beside its text.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) family: Family,
    pub(super) sets: &'a Sets<'a>,
    /// The chain of a name in the same table.
    pub(super) chain: &'a dyn Fn(&str) -> Option<ChainId>,
}

/// A rule without its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) matches: Vec<Match>,
    pub(super) log: Option<Log>,
    pub(super) then: Then,
    /// The comment, if it has one.
    pub(super) comment: Option<String>,
}

/// The words of a rule, with a look at the next one.
pub(super) struct Reader<'t> {
    words: Vec<Cow<'t, str>>,
    at: usize,
}

impl Reader<'_> {
    pub(super) fn next(&mut self) -> Option<&str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(|w| &**w)
    }

    /// The value of an option; empty if it is missing. An old way to negate puts a `!` before the value.
    pub(super) fn value(&mut self, negated: &mut bool) -> String {
        if self.peek() == Some("!") {
            *negated = !*negated;
            self.at += 1;
        }
        self.next().unwrap_or_default().to_owned()
    }

    /// Passes over the values of an option that is not known: everything up to the next option.
    pub(super) fn skip_values(&mut self) {
        while self.peek().is_some_and(|w| w != "!" && !(w.starts_with('-') && w.len() > 1)) {
            self.at += 1;
        }
    }
}

/// The long options that are of the rule itself, wherever they stand.
const GENERAL: [&str; 10] = [
    "--source",
    "--src",
    "--destination",
    "--dst",
    "--in-interface",
    "--out-interface",
    "--protocol",
    "--proto",
    "--match",
    "--fragment",
];

/// Reads a rule. What is not modelled is an unknown test or action, never an error.
pub(super) fn parse(text: &str, context: &Context<'_>) -> Parsed {
    let mut reader = Reader { words: words(text).collect(), at: 0 };
    let mut tests = Tests::new(context);
    let mut action = Action::default();
    let mut negated = false;
    while let Some(word) = reader.next() {
        if word == "!" {
            negated = !negated;
            continue;
        }
        let word = word.to_owned();
        match word.as_str() {
            "-j" | "--jump" => {
                action.name = reader.value(&mut negated);
                action.closed = false;
            }
            "-g" | "--goto" => {
                action.name = reader.value(&mut negated);
                action.goto = true;
            }
            "-c" | "--set-counters" => {
                reader.next();
                reader.next();
            }
            // What follows a target that takes options belongs to it, until a match is named.
            option if action.takes_options() && option.starts_with("--") && !GENERAL.contains(&option) => {
                action.option(option, &mut reader);
            }
            option => {
                action.closed |= matches!(option, "-m" | "--match" | "-p" | "--protocol" | "--proto");
                tests.option(option, negated, &mut reader);
            }
        }
        negated = false;
    }
    let (then, log) = targets::then(&action, &tests, context);
    let comment = tests.comment.take();
    let mut matches = tests.finish();
    if let Then::Change(Change::Mark { mark: Mark::Packet, to: Some(to) }) = then
        && to.connection != 0
    {
        matches.push(Match::Connection);
    }
    if log.is_some() {
        // How often the line is written at most is said by the line, not by a test.
        matches.retain(|m| *m != super::matches::log_limit());
    }
    Parsed { matches, log, then, comment }
}
