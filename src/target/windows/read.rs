//! Recognises what a Windows host is described by: a rendered script, or a capture.

use std::sync::Arc;

use crate::access::Pattern;
use crate::net::AddrSet;
use crate::policy::Digest;
use crate::ruleset::{Match, Origin, Ports, Ruleset, Then};
use crate::target::{Listing, ReadError, Section};

use super::address::{self, List};
use super::lower::{NetworkProfile, Selected, lower};
use super::render::POLICY;
use super::script::{self, Script, Value};
use super::{Action, GROUP, capture};

/// A text without the byte order mark that Windows likes to put before it.
pub(super) fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Whether a text is a script of ours or a capture.
pub(super) fn recognises(text: &str) -> bool {
    let text = unmarked(text);
    script::recognises(text) || capture::recognises(text)
}

/// Reads the first section that is one of the two; without any, the ruleset is empty. A single text that nobody says to be
/// anything else is an error.
pub(super) fn read(listing: &Listing) -> Result<Ruleset, ReadError> {
    let Some(section) = listing.sections.iter().find(|s| recognises(&s.text)) else {
        return match &listing.sections[..] {
            [Section { command, .. }] if command.is_empty() => Err(ReadError::line(
                1,
                "this is neither a capture of a Windows host nor a script that harden993 rendered",
            )),
            _ => Ok(Ruleset::default()),
        };
    };
    let text = unmarked(&section.text);
    let read = if script::recognises(text) { rendered(text) } else { capture::read(text) };
    read.map_err(|e| ReadError { line: e.line + section.before, ..e })
}

/// A rendered script: what its rules do by themselves. What they leave open is unknown on their ports, so that the Allow
/// rules are held to account as the Blocks are, and let in elsewhere.
fn rendered(text: &str) -> Result<Ruleset, ReadError> {
    let script =
        Script::split(text).ok_or_else(|| ReadError::line(last_line(text), "the script ends before its data does"))?;
    let mut rules = Vec::new();
    let (mut digest, mut interfaces) = (None, Vec::new());
    let wrong = |message: &str| ReadError::line(last_line(&text[..script.offset]), message);
    for (name, value) in script::parse(text, &script)? {
        match (name, &value) {
            ("PolicyDigest", Value::Text(hex)) => digest = Digest::parse(hex),
            ("PolicyName", Value::Text(_)) => {}
            ("GuardedInterfaces", Value::List(_)) => {
                let texts = value.texts().ok_or_else(|| wrong("`$GuardedInterfaces` must hold texts"))?;
                interfaces = texts.into_iter().map(Pattern::name).collect();
            }
            ("DesiredRules", Value::List(tables)) => {
                for table in tables {
                    rules.extend(rule(table, &interfaces).map_err(|m| wrong(&m))?);
                }
            }
            _ => return Err(wrong(&format!("the data sets `${name}`, which is not known here"))),
        }
    }
    let mut remarks = Vec::new();
    if !script.has_our_code() {
        let because = "the script's code is not the one of this version".to_owned();
        for rule in &mut rules {
            rule.scope.push(Match::Unknown(because.clone()));
        }
        remarks.push(because);
    }
    let mut undecided: Vec<Vec<Match>> = rules.iter().map(|r: &Selected| r.scope.clone()).collect();
    undecided.dedup();
    let neutral = NetworkProfile {
        name: "any".to_owned(),
        filters: true,
        ignores_rules: false,
        ignores_local: false,
        undecided,
        default: Then::Accept,
        unfiltered: Vec::new(),
    };
    let mut ruleset = lower(&[neutral], rules, true);
    ruleset.digest = digest.map(|d| d.to_string());
    ruleset.remarks = remarks;
    Ok(ruleset)
}

/// The number of the line at which a text ends.
fn last_line(text: &str) -> u32 {
    text.bytes().filter(|b| *b == b'\n').count() as u32 + 1
}

/// One rule of the data; none if it is not enabled.
fn rule(table: &Value<'_>, interfaces: &[Pattern]) -> Result<Option<Selected>, String> {
    let text = |key: &str| table.get(key).and_then(Value::text).ok_or_else(|| format!("a rule has no text `{key}`"));
    let texts = |key: &str| table.get(key).and_then(Value::texts).ok_or_else(|| format!("a rule has no list `{key}`"));
    let (name, action) = (text("Name")?, text("Action")?);
    match text("Enabled")? {
        "True" => {}
        "False" => return Ok(None),
        other => return Err(format!("a rule is enabled as {other:?}")),
    }
    let action = match action {
        "Allow" => Action::Allow,
        "Block" => Action::Block,
        other => return Err(format!("the rule {name} has the action {other:?}")),
    };
    let addresses = texts("RemoteAddress")?;
    let list = address::read_list(addresses.iter().copied());
    if let Some(because) = list.unknown.first() {
        return Err(format!("in the rule {name} {because}"));
    }
    let ports = texts("LocalPort")?;
    let ports: Option<Vec<(u16, u16)>> = ports.iter().map(|p| p.parse().ok().map(|p| (p, p))).collect();
    let mut scope = vec![Match::Port(Ports(ports.ok_or_else(|| format!("the rule {name} has a port that is none"))?))];
    if !interfaces.is_empty() {
        scope.push(Match::Interface(interfaces.to_vec()));
    }
    Ok(Some(Selected {
        action,
        ours: true,
        local: true,
        profiles: None,
        scope,
        source: source(list),
        origin: Origin { place: format!("group {GROUP}").into(), text: name.to_owned(), ..Origin::default() },
    }))
}

/// The test of a list of addresses.
pub(super) fn source(list: List) -> Match {
    let known = Match::Source(Arc::new(if list.any { AddrSet::all() } else { list.known }));
    if list.any || list.unknown.is_empty() {
        return known;
    }
    Match::Any(std::iter::once(known).chain(list.unknown.into_iter().map(Match::Unknown)).collect())
}

/// The digest in the descriptions of our rules, if they all say the same.
pub(super) fn digest<'a>(descriptions: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut digests: Vec<&str> = descriptions.filter_map(|d| d.strip_prefix(POLICY)).collect();
    digests.sort_unstable();
    digests.dedup();
    match digests[..] {
        [one] => Digest::parse(one).map(|d| d.to_string()),
        _ => None,
    }
}
