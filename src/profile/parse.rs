//! One file of TOML to a [`Sheet`], with everything that is wrong with the file by itself.

use toml::de::{DeTable, DeValue};

use crate::access::Refuse;
use crate::diagnostic::{CATALOGUE, Code, FileId, Place, Severity, SourceFile, code, codes};
use crate::net::AddrSet;
use crate::policy::TargetSpec;

use super::entry::entries;
use super::keys;
use super::list::check_text;
use super::networks::{Use, network};
use super::parse_target::targets;
use super::reader::{COUNT_MAX, PATH_MAX, Reader, TEXT_MAX, Value};
use super::sheet::{Forward, Kind, LimitKeys, LogKeys, Sheet, Spot, Switch, Values};
use super::sink::Sink;
use super::words::{harmless, nearest, quoted};

/// The largest TOML file that is read, in bytes. Its tree takes many times the room; long lists belong into list files.
pub const MAX_TOML: usize = 16 << 20;

/// What a file is in its profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// The profile itself.
    Root,
    /// A file that another one includes.
    Included,
}

/// Reads one file.
pub(super) fn parse(file: FileId, role: Role, source: &SourceFile, specs: &[TargetSpec], sink: &mut Sink) -> Sheet {
    let mut sheet = Sheet::new(file);
    if source.content.len() > MAX_TOML {
        sink.report(&codes::UNREADABLE_FILE, file, 0..0, |p| {
            p.say(format!("the file is larger than {} MiB", MAX_TOML >> 20))
                .help("put the networks into list files, and name them by `file`")
        });
        sheet.broken = true;
        return sheet;
    }
    if !check_text(&source.content, file, sink) {
        sheet.broken = true;
        return sheet;
    }
    let replaced;
    let text = if let Ok(text) = std::str::from_utf8(&source.content) {
        text
    } else {
        // Reported already. A byte for a byte, so that every place stays where it is.
        replaced = source.content.utf8_chunks().fold(String::new(), |mut text, chunk| {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| '?'));
            text
        });
        &replaced
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    sheet.broken = !errors.is_empty();
    for e in errors {
        let span = e.span().unwrap_or(0..0);
        sink.report(&codes::SYNTAX, file, span, |p| p.say(harmless(e.message())));
    }
    let mut reader = Reader { file, source, text, sink };
    root(&mut reader, table.get_ref(), specs, &mut sheet);
    // Behind an error of syntax a key may only have been overlooked.
    if role == Role::Root && !sheet.broken {
        for (key, help) in
            [("schema", "add `schema = 1` at the top"), ("name", "add `name = \"office-mail\"` at the top")]
        {
            if !table.get_ref().contains_key(key) {
                reader.report(&codes::MISSING_KEY, 0..0, |p| p.say(format!("the profile has no `{key}`")).help(help));
            }
        }
    }
    sheet
}

fn root(r: &mut Reader<'_>, table: &DeTable<'_>, specs: &[TargetSpec], sheet: &mut Sheet) {
    let values = &mut sheet.values;
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "schema" => sheet.schema = schema(r, value),
            "name" => values.name = r.name(value),
            "description" => {
                values.description = r.free_text("description", value, TEXT_MAX, "description = \"Who may read mail\"");
            }
            "include" => sheet.include = paths(r, value),
            "service" => service(r, value, values),
            "untrusted" => untrusted(r, value, values),
            "limits" => values.limits = limits(r, value, keys::LIMITS, "under `[limits]`"),
            "trusted" => entries(r, Kind::Trusted, value, &mut sheet.entries),
            "blocked" => entries(r, Kind::Blocked, value, &mut sheet.entries),
            "check" => check(r, value, &mut sheet.allow),
            "target" => targets(r, value, specs, values),
            _ => r.unknown(key, keys::ROOT, "at the top of the file"),
        }
    }
}

