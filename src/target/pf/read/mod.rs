//! Listings of a host, or a file of rules, to the one model.
//!
//! Taken are the anchor's file, `pfctl -sr` (also with `-v`, `-vv`, `-P`, `-a '*'`), `-sn`, `-si`, `-sA`, `-sI` and
//! `-t NAME -T show`, each for the main ruleset or for an anchor (`-a`), as OpenBSD, FreeBSD and macOS print them, and
//! pf.conf with its lists and macros.

mod assemble;
mod canonical;
mod lexer;
mod lower;
mod port;
mod rule;
mod statement;
mod syntax;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::net::AddrSet;
use crate::ruleset::Ruleset;
use crate::target::{HEADING, Listing, ReadError, Section};

use super::ANCHOR;
use super::label::Label;
pub(super) use canonical::canonical;
use syntax::{Action, Anchors, Direction, Rule, Table};

/// The chains of our anchor, by their names in a [`Ruleset`].
pub(super) fn chains_of_ours() -> [String; 4] {
    [(Direction::In, true), (Direction::In, false), (Direction::Out, true), (Direction::Out, false)]
        .map(|(direction, quick)| assemble::chain_name(ANCHOR, direction, quick))
}

/// Whether a text looks like rules of pf.
pub(super) fn recognises(text: &str) -> bool {
    if text.starts_with(HEADING) {
        return Listing::parse(text).sections.iter().any(|s| Command::parse(&s.command).is_some());
    }
    let lines = text.lines().map(str::trim_start).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let starts = |line: &str, words: &[&str]| words.iter().any(|w| line.starts_with(w));
    lines.take(200).any(|line| {
        let numbered = line.strip_prefix('@').map(|l| l.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start());
        let line = numbered.unwrap_or(line);
        starts(
            line,
            &["table <", "pass in", "pass out", "pass quick", "pass all", "pass on ", "pass log", "pass proto"],
        ) || starts(
            line,
            &["block drop", "block return", "block in", "block out", "block all", "block log", "block quick"],
        ) || starts(
            line,
            &["match in ", "match out ", "anchor \"", "scrub ", "scrub-anchor ", "rdr ", "rdr-anchor ", "set skip on"],
        ) || line == "pass"
            || line == "block"
    })
}

/// Reads everything that a listing has of pf.
pub(super) fn read(listing: &Listing) -> Result<Ruleset, ReadError> {
    Ok(anchors(listing)?.map_or_else(Ruleset::default, |anchors| assemble::assemble(&anchors)))
}

/// Every anchor of a listing; none if it says nothing of pf.
fn anchors(listing: &Listing) -> Result<Option<Anchors>, ReadError> {
    let mut anchors = Anchors::default();
    let mut any = false;
    for section in &listing.sections {
        any |= read_section(section, &mut anchors)?;
    }
    if any {
        settle_main(&mut anchors);
    }
    Ok(any.then_some(anchors))
}

/// The rules and tables of our anchor as text that pfctl loads.
pub(super) struct Ours {
    /// The rules in order.
    pub(super) rules: Vec<String>,
    /// The tables by name.
    pub(super) tables: BTreeMap<String, Arc<AddrSet>>,
}

/// What a listing holds of our anchor; none if it has no such anchor.
pub(super) fn ours(listing: &Listing) -> Result<Option<Ours>, ReadError> {
    let Some(mut anchors) = anchors(listing)? else { return Ok(None) };
    let Some(anchor) = anchors.by_path.remove(ANCHOR) else { return Ok(None) };
    let rules = anchor.rules.iter().map(|rule| canonical::spell(rule, true)).collect();
    let known = |(name, table)| match table {
        Table::Known(set) => Some((name, set)),
        Table::Unknown(_) => None,
    };
    Ok(Some(Ours { rules, tables: anchor.tables.into_iter().filter_map(known).collect() }))
}

