//! The data of a script, read by a lexer that knows nothing of the one that harden993 has.
//!
//! It knows single-quoted texts, in which PowerShell takes five characters for the quote; lists, tables, `-join` and
//! `[char]`; and nothing else, so that whatever else the data held would fail the test.

use std::collections::BTreeMap;

use harden993::net::{AddrSet, Network, parse_network};

/// A token of the data.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Text(String),
    Char(u16),
    Word(String),
    Sign(&'static str),
}

fn tokens(mut text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    'next: while let Some(first) = text.chars().next() {
        if " \r\n".contains(first) {
            text = &text[1..];
            continue;
        }
        if first == '\'' {
            let (mut value, mut rest) = (String::new(), text[1..].chars().peekable());
            let mut used = 1;
            while let Some(c) = rest.next() {
                used += c.len_utf8();
                if !"'\u{2018}\u{2019}\u{201a}\u{201b}".contains(c) {
                    value.push(c);
                } else if let Some(second) = rest.next_if(|c| "'\u{2018}\u{2019}\u{201a}\u{201b}".contains(*c)) {
                    used += second.len_utf8();
                    value.push(second);
                } else {
                    out.push(Token::Text(value));
                    text = &text[used..];
                    continue 'next;
                }
            }
            panic!("a text does not end: {text}");
        }
        if let Some(rest) = text.strip_prefix("[char]0x") {
            out.push(Token::Char(u16::from_str_radix(&rest[..4], 16).expect("hexadecimal")));
            text = &rest[4..];
            continue;
        }
        for sign in ["@(", "@{", ")", "}", "(", "-join", ",", "=", "$"] {
            if let Some(rest) = text.strip_prefix(sign) {
                out.push(Token::Sign(sign));
                text = rest;
                continue 'next;
            }
        }
        let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        assert!(end > 0, "nothing of the data: {:?}", &text[..text.len().min(40)]);
        out.push(Token::Word(text[..end].to_owned()));
        text = &text[end..];
    }
    out
}

/// A rule of the data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) enabled: bool,
    pub(crate) action: String,
    pub(crate) ports: Vec<String>,
    pub(crate) addresses: Vec<String>,
}

impl Rule {
    /// Which sources the rule names.
    pub(crate) fn sources(&self) -> AddrSet {
        if self.addresses == ["Any"] {
            return AddrSet::all();
        }
        self.addresses.iter().map(|a| parse_network(a.as_bytes()).expect("an address of the data")).collect()
    }

    /// Its entries by family: IPv4, IPv6.
    pub(crate) fn entries(&self) -> (usize, usize) {
        let v6 = self.addresses.iter().filter(|a| a.contains(':')).count();
        (self.addresses.len() - v6, v6)
    }

    /// The entries as spans, which the test of overlaps needs.
    pub(crate) fn networks(&self) -> Vec<Network> {
        self.addresses.iter().map(|a| parse_network(a.as_bytes()).expect("an address of the data")).collect()
    }
}

/// The whole data of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Data {
    pub(crate) name: String,
    pub(crate) digest: String,
    pub(crate) interfaces: Vec<String>,
    pub(crate) rules: Vec<Rule>,
}

