//! The JSON of `nft -j list ruleset`, brought to the same document as the text.
//!
//! Each rule is spelled as text and read as such, so that there is one reader of rules. JSON says less than text: what
//! versions below 1.0 leave out of rules that fill sets is unknown here.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::net::{Network, Span, parse_network};
use crate::target::ReadError;

use super::document::{Base, Document, Elements, Rule, Set, TableFamily};
use super::spelling::{elements, rule};
use super::statement;

#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(borrow)]
    nftables: Vec<Object<'a>>,
}

/// One object of the listing: what kind it is of, and its text.
struct Object<'a>(Cow<'a, str>, Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kind;
        impl<'de> Visitor<'de> for Kind {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of nft")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut out = Object(Cow::Borrowed(""), None);
                if let Some((kind, raw)) = map.next_entry()? {
                    out = Object(kind, Some(raw));
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(out)
            }
        }
        deserializer.deserialize_map(Kind)
    }
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct TableObject {
    family: String,
    name: String,
    #[serde(default)]
    flags: Value,
}

#[derive(Deserialize)]
struct ChainObject {
    family: String,
    table: String,
    name: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    hook: Option<String>,
    #[serde(default)]
    prio: Option<i32>,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    dev: Value,
}

#[derive(Deserialize)]
struct RuleObject {
    family: String,
    table: String,
    chain: String,
    #[serde(default)]
    handle: Option<u64>,
    #[serde(default)]
    expr: Vec<Value>,
}

#[derive(Deserialize)]
struct SetObject<'a> {
    family: String,
    table: String,
    name: String,
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    map: Value,
    #[serde(default)]
    flags: Value,
    #[serde(default)]
    timeout: Option<u64>,
    #[serde(default, borrow)]
    elem: Option<&'a RawValue>,
}

/// Reads a listing.
///
/// # Errors
/// What is no JSON, or not that of nft. Objects that are not known are passed over.
pub(super) fn document(text: &str) -> Result<Document<'_>, ReadError> {
    let listing: Listing<'_> = serde_json::from_str(text).map_err(|e| error(&e))?;
    let mut out = Document::default();
    let mut old = false;
    let mut spelled = String::new();
    for Object(kind, raw) in &listing.nftables {
        if let Some(raw) = raw {
            let raw = raw.get();
            match &**kind {
                "metainfo" => {
                    let info: Info = serde_json::from_str(raw).map_err(|e| error(&e))?;
                    old = info.version.starts_with("0.");
                }
                "table" => {
                    let table: TableObject = serde_json::from_str(raw).map_err(|e| error(&e))?;
                    let number = out.table(family(&table.family), &table.name);
                    // Versions up to 1.0 print this flag by the name of another thing.
                    out.tables[number].dormant = has(&table.flags, "dormant") || has(&table.flags, "ipv4_addr");
                }
                "chain" => {
                    let chain: ChainObject = serde_json::from_str(raw).map_err(|e| error(&e))?;
                    let number = out.table(family(&chain.family), &chain.table);
                    let known = out.tables[number].chain(&chain.name);
                    known.base = chain.hook.map(|hook| Base {
                        kind: chain.kind.unwrap_or_default(),
                        hook,
                        priority: chain.prio,
                        drops: chain.policy.as_deref() == Some("drop"),
                        devices: strings(&chain.dev),
                    });
                }
                "rule" => {
                    let written: RuleObject = serde_json::from_str(raw).map_err(|e| error(&e))?;
                    let number = out.table(family(&written.family), &written.table);
                    let from = spelled.len();
                    spelled.push_str(&rule(&written.expr, old));
                    let table = &mut out.tables[number];
                    statement::fed(&statement::tokens(&spelled[from..]), &mut table.fed);
                    let rule = Rule { line: 0, handle: written.handle, from, to: spelled.len(), whole: true };
                    table.chain(&written.chain).rules.push(rule);
                }
                "set" | "map" => {
                    let object: SetObject<'_> = serde_json::from_str(raw).map_err(|e| error(&e))?;
                    let number = out.table(family(&object.family), &object.table);
                    let set = set(&object)?;
                    out.tables[number].sets.insert(object.name, set);
                }
                _ => {}
            }
        }
    }
    out.text = Cow::Owned(spelled);
    Ok(out)
}

fn error(e: &serde_json::Error) -> ReadError {
    ReadError {
        line: e.line().max(1) as u32,
        column: e.column() as u32,
        message: format!("this is no whole JSON listing of nft: {e}"),
    }
}