/// The version of the format; the value itself is always 1.
fn schema(r: &mut Reader<'_>, value: &Value<'_>) -> Option<Spot<()>> {
    match value.get_ref() {
        DeValue::Integer(n) if n.as_str() == "1" && n.radix() == 10 => {}
        DeValue::Integer(_) => r.report(&codes::UNKNOWN_SCHEMA, value.span(), |p| {
            p.say("this version of the profile format is not known here")
                .help("write `schema = 1`, or use a later harden993")
        }),
        _ => r.wrong("schema", value, "a whole number", "schema = 1")?,
    }
    // An unknown one is there, too: it must not be reported as missing.
    Some(r.spot((), value.span()))
}

fn paths(r: &mut Reader<'_>, value: &Value<'_>) -> Vec<Spot<String>> {
    let example = "include = [\"common.toml\"]";
    let list = r.list("include", value, example).unwrap_or_default();
    list.iter().filter_map(|item| path(r, "include", item, example)).collect()
}

/// A path to another file.
pub(super) fn path(r: &mut Reader<'_>, key: &str, value: &Value<'_>, example: &str) -> Option<Spot<String>> {
    let path = r.free_text(key, value, PATH_MAX, example)?;
    if path.value.is_empty() {
        r.report(&codes::INVALID_VALUE, value.span(), |p| {
            p.say(format!("`{key}` names no file")).help(format!("write it as `{example}`"))
        });
        return None;
    }
    Some(path)
}

fn service(r: &mut Reader<'_>, value: &Value<'_>, values: &mut Values) {
    let Some(table) = r.table("service", value, "[service]") else { return };
    values.service = Some(Place::new(r.file, value.span()));
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "ports" => values.ports = ports(r, value),
            "interfaces" => values.interfaces = r.interfaces("interfaces", value, false),
            "plaintext_imap" => {
                let close = r.choice("plaintext_imap", value, &["leave", "close"]).map(|s| s.map(|w| w == "close"));
                // A word that is none is an error; that something is written still counts.
                values.close_plaintext = close.or_else(|| Some(r.spot(false, value.span())));
            }
            "forwarded" => values.forwarded = forwarded(r, value),
            "closed" => values.closed = r.boolean("closed", value),
            _ => r.unknown(key, keys::SERVICE, "under `[service]`"),
        }
    }
}

fn ports(r: &mut Reader<'_>, value: &Value<'_>) -> Option<Spot<Vec<Spot<u16>>>> {
    let list = r.list("ports", value, "ports = [993]")?;
    let mut ports: Vec<Spot<u16>> = Vec::new();
    for item in list {
        // The bounds leave nothing that does not fit.
        let Some(port) = r.number("ports", item, 1, 65535).map(|s| s.map(|n| n as u16)) else { continue };
        // Two spellings of one port are one port; the bound keeps this short.
        if ports.len() <= 15 && !ports.iter().any(|p| p.value == port.value) {
            ports.push(port);
        }
    }
    if let Some(first_too_many) = ports.get(15) {
        r.report(&codes::TOO_MANY_PORTS, first_too_many.place.span.clone(), |p| {
            p.say("this is the sixteenth port; at most 15 can be guarded by one profile")
                .help("take some away: a port that clients do not use needs no rule of this kind")
        });
    }
    if list.is_empty() {
        r.report(&codes::INVALID_VALUE, value.span(), |p| {
            p.say("`ports` names no port").help("name one, or leave the key out for 993")
        });
    }
    (!ports.is_empty()).then(|| r.spot(ports, value.span()))
}

fn forwarded(r: &mut Reader<'_>, value: &Value<'_>) -> Option<Spot<Forward>> {
    let example = "forwarded = [\"192.0.2.0/28\"]";
    let forward = match value.get_ref() {
        DeValue::Boolean(false) => Forward::No,
        DeValue::Boolean(true) => Forward::Translated,
        DeValue::Array(list) => {
            let mut set = Vec::with_capacity(list.len());
            for item in list {
                if let Some((text, span)) = r.string("forwarded", item, example) {
                    set.extend(network(text.as_bytes(), Use::Other, r.file, span, r.sink));
                }
            }
            if list.is_empty() {
                r.report(&codes::EMPTY_LIST, value.span(), |p| {
                    p.say("`forwarded` names no destination").help(
                        "name the hosts behind this one, or write `forwarded = true` for what it translates alone",
                    )
                });
            }
            Forward::Routed(set.into_iter().collect::<AddrSet>())
        }
        _ => r.wrong("forwarded", value, "`true`, `false` or a list of destinations", example)?,
    };
    Some(r.spot(forward, value.span()))
}