/// The data of a script.
pub(crate) fn data(script: &str) -> Data {
    let (_, rest) = script.split_once("\n# --- data ---").expect("the data has a start");
    let (data, _) = rest.split_once("\n# --- end of data ---").expect("the data has an end");
    let mut tokens = tokens(data).into_iter().peekable();
    let mut values: BTreeMap<String, Vec<Vec<Token>>> = BTreeMap::new();
    let mut current = None;
    // Each variable is a run of tokens up to the next `$`.
    while let Some(token) = tokens.next() {
        if token == Token::Sign("$") {
            let Some(Token::Word(name)) = tokens.next() else { panic!("a variable has a name") };
            assert_eq!(tokens.next(), Some(Token::Sign("=")));
            current = Some(name.clone());
            assert!(values.insert(name, vec![Vec::new()]).is_none(), "no variable is set twice");
        } else {
            let name = current.clone().expect("everything belongs to a variable");
            values.get_mut(&name).expect("it is there").last_mut().expect("it has a list").push(token);
        }
    }
    let mut of = |name: &str| values.remove(name).unwrap_or_else(|| panic!("{name} is set")).concat();
    let (name, digest) = (one(&of("PolicyName")), one(&of("PolicyDigest")));
    let interfaces = texts(&of("GuardedInterfaces"));
    let tables = of("DesiredRules");
    assert_eq!((tables.first(), tables.last()), (Some(&Token::Sign("@(")), Some(&Token::Sign(")"))));
    let rules = tables[1..tables.len() - 1].split_inclusive(|t| *t == Token::Sign("}")).map(rule).collect();
    assert!(values.is_empty(), "nothing else is set: {values:?}");
    Data { name, digest, interfaces, rules }
}

fn rule(tokens: &[Token]) -> Rule {
    assert_eq!((tokens.first(), tokens.last()), (Some(&Token::Sign("@{")), Some(&Token::Sign("}"))));
    let tokens = &tokens[1..tokens.len() - 1];
    let mut fields: BTreeMap<&str, Vec<Token>> = BTreeMap::new();
    let mut name = "";
    for (i, token) in tokens.iter().enumerate() {
        match token {
            Token::Word(word) => {
                assert_eq!(tokens.get(i + 1), Some(&Token::Sign("=")));
                name = word;
                assert!(fields.insert(word, Vec::new()).is_none(), "no field is set twice");
            }
            Token::Sign("=") => {}
            other => fields.get_mut(name).expect("a value belongs to a field").push(other.clone()),
        }
    }
    let mut of = |name: &str| fields.remove(name).unwrap_or_else(|| panic!("a rule has {name}"));
    let rule = Rule {
        name: one(&of("Name")),
        display_name: one(&of("DisplayName")),
        description: one(&of("Description")),
        enabled: match one(&of("Enabled")).as_str() {
            "True" => true,
            "False" => false,
            other => panic!("enabled as {other}"),
        },
        action: one(&of("Action")),
        ports: texts(&of("LocalPort")),
        addresses: texts(&of("RemoteAddress")),
    };
    assert!(fields.is_empty(), "a rule has nothing else: {fields:?}");
    rule
}

/// The one text of a value.
fn one(tokens: &[Token]) -> String {
    if let [Token::Text(text)] = tokens {
        return text.clone();
    }
    let [Token::Sign("("), Token::Sign("-join"), Token::Sign("@("), parts @ .., Token::Sign(")"), Token::Sign(")")] =
        tokens
    else {
        panic!("a text: {tokens:?}")
    };
    let mut units = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        match part {
            Token::Text(text) if i % 2 == 0 => units.extend(text.encode_utf16()),
            Token::Char(unit) if i % 2 == 0 => units.push(*unit),
            Token::Sign(",") if i % 2 == 1 => {}
            other => panic!("a part of a text: {other:?}"),
        }
    }
    String::from_utf16(&units).expect("UTF-16")
}

/// The texts of a list.
fn texts(tokens: &[Token]) -> Vec<String> {
    let [Token::Sign("@("), parts @ .., Token::Sign(")")] = tokens else { panic!("a list: {tokens:?}") };
    let (mut out, mut start, mut depth) = (Vec::new(), 0, 0);
    for (i, token) in parts.iter().enumerate() {
        match token {
            Token::Sign("(" | "@(") => depth += 1,
            Token::Sign(")") => depth -= 1,
            Token::Sign(",") if depth == 0 => {
                out.push(one(&parts[start..i]));
                start = i + 1;
            }
            _ => {}
        }
    }
    if !parts.is_empty() {
        out.push(one(&parts[start..]));
    }
    out
}
