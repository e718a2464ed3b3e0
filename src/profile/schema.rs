//! The JSON Schema of the profile, for editors: every key with its description, type, pattern and default.

use serde_json::{Map, Value, json};

use crate::diagnostic::{CATALOGUE, Severity};
use crate::policy::{Feature, TargetSpec};

use super::reader::{COUNT_MAX, PATH_MAX, TEXT_MAX};

/// What a name of a profile or an entry looks like.
const NAME: &str = "^[a-z][a-z0-9-]{0,31}$";
/// What an interface is called on Unix systems.
const INTERFACE: &str = "^([A-Za-z0-9._:@][A-Za-z0-9._:@-]{0,14}|[A-Za-z0-9._:@][A-Za-z0-9._:@-]{0,13}\\*)$";
/// What an interface is called on Windows.
const ALIAS: &str = "^[A-Za-z0-9._:@()#+][A-Za-z0-9._:@()#+ -]{0,255}\\*?$";
/// A rate of connections or log lines.
const RATE: &str = "^[1-9][0-9]{0,6}/(second|minute|hour)$";
/// An address, prefix or range, roughly: `harden993 check` looks closer.
const NETWORK: &str = "^[0-9A-Fa-f:.]+(/[0-9]{1,3}|-[0-9A-Fa-f:.]+)?$";
/// A text in one line.
const LINE: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// The JSON Schema (draft 2020-12) of a profile; `specs` are the targets that `[target]` knows.
///
/// It is a help for editors and no replacement for a check: whether networks overlap, files exist or names are unique is
/// beyond it.
///
/// ```
/// let schema = harden993::profile::schema(&[]);
/// assert_eq!(schema["properties"]["service"]["properties"]["ports"]["default"], serde_json::json!([993]));
/// ```
pub fn schema(specs: &[TargetSpec]) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "harden993 profile",
        "description": "Who may reach IMAPS (TCP 993).",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "schema": { "const": 1, "description": "The version of this format. Required in the profile itself; an included file may leave it out." },
            "name": name("The profile's name, which stands in the loaded rules. Required in the profile itself; an included file may leave it out."),
            "description": text("Free text: who may read mail, and who answers for it."),
            "include": {
                "description": "Files whose tables are merged into this one, relative to this file. What this file writes wins over them, and a later one wins over an earlier one.",
                "type": "array",
                "items": path(),
            },
            "service": service(),
            "untrusted": untrusted(),
            "limits": limits("Limits on what one source may open. Absent or false: none.", true),
            "trusted": {
                "description": "Who may connect. Entries of all files add up.",
                "type": "array",
                "items": trusted(),
            },
            "blocked": {
                "description": "Who may not connect, whatever trusts them. Entries of all files add up.",
                "type": "array",
                "items": blocked(),
            },
            "check": table("What `harden993 check` is to keep quiet about.", &json!({
                "allow": {
                    "description": "Codes of warnings that the author has considered.",
                    "type": "array",
                    "items": { "enum": warnings() },
                },
            })),
            "target": table("What holds for one firewall alone.", &Value::Object(specs.iter().map(target).collect())),
        },
    })
}

fn table(description: &str, properties: &Value) -> Value {
    json!({ "description": description, "type": "object", "additionalProperties": false, "properties": properties })
}

fn name(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": NAME })
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string", "maxLength": TEXT_MAX, "pattern": LINE })
}

fn path() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": PATH_MAX, "pattern": LINE })
}

fn networks(description: &str) -> Value {
    json!({
        "description": description,
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "string",
            "pattern": NETWORK,
            "examples": ["198.51.100.0/24", "203.0.113.7", "203.0.113.16-203.0.113.31", "2001:db8:10::/48"],
        },
    })
}

fn interfaces(description: &str, pattern: &str) -> Value {
    json!({
        "description": description,
        "type": "array",
        "minItems": 1,
        "items": { "type": "string", "pattern": pattern, "not": { "enum": ["lo", "lo0", "lo*", "*"] } },
    })
}

fn count(description: &str) -> Value {
    json!({ "description": description, "type": "integer", "minimum": 1, "maximum": COUNT_MAX })
}

fn rate(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": RATE, "examples": ["60/minute"] })
}

fn service() -> Value {
    table(
        "What is guarded.",
        &json!({
            "ports": {
                "description": "The guarded TCP ports.",
                "type": "array",
                "items": { "type": "integer", "minimum": 1, "maximum": 65535 },
                "minItems": 1,
                "maxItems": 15,
                "uniqueItems": true,
                "default": [993],
            },
            "interfaces": interfaces("The guarded interfaces; without this key every one but loopback. A `*` at the end stands for all that start so.", INTERFACE),
            "plaintext_imap": {
                "description": "Port 143: left as it is, or closed to everybody. To treat it like IMAPS, put 143 into `ports`.",
                "enum": ["leave", "close"],
                "default": "leave",
            },
            "forwarded": {
                "description": "Whether connections that this host translates from a guarded port (containers) are guarded, too. A list of destinations: those, and also what it routes to a guarded port of these.",
                "oneOf": [{ "type": "boolean" }, networks("Destinations behind this host.")],
                "default": false,
            },
            "closed": {
                "description": "Nobody may connect; trusted entries are ignored.",
                "type": "boolean",
                "default": false,
            },
        }),
    )
}

fn untrusted() -> Value {
    let log = table(
        "How often refusals are logged at most.",
        &json!({
            "rate": { "description": "Lines in time, for each of the three prefixes by itself.", "type": "string", "pattern": RATE, "default": "10/minute" },
            "burst": { "description": "Lines at once.", "type": "integer", "minimum": 1, "maximum": COUNT_MAX, "default": 10 },
        }),
    );
    table(
        "What happens to everybody else.",
        &json!({
            "action": {
                "description": "Refuse silently, or with a TCP reset.",
                "enum": ["drop", "reject"],
                "default": "drop",
            },
            "log": {
                "description": "Whether refused connections are logged.",
                "oneOf": [{ "const": false }, log],
                "default": { "rate": "10/minute", "burst": 10 },
            },
        }),
    )
}

