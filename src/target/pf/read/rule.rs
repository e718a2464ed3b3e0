//! The tokens of one rule to a [`Rule`]. Words that are not modelled make the rule unknown, each with its reason.

mod cursor;
mod options;

use crate::access::Refuse;
use crate::net::{AddrSet, Family};
use crate::ruleset::Ports;
use crate::target::ReadError;

use super::lexer::{Kind, Token};
use super::port;
use super::syntax::{Action, Direction, End, Host, HostKind, On, Rule, State, Translation};
use super::table::network;
use cursor::Parser;

/// Makes an error at a token.
type Fail<'f> = &'f dyn Fn(&Token<'_>, String) -> ReadError;

/// Words that start a part of a rule: what follows a word that is not known is skipped up to one of these.
const WORDS: &[&str] = &[
    "in",
    "out",
    "log",
    "quick",
    "on",
    "inet",
    "inet6",
    "proto",
    "all",
    "from",
    "to",
    "user",
    "group",
    "flags",
    "icmp-type",
    "icmp6-type",
    "tos",
    "keep",
    "modulate",
    "synproxy",
    "no",
    "fragment",
    "allow-opts",
    "once",
    "label",
    "ridentifier",
    "tag",
    "tagged",
    "queue",
    "dnpipe",
    "dnqueue",
    "probability",
    "rtable",
    "received-on",
    "set",
    "prio",
    "scrub",
    "nat-to",
    "rdr-to",
    "af-to",
    "divert-to",
    "divert-reply",
    "divert-packet",
    "route-to",
    "reply-to",
    "dup-to",
    "max-pkt-rate",
    "port",
    "os",
];

/// Reads a rule whose first word is `word`; `complete` says whether its line has an end.
pub(super) fn parse(
    word: &str,
    tokens: &[Token<'_>],
    body: bool,
    complete: bool,
    fail: Fail<'_>,
) -> Result<Option<Rule>, ReadError> {
    let mut p = Parser { tokens, at: 1, complete, fail, rule: empty(Action::Pass) };
    match word {
        "pass" => p.rule.action = Action::Pass,
        "match" => p.rule.action = Action::Match,
        "block" => p.block()?,
        "anchor" => {
            let name = p.name();
            if name.is_none() && !body {
                return Err(p.cut("the name of an anchor"));
            }
            p.rule.action = Action::Anchor(name);
        }
        "rdr-anchor" => {
            let name = p.name().ok_or_else(|| p.cut("the name of an anchor"))?;
            p.rule.action = Action::Translate(Translation::Anchor(name));
        }
        "no" => match p.word() {
            Some("rdr") => p.rule.action = Action::Translate(Translation::None),
            // Other `no` rules are about packets on their way out.
            Some(_) => return Ok(None),
            None => return Err(p.cut("what is not to be translated")),
        },
        "rdr" => {
            let pass = p.take("pass");
            p.rule.action = Action::Translate(Translation::To { to: None, port: None, pass });
        }
        "binat" => {
            // Towards the host it changes the destination; which packets it meets depends on the far side of the arrow.
            p.rule.action =
                Action::Translate(Translation::Unknown("a binat rule may send the packet elsewhere".to_owned()));
            p.rule.unknown.push("it depends on a binat rule".to_owned());
            return Ok(Some(p.rule));
        }
        "antispoof" => {
            p.rule.action = Action::Block(None);
            p.rule.quick = tokens.iter().any(|t| t.kind == Kind::Word("quick"));
            p.rule.unknown.push("it depends on the addresses of an interface".to_owned());
            return Ok(Some(p.rule));
        }
        _ => {
            p.rule.quick = true;
            p.rule.effect = Some("an included file is not in the listing".to_owned());
            return Ok(Some(p.rule));
        }
    }
    p.parts()?;
    Ok(Some(p.rule))
}

/// A rule that matches everything.
pub(super) fn empty(action: Action) -> Rule {
    Rule {
        line: 0,
        text: String::new(),
        number: None,
        action,
        direction: None,
        log: false,
        quick: false,
        on: Vec::new(),
        family: None,
        never: false,
        from: End::default(),
        to: End::default(),
        flags: None,
        state: None,
        rate: None,
        concurrent: None,
        label: None,
        unknown: Vec::new(),
        effect: None,
    }
}

impl Parser<'_, '_, '_> {
    fn block(&mut self) -> Result<(), ReadError> {
        let how = match self.peek() {
            Some(Kind::Word("drop")) => Some(Refuse::Drop),
            Some(Kind::Word("return" | "return-rst")) => Some(Refuse::Reset),
            Some(Kind::Word("return-icmp" | "return-icmp6")) => Some(Refuse::Icmp),
            _ => None,
        };
        self.at += usize::from(how.is_some());
        // `(ttl 5)`, `(port-unr, port-unr)`.
        self.skip_parentheses()?;
        self.rule.action = Action::Block(how);
        Ok(())
    }

    /// Everything behind the action, in any order.
    fn parts(&mut self) -> Result<(), ReadError> {
        while let Some(kind) = self.next() {
            let word = match kind {
                Kind::Word(word) => word,
                Kind::Mark("!") if matches!(self.peek(), Some(Kind::Word("tagged" | "received-on"))) => continue,
                _ => {
                    self.at -= 1;
                    return Err(self.cut("a part of a rule"));
                }
            };
            match word {
                "in" => self.rule.direction = Some(Direction::In),
                "out" => self.rule.direction = Some(Direction::Out),
                "quick" => self.rule.quick = true,
                "inet" => self.rule.family = Some(Family::V4),
                "inet6" => self.rule.family = Some(Family::V6),
                "all" | "allow-opts" | "static-port" | "sticky-address" | "divert-reply" => {}
                "log" => {
                    self.rule.log = true;
                    self.skip_parentheses()?;
                }
                "on" => self.interfaces()?,
                "proto" => self.protocols()?,
                "from" => self.rule.from = self.end()?,
                "to" => self.rule.to = self.end()?,
                "flags" => self.flags()?,
                "keep" | "modulate" | "synproxy" => {
                    if !self.take("state") {
                        return Err(self.cut("`state`"));
                    }
                    self.rule.state = Some(State::Keep);
                    self.state_options()?;
                }
                "no" => {
                    if !self.take("state") {
                        return Err(self.cut("`state`"));
                    }
                    self.rule.state = Some(State::None);
                }
                // A connection of TCP has neither.
                "fragment" => self.rule.never = true,
                "icmp-type" | "icmp6-type" => {
                    self.rule.never = true;
                    self.skip_arguments();
                }
                "label" => {
                    let label = self.word().ok_or_else(|| self.cut("a label"))?;
                    self.rule.label.get_or_insert_with(|| label.to_owned());
                }
                // These change how a packet travels or is counted, not whether it passes.
                "tag" | "ridentifier" | "queue" | "dnpipe" | "dnqueue" | "prio" | "set" | "scrub" | "nat-to"
                | "reply-to" | "dup-to" | "round-robin" | "random" | "bitmask" | "source-hash" | "least-states"
                | "min-ttl" | "max-mss" => {
                    self.skip_arguments();
                }
                "->" => self.target()?,
                "rdr-to" | "af-to" | "divert-to" | "divert-packet" | "route-to" => {
                    self.rule.effect.get_or_insert_with(|| format!("`{word}` sends the packet elsewhere"));
                    self.skip_target();
                }
                "user" | "group" | "os" | "tos" | "tagged" | "received-on" | "probability" | "rtable" | "once"
                | "max-pkt-rate" => {
                    self.rule.unknown.push(format!("`{word}` is not modelled"));
                    self.skip_arguments();
                }
                other => {
                    if !self.complete && self.at >= self.tokens.len() {
                        self.at -= 1;
                        return Err(self.cut("the end of the line"));
                    }
                    self.rule.unknown.push(format!("`{}` is not known", other.escape_default()));
                    self.skip_arguments();
                }
            }
        }
        Ok(())
    }

    /// The arguments of a word that sends packets elsewhere: an address and perhaps a port.
    fn skip_target(&mut self) {
        self.skip_arguments();
        if self.take("port") {
            self.skip_arguments();
        }
    }

    fn interfaces(&mut self) -> Result<(), ReadError> {
        if self.take("any") {
            // Any but loopback.
            self.rule.on.push(On { negated: true, name: "lo0".to_owned() });
            return Ok(());
        }
        if self.take("rdomain") {
            self.word();
            self.rule.unknown.push("`rdomain` is not modelled".to_owned());
            return Ok(());
        }
        self.rule.on = self.list("an interface", |p| {
            let negated = p.take_mark("!");
            Ok(p.word().map(|name| On { negated, name: name.to_owned() }))
        })?;
        Ok(())
    }

    fn protocols(&mut self) -> Result<(), ReadError> {
        let names = self.list("a protocol", |p| {
            p.take_mark("=");
            Ok(p.word())
        })?;
        if !names.iter().any(|n| matches!(*n, "tcp" | "6")) {
            self.rule.never = true;
        }
        Ok(())
    }

    fn flags(&mut self) -> Result<(), ReadError> {
        let text = self.word().ok_or_else(|| self.cut("TCP flags"))?;
        if text == "any" {
            self.rule.flags = Some((0, 0));
            return Ok(());
        }
        let (value, mask) = text.split_once('/').unwrap_or((text, "FSRPAUEW"));
        let (Some(mask), Some(value)) = (bits(mask), bits(value)) else {
            self.at -= 1;
            return Err(self.cut("TCP flags"));
        };
        self.rule.flags = Some((mask, value));
        Ok(())
    }

    /// One end: `from` or `to`, with ports.
    fn end(&mut self) -> Result<End, ReadError> {
        let mut end = End::default();
        if !matches!(self.peek(), Some(Kind::Word("port" | "os"))) {
            end.hosts = self.list("an address", Self::host)?;
            if end.hosts.iter().any(|h| !h.negated && h.what == HostKind::Any) {
                end.hosts.clear();
            }
        }
        if self.take("port") {
            end.ports = self.ports()?;
        }
        Ok(end)
    }

    /// A set of ports; none if a name is not known.
    fn ports(&mut self) -> Result<Option<Ports>, ReadError> {
        let mut unknown = None;
        let items = self.list("a port", |p| {
            let operator = match p.peek() {
                Some(Kind::Mark(m @ ("=" | "!=" | "<" | "<=" | ">" | ">="))) => {
                    p.at += 1;
                    m
                }
                _ => "=",
            };
            let Some(text) = p.word() else { return Ok(None) };
            let between = match p.peek() {
                Some(Kind::Mark(m @ ("><" | "<>"))) => {
                    p.at += 1;
                    let second = p.word().ok_or_else(|| p.cut("a port"))?;
                    port::between(text, m, second)
                }
                _ => port::compared(operator, text),
            };
            if between.is_none() {
                unknown.get_or_insert_with(|| format!("the port `{}` is not known", text.escape_default()));
            }
            Ok(Some(between.unwrap_or_default()))
        })?;
        if let Some(because) = unknown {
            self.rule.unknown.push(because);
            return Ok(None);
        }
        Ok(Some(Ports(items.into_iter().flat_map(|p| p.0).collect())))
    }

    fn host(&mut self) -> Result<Option<Host>, ReadError> {
        let negated = self.take_mark("!");
        let what = match self.next() {
            Some(Kind::Word("any")) => HostKind::Any,
            Some(Kind::Word("self")) => HostKind::This,
            Some(Kind::Word(word @ ("no-route" | "urpf-failed"))) => HostKind::Unknown(format!("`{word}`")),
            Some(Kind::Word("route")) => {
                self.word();
                HostKind::Unknown("`route`".to_owned())
            }
            Some(Kind::Table(name, count)) => HostKind::Table(name.to_owned(), count.map(ToOwned::to_owned)),
            Some(Kind::Mark("(")) => {
                let name = self.word().ok_or_else(|| self.cut("an interface"))?.to_owned();
                while !self.take_mark(")") {
                    if self.next().is_none() {
                        return Err(self.cut("a closing parenthesis"));
                    }
                }
                // `(em0)/24`: a network around the address.
                let whole = matches!(self.peek(), Some(Kind::Word(w)) if w.starts_with('/'));
                self.at += usize::from(whole);
                let plain = name == "self" && !whole;
                if plain {
                    HostKind::This
                } else {
                    HostKind::Unknown(format!("the addresses of `{}`", name.escape_default()))
                }
            }
            Some(Kind::Word(text) | Kind::Quoted(text)) => return Ok(Some(Host { negated, what: self.literal(text) })),
            _ => {
                self.at = self.at.min(self.tokens.len());
                return Ok(None);
            }
        };
        Ok(Some(Host { negated, what }))
    }

    fn literal(&mut self, text: &str) -> HostKind {
        let unknown = || HostKind::Unknown(format!("`{}`, which only the host can resolve", text.escape_default()));
        let Ok(first) = network(text) else { return unknown() };
        // `10.0.0.1 - 10.0.0.5`, and a mask that is no prefix: `10.0.0.1 & 255.0.255.0`.
        if self.take("-") {
            let range = self.word().map(|last| format!("{text}-{last}"));
            return range.and_then(|r| r.parse::<AddrSet>().ok()).map_or_else(unknown, HostKind::Net);
        }
        if self.take_mark("&") {
            self.word();
            return unknown();
        }
        HostKind::Net(first.into())
    }

    /// `-> 10.0.0.5 port 993` of an rdr rule.
    fn target(&mut self) -> Result<(), ReadError> {
        let Action::Translate(Translation::To { pass, .. }) = self.rule.action else {
            self.skip_target();
            return Ok(());
        };
        let hosts = self.list("an address", Self::host)?;
        let mut set = AddrSet::new();
        let mut open = None;
        for host in &hosts {
            match &host.what {
                HostKind::Net(nets) => set = set.union(nets),
                _ => open = Some("the address that the packet is sent to is not in the listing".to_owned()),
            }
        }
        let mut port = None;
        if self.take("port") {
            let text = self.word().ok_or_else(|| self.cut("a port"))?;
            port = port::number(text);
            if port.is_none() {
                open = Some("the port that the packet is sent to is not known".to_owned());
            }
        }
        let loopback: AddrSet = [crate::net::Network::V4(crate::net::Span { first: 0x7f00_0000, last: 0x7fff_ffff })]
            .into_iter()
            .chain([crate::net::Network::V6(crate::net::Span { first: 1, last: 1 })])
            .collect();
        let to = if loopback.contains_all(&set) { None } else { Some(set) };
        self.rule.action = Action::Translate(match open {
            Some(because) => Translation::Unknown(because),
            None => Translation::To { to, port, pass },
        });
        Ok(())
    }
}

/// TCP flags by their letters (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128).
fn bits(letters: &str) -> Option<u8> {
    letters.chars().try_fold(0, |bits, c| "FSRPAUEW".find(c).map(|n| bits | 1 << n))
}