fn untrusted(r: &mut Reader<'_>, value: &Value<'_>, values: &mut Values) {
    let Some(table) = r.table("untrusted", value, "[untrusted]") else { return };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "action" => {
                let action = |word| if word == "reject" { Refuse::Reset } else { Refuse::Drop };
                values.action = r.choice("action", value, &["drop", "reject"]).map(|s| s.map(action));
            }
            "log" => values.log = log(r, value),
            _ => r.unknown(key, keys::UNTRUSTED, "under `[untrusted]`"),
        }
    }
}

fn log(r: &mut Reader<'_>, value: &Value<'_>) -> Option<Switch<LogKeys>> {
    let table = match value.get_ref() {
        DeValue::Boolean(false) => return Some(Switch::Off),
        DeValue::Table(table) => table,
        _ => return r.wrong("log", value, "`false` or a table", "log = { rate = \"10/minute\", burst = 10 }"),
    };
    let mut keys = LogKeys::default();
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "rate" => keys.rate = r.rate("rate", value),
            "burst" => keys.burst = r.number("burst", value, 1, COUNT_MAX),
            _ => r.unknown(key, keys::LOG, "of `log`"),
        }
    }
    Some(Switch::On(keys))
}

/// `[limits]`, or those of an entry, which know fewer keys.
pub(super) fn limits(
    r: &mut Reader<'_>,
    value: &Value<'_>,
    known: &[&'static str],
    place: &str,
) -> Option<Switch<LimitKeys>> {
    let table = match value.get_ref() {
        DeValue::Boolean(false) => return Some(Switch::Off),
        DeValue::Table(table) => table,
        _ => return r.wrong("limits", value, "`false` or a table", "limits = { new_connections = \"60/minute\" }"),
    };
    let mut limits = LimitKeys::default();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        match name {
            _ if !known.contains(&name) => r.unknown(key, known, place),
            "new_connections" => limits.rate = r.rate(name, value),
            "burst" => limits.burst = r.number(name, value, 1, COUNT_MAX),
            "concurrent" => limits.concurrent = r.number(name, value, 1, COUNT_MAX),
            "ipv4_prefix" => limits.ipv4_prefix = r.number(name, value, 1, 32).map(|s| s.map(|n| n as u8)),
            _ => limits.ipv6_prefix = r.number(name, value, 1, 128).map(|s| s.map(|n| n as u8)),
        }
    }
    Some(Switch::On(limits))
}

fn check(r: &mut Reader<'_>, value: &Value<'_>, allow: &mut Vec<&'static Code>) {
    let Some(table) = r.table("check", value, "[check]") else { return };
    let example = "allow = [\"wide-network\"]";
    for (key, value) in table {
        if key.get_ref().as_ref() != "allow" {
            r.unknown(key, keys::CHECK, "under `[check]`");
            continue;
        }
        for item in r.list("allow", value, example).unwrap_or_default() {
            let Some((text, span)) = r.string("allow", item, example) else { continue };
            match code(text) {
                Some(known) if known.severity == Severity::Warning => allow.push(known),
                Some(_) => r.report(&codes::INVALID_VALUE, span, |p| {
                    p.say(format!("`{text}` is an error, and errors cannot be allowed")).help("take it away")
                }),
                None => r.report(&codes::INVALID_VALUE, span, |p| {
                    let p = p.say(format!("{} is the code of no warning", quoted(text)));
                    let warnings = CATALOGUE.iter().filter(|c| c.severity == Severity::Warning);
                    match nearest(text, warnings.map(|c| c.name)) {
                        Some(near) => p.help(format!("did you mean `{near}`?")).fix(near),
                        None => p.help("write the code that stands in brackets after a warning"),
                    }
                }),
            }
        }
    }
}
