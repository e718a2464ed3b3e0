//! The `[[trusted]]` and `[[blocked]]` tables of one file.

use toml::de::{DeTable, DeValue};

use super::keys;
use super::networks::{Lines, Use, network};
use super::parse::{limits, path};
use super::reader::{Reader, TEXT_MAX, Value};
use super::sheet::{Entry, Kind, Spot};
use crate::diagnostic::{Place, codes};
use crate::net::Network;

/// Reads every entry of one kind.
pub(super) fn entries(r: &mut Reader<'_>, kind: Kind, value: &Value<'_>, out: &mut Vec<Entry>) {
    let (key, example) = match kind {
        Kind::Trusted => ("trusted", "[[trusted]]"),
        Kind::Blocked => ("blocked", "[[blocked]]"),
    };
    match value.get_ref() {
        DeValue::Array(list) => {
            for item in list {
                match item.get_ref() {
                    DeValue::Table(table) => out.push(entry(r, kind, item, table)),
                    _ => r.wrong(key, item, "a list of tables", example).unwrap_or_default(),
                }
            }
        }
        // One pair of brackets in place of two. Read on, so that what is in it is checked as well.
        DeValue::Table(table) => {
            r.report(&codes::WRONG_TYPE, value.span(), |p| {
                p.say(format!("`[{key}]` is one table, and there can be several of these"))
                    .help(format!("write `{example}`"))
            });
            out.push(entry(r, kind, value, table));
        }
        _ => r.wrong(key, value, "a list of tables", example).unwrap_or_default(),
    }
}

fn entry(r: &mut Reader<'_>, kind: Kind, header: &Value<'_>, table: &DeTable<'_>) -> Entry {
    let mut entry = Entry {
        kind,
        header: Place::new(r.file, header.span()),
        name: None,
        names_networks: table.contains_key("networks") || table.contains_key("file"),
        networks: None,
        except: Vec::new(),
        list: None,
        via: None,
        expires: None,
        limits: None,
    };
    let (known, place) = match kind {
        Kind::Trusted => (keys::TRUSTED, "of a `[[trusted]]` entry"),
        Kind::Blocked => (keys::BLOCKED, "of a `[[blocked]]` entry"),
    };
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        match name {
            _ if !known.contains(&name) => r.unknown(key, known, place),
            "name" => entry.name = r.name(value),
            "networks" => {
                let usage = if kind == Kind::Trusted { Use::Trust } else { Use::Other };
                entry.networks = networks(r, name, value, usage);
            }
            "except" => entry.except = except(r, value),
            "file" => entry.list = path(r, name, value, "file = \"lists/berlin.txt\""),
            "via" => entry.via = r.interfaces(name, value, false),
            "expires" => entry.expires = r.date(name, value),
            "limits" => entry.limits = limits(r, value, keys::ENTRY_LIMITS, "of an entry's `limits`"),
            _ => {
                // A comment reaches nothing that is rendered; it only has to be a text.
                let _ = r.free_text(name, value, TEXT_MAX, "comment = \"NET-42, ask netops\"");
            }
        }
    }
    if entry.name.is_none() && !table.contains_key("name") {
        r.report(&codes::MISSING_KEY, header.span(), |p| {
            p.say("the entry has no name").help("add `name = \"…\"`, by which `explain` will call it")
        });
    }
    let has = |key: &str| table.contains_key(key);
    let by_interface = has("via") && kind == Kind::Trusted;
    if !entry.names_networks && !by_interface {
        let place = entry.place().span.clone();
        r.report(&codes::EMPTY_ENTRY, place, |p| {
            p.say("the entry is about nobody").help(match kind {
                Kind::Trusted => "add `networks`, `file` or `via`",
                Kind::Blocked => "add `networks` or `file`",
            })
        });
    }
    entry
}

fn networks(r: &mut Reader<'_>, key: &str, value: &Value<'_>, usage: Use) -> Option<Spot<Lines>> {
    let example = format!("{key} = [\"198.51.100.0/24\"]");
    let list = r.list(key, value, &example)?;
    let mut lines = Lines::default();
    lines.v4.reserve(list.len());
    for item in list {
        if let Some((text, span)) = r.string(key, item, &example) {
            let start = span.start;
            if let Some(network) = network(text.as_bytes(), usage, r.file, span, r.sink) {
                lines.push(network, r.line(start));
            }
        }
    }
    if list.is_empty() {
        r.report(&codes::EMPTY_LIST, value.span(), |p| {
            p.say("the list holds no network").help("name a network, or take the entry away")
        });
    }
    Some(r.spot(lines, value.span()))
}

fn except(r: &mut Reader<'_>, value: &Value<'_>) -> Vec<Spot<(Network, u32)>> {
    let example = "except = [\"198.51.100.66\"]";
    let mut out = Vec::new();
    for item in r.list("except", value, example).unwrap_or_default() {
        if let Some((text, span)) = r.string("except", item, example)
            && let Some(network) = network(text.as_bytes(), Use::Other, r.file, span.clone(), r.sink)
        {
            let line = r.line(span.start);
            out.push(r.spot((network, line), span));
        }
    }
    out
}