/// A table of limits, or `false`. What counts as one source is said once for the profile, and not by an entry.
fn limits(description: &str, prefixes: bool) -> Value {
    let mut properties = Map::new();
    properties.insert("new_connections".to_owned(), rate("New connections in time, per source and port."));
    properties.insert("burst".to_owned(), count("New connections at once. Default: the number in `new_connections`."));
    properties.insert("concurrent".to_owned(), count("Connections open at once, per source and port."));
    if prefixes {
        for (key, max, default) in [("ipv4_prefix", 32, 32), ("ipv6_prefix", 128, 64)] {
            let prefix = json!({
                "description": format!("The prefix length that counts as one {} source.", if max == 32 { "IPv4" } else { "IPv6" }),
                "type": "integer",
                "minimum": 1,
                "maximum": max,
                "default": default,
            });
            properties.insert(key.to_owned(), prefix);
        }
    }
    let mut on = table("Each key is optional; an absent key limits nothing.", &Value::Object(properties));
    if !prefixes {
        on["dependentRequired"] = json!({ "burst": ["new_connections"] });
    }
    json!({ "description": description, "oneOf": [{ "const": false }, on] })
}

/// The keys that both kinds of entries have.
fn entry() -> Map<String, Value> {
    let Value::Object(keys) = json!({
        "name": name("What `explain` calls the entry. Unique."),
        "networks": networks("Addresses, prefixes and ranges of both families."),
        "file": path(),
        "expires": { "description": "After this day (UTC) the entry no longer counts. A TOML date, without quotes.", "format": "date" },
        "comment": text("Free text: where the networks come from, and whom to ask."),
    }) else {
        return Map::new();
    };
    keys
}

fn trusted() -> Value {
    let mut keys = entry();
    keys["file"]["description"] = json!("A file with more networks, one a line, relative to this file.");
    keys.insert("except".to_owned(), networks("Carved out of this entry."));
    let via = "Only by these interfaces. With neither `networks` nor `file`: whoever comes by them.";
    keys.insert("via".to_owned(), interfaces(via, INTERFACE));
    let own = "In place of the whole of the profile's `[limits]`; false: exempt.";
    keys.insert("limits".to_owned(), limits(own, false));
    let mut table = table("Somebody who may connect.", &Value::Object(keys));
    table["required"] = json!(["name"]);
    table["anyOf"] = json!([{ "required": ["networks"] }, { "required": ["file"] }, { "required": ["via"] }]);
    table
}

fn blocked() -> Value {
    let mut keys = entry();
    keys["file"]["description"] = json!("A file with more networks, one a line, relative to this file.");
    let mut table = table("Somebody who may not connect, whatever trusts them.", &Value::Object(keys));
    table["required"] = json!(["name"]);
    table["anyOf"] = json!([{ "required": ["networks"] }, { "required": ["file"] }]);
    table
}

fn warnings() -> Vec<&'static str> {
    CATALOGUE.iter().filter(|c| c.severity == Severity::Warning).map(|c| c.name).collect()
}

fn target(spec: &TargetSpec) -> (String, Value) {
    let mut keys = Map::new();
    let degrade = json!({
        "description": "What may be left out where this firewall cannot do it. It is said in the rules.",
        "type": "array",
        "items": { "enum": Feature::ALL.map(Feature::word) },
    });
    keys.insert("degrade".to_owned(), degrade);
    let pattern = if spec.name == "windows" { ALIAS } else { INTERFACE };
    keys.insert(
        "interfaces".to_owned(),
        interfaces("In place of `service.interfaces`, in this firewall's own names.", pattern),
    );
    for (key, words) in spec.keys {
        keys.insert((*key).to_owned(), json!({ "enum": words, "default": words.first() }));
    }
    (spec.name.to_owned(), table(&format!("What holds for {} alone.", spec.name), &Value::Object(keys)))
}

#[cfg(test)]
mod tests {
    use super::super::keys;
    use super::*;
    use std::collections::BTreeSet;

    const PF: TargetSpec = TargetSpec { name: "pf", keys: &[("dialect", &["openbsd", "freebsd"])] };

    fn holds(table: &Value, known: &[&str]) {
        let names: BTreeSet<&str> = table["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, known.iter().copied().collect());
        assert_eq!(table["additionalProperties"], json!(false));
        for (name, key) in table["properties"].as_object().unwrap() {
            assert!(
                !key["description"].as_str().unwrap_or_default().is_empty() || name == "schema" || name == "dialect",
                "{name}"
            );
        }
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_keys() {
        let schema = schema(&[PF]);
        let root = &schema["properties"];
        holds(&schema, keys::ROOT);
        holds(&root["service"], keys::SERVICE);
        holds(&root["untrusted"], keys::UNTRUSTED);
        holds(&root["untrusted"]["properties"]["log"]["oneOf"][1], keys::LOG);
        holds(&root["limits"]["oneOf"][1], keys::LIMITS);
        holds(&root["trusted"]["items"], keys::TRUSTED);
        holds(&root["trusted"]["items"]["properties"]["limits"]["oneOf"][1], keys::ENTRY_LIMITS);
        holds(&root["blocked"]["items"], keys::BLOCKED);
        holds(&root["check"], keys::CHECK);
        holds(&root["target"], &["pf"]);
        holds(&root["target"]["properties"]["pf"], &["degrade", "interfaces", "dialect"]);
    }
}