/// Reads one section; whether it was pf's.
fn read_section(section: &Section, anchors: &mut Anchors) -> Result<bool, ReadError> {
    if section.text.starts_with(HEADING) {
        // What the script printed: sections inside of a section.
        let mut any = false;
        for mut inner in Listing::parse(&section.text).sections {
            inner.before += section.before;
            any |= read_section(&inner, anchors)?;
        }
        return Ok(any);
    }
    if section.command.is_empty() {
        statement::read(&section.text, section.before, "", anchors)?;
        return Ok(true);
    }
    let Some(command) = Command::parse(&section.command) else { return Ok(false) };
    match command.shows {
        Shows::Rules => statement::read(&section.text, section.before, &command.anchor, anchors)?,
        Shows::Table(name) => {
            if !section.text.trim_start().starts_with("pfctl: Table does not exist") {
                let at = |(line, message)| ReadError::line(section.before + line, message);
                let table = table::shown(&section.text).map_err(at)?;
                anchors.by_path.entry(command.anchor).or_default().tables.insert(name, table);
            }
        }
        Shows::Status => {
            anchors.disabled |= section.text.lines().any(|l| l.trim_start().starts_with("Status: Disabled"));
        }
        Shows::Anchors => {
            let paths = section.text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty());
            anchors.listed.get_or_insert_with(Default::default).extend(paths);
        }
        Shows::Interfaces => {
            let skipped = section.text.lines().filter_map(|l| l.trim().strip_suffix("(skip)"));
            anchors.skipped.extend(skipped.map(|l| l.trim().to_owned()));
        }
        Shows::Nothing => {}
    }
    Ok(true)
}

/// What a command of pfctl's prints.
struct Command {
    anchor: String,
    shows: Shows,
}

enum Shows {
    Rules,
    Table(String),
    Status,
    /// Every anchor, those inside of others too.
    Anchors,
    Interfaces,
    Nothing,
}

impl Command {
    /// Reads a command line; none if it is not pfctl's.
    fn parse(line: &str) -> Option<Self> {
        let unquoted = |w: &str| w.trim_matches(['"', '\'']).to_owned();
        let mut words = line.split_ascii_whitespace().map(unquoted).peekable();
        let first = words.find(|w| w != "sudo" && w != "doas")?;
        if first == "sh" {
            return line.contains("pfctl").then_some(Self { anchor: String::new(), shows: Shows::Nothing });
        }
        if first.rsplit('/').next() != Some("pfctl") {
            return None;
        }
        let (mut anchor, mut table, mut shown, mut show, mut verbose) =
            (String::new(), None, false, String::new(), false);
        while let Some(word) = words.next() {
            let Some(flags) = word.strip_prefix('-') else { continue };
            for (at, letter) in flags.char_indices() {
                if letter == 'v' {
                    verbose = true;
                }
                if !"atTsfDio".contains(letter) {
                    continue;
                }
                // The value stands behind the letter, or is the next word.
                let rest = &flags[at + letter.len_utf8()..];
                let value = if rest.is_empty() { words.next().unwrap_or_default() } else { unquoted(rest) };
                match letter {
                    'a' => anchor = if value == "*" { String::new() } else { value },
                    't' => table = Some(value),
                    'T' => shown = value == "show",
                    's' => show = value,
                    _ => {}
                }
                break;
            }
        }
        let shows = match (table, &*show) {
            (Some(name), _) if shown => Shows::Table(name),
            (_, "r" | "rules" | "n" | "nat") => Shows::Rules,
            (_, "i" | "info") => Shows::Status,
            (_, "A" | "Anchors") if verbose => Shows::Anchors,
            (_, "I" | "Interfaces") => Shows::Interfaces,
            _ => Shows::Nothing,
        };
        Some(Self { anchor, shows })
    }
}

/// Finds out what the main ruleset is where the listing does not say.
fn settle_main(anchors: &mut Anchors) {
    let is_ours = |r: &Rule| r.label.as_deref().is_some_and(|l| Label::parse(l).is_some());
    let main_is_ours = anchors.by_path.get("").is_some_and(|a| a.rules.iter().any(is_ours));
    if main_is_ours && !anchors.by_path.contains_key(ANCHOR) {
        // The anchor's file, or what `-a harden993 -sr` printed, without a word of where it comes from.
        if let Some(ours) = anchors.by_path.remove("") {
            anchors.by_path.insert(ANCHOR.to_owned(), ours);
        }
    }
    if !anchors.by_path.get("").is_some_and(|a| a.read) && anchors.by_path.contains_key(ANCHOR) {
        // Ours alone is read as it is meant to be called.
        let main = anchors.by_path.entry(String::new()).or_default();
        main.read = true;
        main.rules.insert(0, call());
    }
}

/// The line of the main pf.conf that calls our anchor.
fn call() -> Rule {
    Rule {
        direction: Some(Direction::In),
        text: format!("anchor \"{ANCHOR}\" in proto tcp"),
        ..rule::empty(Action::Anchor(Some(ANCHOR.to_owned())))
    }
}
