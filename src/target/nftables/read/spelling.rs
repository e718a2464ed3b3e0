//! The expressions of nft's JSON spelled as the text of rules. Every string is quoted, so that no value is taken for a word.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A rule as text. Of an `old` version it is not known what else is said where a set is filled.
pub(super) fn rule(statements: &[Value], old: bool) -> String {
    let parts: Vec<String> = statements.iter().map(|s| statement(s, old)).collect();
    parts.join(" ")
}

/// Each element of a set or map as text.
pub(super) fn elements(all: &[Value]) -> Vec<String> {
    all.iter().map(element).collect()
}

/// The one key of an object, with its value.
fn only(map: &Map<String, Value>) -> (&str, &Value) {
    map.iter().next().map_or(("", &Value::Null), |(key, value)| (key.as_str(), value))
}

fn statement(value: &Value, old: bool) -> String {
    let Value::Object(map) = value else { return "unknown".to_owned() };
    let (kind, inside) = only(map);
    let text = |key: &str| inside.get(key).map(expression).unwrap_or_default();
    match kind {
        "accept" | "drop" | "continue" | "return" | "notrack" | "counter" | "xt" | "queue" | "quota" | "meter"
        | "flow" => kind.to_owned(),
        "jump" | "goto" => format!("{kind} {}", text("target")),
        "match" => {
            let op = inside.get("op").and_then(Value::as_str).unwrap_or_default();
            let op = if op == "in" { "" } else { op };
            format!("{} {op} {}", text("left"), text("right"))
        }
        "vmap" => format!("{} vmap {}", text("key"), text("data")),
        "mangle" => format!("{} set {}", text("key"), text("value")),
        "log" => match inside.get("prefix") {
            Some(prefix) => format!("log prefix {}", expression(prefix)),
            None => "log".to_owned(),
        },
        "limit" => limit(inside),
        "ct count" => {
            let over = if inside.get("inv") == Some(&Value::Bool(true)) { "over " } else { "" };
            format!("ct count {over}{}", text("val"))
        }
        "reject" => match inside.get("type").and_then(Value::as_str) {
            Some("tcp reset") => "reject with tcp reset".to_owned(),
            Some(family @ ("icmp" | "icmpv6" | "icmpx")) => format!("reject with {family} type {}", text("expr")),
            _ => "reject".to_owned(),
        },
        "set" => put(inside, old),
        "dnat" => translate(inside),
        "redirect" => match inside.get("port") {
            Some(Value::Number(port)) => format!("redirect to :{port}"),
            Some(_) => "unknown".to_owned(),
            None => "redirect".to_owned(),
        },
        "snat" | "masquerade" => "masquerade".to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn limit(inside: &Value) -> String {
    let number = |key: &str| inside.get(key).and_then(Value::as_u64);
    let over = if inside.get("inv") == Some(&Value::Bool(true)) { "over " } else { "" };
    let per = inside.get("per").and_then(Value::as_str).unwrap_or_default();
    let bytes = inside.get("rate_unit").is_some_and(|u| u != "packets");
    match (number("rate"), bytes) {
        (Some(rate), false) => {
            let burst = number("burst").map(|b| format!(" burst {b} packets")).unwrap_or_default();
            format!("limit rate {over}{rate}/{per}{burst}")
        }
        _ => format!("limit rate {over}bytes"),
    }
}

fn put(inside: &Value, old: bool) -> String {
    let name = inside.get("set").and_then(Value::as_str).unwrap_or_default();
    let op = inside.get("op").and_then(Value::as_str).unwrap_or_default();
    let key = inside.get("elem").map(expression).unwrap_or_default();
    let said: Vec<String> = inside
        .get("stmt")
        .and_then(Value::as_array)
        .map(|s| s.iter().map(|s| statement(s, old)).collect())
        .unwrap_or_default();
    if old {
        return "meter".to_owned();
    }
    format!("{op} {} {{ {key} {} }}", word(name), said.join(" "))
}

fn translate(inside: &Value) -> String {
    let port = inside.get("port");
    match (inside.get("addr"), port) {
        (Some(Value::String(addr)), None) => format!("dnat to {}", quoted(addr)),
        (Some(Value::String(addr)), Some(Value::Number(port))) if addr.contains(':') => {
            format!("dnat to {}", quoted(&format!("[{addr}]:{port}")))
        }
        (Some(Value::String(addr)), Some(Value::Number(port))) => {
            format!("dnat to {}", quoted(&format!("{addr}:{port}")))
        }
        (Some(map @ Value::Object(_)), None) => format!("dnat to {}", expression(map)),
        _ => "unknown".to_owned(),
    }
}

/// A name of a set or a header as a word: whatever cannot stand in one is left out.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "@_.-/".contains(*c)).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', ""))
}

/// Values joined by a separator.
fn joined(values: &Value, separator: &str) -> String {
    match values {
        Value::Array(all) => all.iter().map(expression).collect::<Vec<_>>().join(separator),
        one => expression(one),
    }
}

/// One element of a set, or a pair of a map.
fn element(value: &Value) -> String {
    match value {
        Value::Array(pair) if pair.len() == 2 => format!("{} : {}", expression(&pair[0]), data(&pair[1])),
        one => expression(one),
    }
}

/// What a map says: a verdict or a value.
fn data(value: &Value) -> String {
    match value {
        Value::Object(map) if matches!(only(map).0, "accept" | "drop" | "continue" | "return" | "jump" | "goto") => {
            statement(value, false)
        }
        other => expression(other),
    }
}

fn expression(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "exists".to_owned(),
        Value::Bool(false) => "missing".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.starts_with('@') => word(text),
        Value::String(text) => quoted(text),
        // Flags that are listed.
        Value::Array(_) => joined(value, ","),
        Value::Object(map) => {
            let (kind, inside) = only(map);
            object(kind, inside)
        }
    }
}