fn family(word: &str) -> TableFamily {
    TableFamily::parse(word).unwrap_or(TableFamily::Elsewhere)
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

fn has(flags: &Value, flag: &str) -> bool {
    strings(flags).iter().any(|f| f == flag)
}

fn set(object: &SetObject<'_>) -> Result<Set, ReadError> {
    let mut set = Set {
        changes: has(&object.flags, "dynamic") || has(&object.flags, "timeout") || object.timeout.is_some(),
        interval: has(&object.flags, "interval"),
        timeout: object.timeout,
        elements: Elements::Any(Vec::new()),
    };
    let Some(raw) = object.elem else { return Ok(set) };
    let of_addresses = matches!(object.kind.as_str(), Some("ipv4_addr" | "ipv6_addr")) && object.map.is_null();
    set.elements = if of_addresses {
        serde_json::from_str::<Addresses>(raw.get()).map_err(|e| error(&e))?.0
    } else {
        let all: Vec<Value> = serde_json::from_str(raw.get()).map_err(|e| error(&e))?;
        let texts = elements(&all);
        Elements::Any(texts.iter().filter_map(|t| statement::element(&statement::tokens(t))).collect())
    };
    Ok(set)
}

/// The elements of a set of addresses, without a value of serde's for each.
struct Addresses(Elements);

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Addresses;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of addresses")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Addresses, S::Error> {
                let (mut v4, mut v6): (Vec<Span<u32>>, Vec<Span<u128>>) = (Vec::new(), Vec::new());
                let mut strange = false;
                while let Some(Address(network)) = seq.next_element()? {
                    match network {
                        Some(Network::V4(span)) => v4.push(span),
                        Some(Network::V6(span)) => v6.push(span),
                        None => strange = true,
                    }
                }
                Ok(Addresses(match (strange, v4.is_empty(), v6.is_empty()) {
                    (true, ..) | (_, false, false) => Elements::Unknown("an element that is no address".to_owned()),
                    (_, _, true) => Elements::V4(v4),
                    (_, true, _) => Elements::V6(v6),
                }))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// One address, prefix or range; none if it is something else.
struct Address(Option<Network>);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Address;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address")
            }
            fn visit_str<E>(self, text: &str) -> Result<Address, E> {
                Ok(Address(parse_network(text.as_bytes()).ok()))
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Address, M::Error> {
                let mut out = Address(None);
                while let Some(kind) = map.next_key::<String>()? {
                    match kind.as_str() {
                        "prefix" => {
                            let value: Value = map.next_value()?;
                            let addr = value.get("addr").and_then(Value::as_str).unwrap_or_default();
                            let len = value.get("len").and_then(Value::as_u64).unwrap_or(u64::MAX);
                            out.0 = parse_network(format!("{addr}/{len}").as_bytes()).ok();
                        }
                        "range" => {
                            let ends: Value = map.next_value()?;
                            let end = |i: usize| ends.get(i).and_then(Value::as_str).unwrap_or_default();
                            out.0 = parse_network(format!("{}-{}", end(0), end(1)).as_bytes()).ok();
                        }
                        // What is said of the element stands beside its value.
                        "elem" | "val" => out = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(out)
            }
        }
        deserializer.deserialize_any(One)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{json, text};
    use crate::access::Question;
    use crate::ruleset::evaluate;

    #[test]
    fn json_says_what_text_says() {
        let listed = "table inet a {\n\tset s {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 192.0.2.0/25, 198.51.100.1-198.51.100.9, 203.0.113.7 }\n\t}\n\tchain c {\n\t\ttype filter hook input priority filter; policy drop;\n\t\ttcp dport 993 ip saddr @s accept\n\t}\n}\n";
        let object = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "inet", "name": "a", "handle": 1}},
            {"set": {"family": "inet", "name": "s", "table": "a", "type": "ipv4_addr", "flags": ["interval"], "elem":
            [{"prefix": {"addr": "192.0.2.0", "len": 25}}, {"range": ["198.51.100.1", "198.51.100.9"]}, {"elem": {"val": "203.0.113.7", "comment": "x"}}]}},
            {"chain": {"family": "inet", "table": "a", "name": "c", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
            {"frobnicator": {"x": [1]}},
            {"rule": {"family": "inet", "table": "a", "chain": "c", "handle": 4, "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 993}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@s"}}, {"accept": null}]}}]}"#;
        let (from_json, from_text) = (json(object, 0).expect("JSON"), text(listed, 0).expect("text"));
        for port in [993, 22] {
            let q = Question::opening(port);
            assert_eq!(evaluate(&from_json, &q), evaluate(&from_text, &q));
        }
        assert_eq!(evaluate(&from_json, &Question::opening(993)).reachable().v4.count().to_string(), "138");
        let error = json(&object[..object.len() - 9], 5).expect_err("it is cut off");
        assert!(error.line > 6, "{error}");
    }
}
