//! Listings of nft, as text or JSON, as rulesets of the model. Nothing that is not known is an error, and nothing of it is
//! guessed.

mod action;
mod base;
mod difference;
mod document;
mod elements;
mod field;
mod json;
mod lexer;
mod lower;
mod mixture;
mod operand;
mod parse;
mod rate;
mod script;
mod spelling;
mod statement;
mod test;
mod values;

use crate::ruleset::Ruleset;
use crate::target::{Listing, ReadError, Section};

pub(super) use difference::{Changed, Networks, SetDifference, difference};
pub(super) use script::unprinted;

/// Reads every section of a listing that is nft's.
pub(super) fn listing(listing: &Listing) -> Result<Ruleset, ReadError> {
    let mut all = Ruleset::default();
    for section in listing.sections.iter().filter(|s| is_nft(s)) {
        all.join(if is_json(&section.text) {
            json(&section.text, section.before)?
        } else {
            text(&section.text, section.before)?
        });
    }
    Ok(all)
}

/// Reads what `nft list ruleset` or `nft -a list table` prints, or a file of ours. `before` lines stand before it in its
/// file.
pub(super) fn text(text: &str, before: u32) -> Result<Ruleset, ReadError> {
    let document = parse::document(text).map_err(|e| ReadError { line: e.line + before, ..e })?;
    Ok(lower::ruleset(&document, before))
}

/// Reads what `nft -j list ruleset` prints.
pub(super) fn json(text: &str, before: u32) -> Result<Ruleset, ReadError> {
    let document = json::document(text).map_err(|e| ReadError { line: e.line + before, ..e })?;
    Ok(lower::ruleset(&document, before))
}

/// Whether a section is nft's.
pub(super) fn is_nft(section: &Section) -> bool {
    match section.command.split_whitespace().next() {
        Some(program) => program.rsplit('/').next() == Some("nft"),
        None => recognises(&section.text),
    }
}

/// Whether a text is nft's JSON.
pub(super) fn is_json(text: &str) -> bool {
    let start = text.trim_start();
    start.starts_with('{') && start.get(..200).unwrap_or(start).contains("\"nftables\"")
}

/// Whether a text looks like a listing of nft, or like a file that it loads.
pub(super) fn recognises(text: &str) -> bool {
    let first = text.lines().map(str::trim_start).find(|l| !l.is_empty() && !l.starts_with('#')).unwrap_or_default();
    let mut words = first.split_whitespace();
    is_json(text)
        || match (words.next(), words.next()) {
            (Some("table"), Some(_)) => !first.contains('<'),
            (Some("add" | "create" | "delete" | "destroy"), Some("table")) | (Some("flush"), Some("ruleset")) => true,
            _ => false,
        }
}