fn object(kind: &str, inside: &Value) -> String {
    let plain = |key: &str| inside.get(key).and_then(Value::as_str).map(word).unwrap_or_default();
    let end = |i: usize| match inside.get(i) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    match kind {
        "payload" if inside.get("protocol").is_some() => format!("{} {}", plain("protocol"), plain("field")),
        "payload" => "@raw".to_owned(),
        "meta" => format!("meta {}", plain("key")),
        "ct" => {
            let mut out = "ct".to_owned();
            for part in [plain("dir"), plain("family"), plain("key")].iter().filter(|p| !p.is_empty()) {
                // Writing to a String cannot fail.
                let _ = write!(out, " {part}");
            }
            out
        }
        "fib" => {
            let flags: Vec<String> = match inside.get("flags") {
                Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(word).collect(),
                Some(Value::String(one)) => vec![word(one)],
                _ => Vec::new(),
            };
            format!("fib {} {}", flags.join(" . "), plain("result"))
        }
        "&" => {
            let left = end_expression(inside, 0);
            // What binds less stands in parentheses; nothing else that is masked holds such signs outside of its own.
            let less = inside.get(0).and_then(Value::as_object).is_some_and(|o| matches!(only(o).0, "|" | "^"));
            let left = if less { format!("({left})") } else { left };
            format!("{left} & ({})", end_expression(inside, 1).replace(',', "|"))
        }
        "|" => joined(inside, "|"),
        "^" => joined(inside, " ^ "),
        "prefix" => {
            // Of marks it is a number.
            let addr = inside.get("addr").map(|a| a.as_str().map_or_else(|| a.to_string(), str::to_owned));
            let addr = addr.unwrap_or_default();
            let len = inside.get("len").and_then(Value::as_u64).unwrap_or_default();
            quoted(&format!("{addr}/{len}"))
        }
        "range" => quoted(&format!("{}-{}", end(0), end(1))),
        "concat" => joined(inside, " . "),
        "set" => match inside {
            Value::Array(all) => format!("{{ {} }}", elements(all).join(", ")),
            one => format!("{{ {} }}", element(one)),
        },
        "elem" => inside.get("val").map(expression).unwrap_or_default(),
        "map" => {
            let part = |key: &str| inside.get(key).map(expression).unwrap_or_default();
            format!("{} map {}", part("key"), part("data"))
        }
        "numgen" | "jhash" | "symhash" | "osf" | "socket" | "rt" | "ipsec" | "exthdr" => kind.to_owned(),
        _ => "exthdr".to_owned(),
    }
}

fn end_expression(values: &Value, index: usize) -> String {
    values.get(index).map(expression).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(json: &str) -> String {
        rule(&serde_json::from_str::<Vec<Value>>(json).expect("JSON"), false)
    }

    #[test]
    fn rules_as_text() {
        let json = r#"[{"match":{"op":"==","left":{"&":[{"payload":{"protocol":"tcp","field":"flags"}},["syn","ack"]]},"right":"syn"}},{"limit":{"rate":10,"burst":6,"per":"minute"}},{"log":{"prefix":"a \"b"}}]"#;
        assert_eq!(
            spelled(json),
            "tcp flags & (\"syn\"|\"ack\") == \"syn\" limit rate 10/minute burst 6 packets log prefix \"a b\""
        );
        let json = r#"[{"set":{"op":"update","elem":{"concat":[{"&":[{"payload":{"protocol":"ip","field":"saddr"}},"255.255.255.0"]},{"ct":{"key":"proto-dst","dir":"original"}}]},"set":"@rate","stmt":[{"limit":{"rate":60,"burst":30,"per":"minute"}}]}},{"accept":null}]"#;
        assert_eq!(
            spelled(json),
            "update @rate { ip saddr & (\"255.255.255.0\") . ct original proto-dst limit rate 60/minute burst 30 packets } accept"
        );
        let json = r#"[{"vmap":{"key":{"payload":{"protocol":"tcp","field":"dport"}},"data":{"set":[[22,{"accept":null}],[{"range":[80,90]},{"jump":{"target":"web"}}]]}}}]"#;
        assert_eq!(spelled(json), "tcp dport vmap { 22 : accept, \"80-90\" : jump \"web\" }");
    }
}
