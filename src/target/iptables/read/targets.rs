//! What a rule does: verdicts, chains, log lines, translations, and what is not modelled.

use crate::access::{Bucket, Log, LogClass, Refuse};
use crate::net::{AddrSet, Network, parse_address};
use crate::ruleset::{Change, Mark, Rewrite, Then};

use super::marks;
use super::matches::Tests;
use super::rule::{Context, Reader};

/// The target of a rule as it is written.
#[derive(Debug, Default)]
pub(super) struct Action {
    /// Its name, or a chain's; empty: the rule only counts.
    pub(super) name: String,
    /// Whether the chain is gone to rather than jumped to.
    pub(super) goto: bool,
    /// Whether a match was named after it, to which the options that follow belong.
    pub(super) closed: bool,
    /// Its options with their first values.
    options: Vec<(String, String)>,
}

impl Action {
    /// Whether options that follow are the target's. Verdicts have none.
    pub(super) fn takes_options(&self) -> bool {
        !self.goto && !self.closed && !matches!(self.name.as_str(), "" | "ACCEPT" | "DROP" | "RETURN" | "QUEUE")
    }

    /// Takes an option that stands behind the target.
    pub(super) fn option(&mut self, name: &str, reader: &mut Reader<'_>) {
        const FLAGS: [&str; 6] =
            ["--notrack", "--random", "--persistent", "--random-fully", "--save-mark", "--restore-mark"];
        let value = if FLAGS.contains(&name) { String::new() } else { reader.value(&mut false) };
        reader.skip_values();
        self.options.push((name.to_owned(), value));
    }

    /// The first value of an option; empty if it takes none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Targets that change something else about the packet, or only tell somebody, and let it go on.
const PASSING: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNSECMARK",
    "DSCP",
    "ECN",
    "HL",
    "IDLETIMER",
    "LED",
    "LOG",
    "NFLOG",
    "RATEEST",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TRACE",
    "TTL",
    "ULOG",
];

/// What a rule does, and the line of ours that it logs.
pub(super) fn then(action: &Action, tests: &Tests<'_>, context: &Context<'_>) -> (Then, Option<Log>) {
    let then = match action.name.as_str() {
        "" => Then::Continue,
        "ACCEPT" => Then::Accept,
        "DROP" => Then::Refuse(Refuse::Drop),
        "RETURN" => Then::Return,
        "REJECT" => match action.get("--reject-with") {
            Some("tcp-reset" | "tcp-rst") => Then::Refuse(Refuse::Reset),
            _ => Then::Refuse(Refuse::Icmp),
        },
        "LOG" => return (Then::Continue, our_line(action, tests)),
        name if PASSING.contains(&name) => Then::Continue,
        "MARK" => Then::Change(Change::Mark { mark: Mark::Packet, to: marks::set(action, Mark::Packet) }),
        "CONNMARK" => marks::connection(action),
        "HMARK" => Then::Change(Change::Mark { mark: Mark::Packet, to: None }),
        "NOTRACK" => Then::Change(Change::NoTrack),
        "CT" if action.get("--notrack").is_some() => Then::Change(Change::NoTrack),
        "CT" => Then::Continue,
        "DNAT" => destination(action),
        "REDIRECT" => Then::Rewrite(Box::new(Rewrite { to: None, port: single_port(action.get("--to-ports")) })),
        // They change the source, which is not asked about here.
        "SNAT" | "MASQUERADE" => Then::Accept,
        name => match (context.chain)(name) {
            Some(chain) if action.goto => Then::Goto(chain),
            Some(chain) => Then::Jump(chain),
            None => Then::Unknown(format!("what {} does is not modelled", printable(name))),
        },
    };
    (then, None)
}

/// A name for messages: nothing of a hostile listing reaches a terminal.
pub(super) fn printable(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(40).collect()
}

/// Lines of others are not followed: they decide nothing.
fn our_line(action: &Action, tests: &Tests<'_>) -> Option<Log> {
    let class = LogClass::of_prefix(action.get("--log-prefix")?);
    (class != LogClass::Foreign).then_some(Log { class, rate: tests.limit })
}

/// The rate that a line of ours has without one being written.
pub(super) fn limit_bucket(rate: Option<crate::access::Rate>, burst: Option<u32>) -> Option<Bucket> {
    Some(Bucket { rate: rate?, burst: burst.unwrap_or(super::super::rates::DEFAULT_BURST) })
}

fn single_port(text: Option<&str>) -> Option<u16> {
    text.and_then(|t| t.parse().ok())
}

/// `--to-destination 192.0.2.1:993`, `[2001:db8::1]:993`, `192.0.2.1-192.0.2.9`, `:993`.
fn destination(action: &Action) -> Then {
    let unknown = || Then::Unknown("where the packet is translated to is not modelled".to_owned());
    let Some(text) = action.get("--to-destination") else { return unknown() };
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => (address, port.strip_prefix(':')),
            None => return unknown(),
        },
        None if text.matches(':').count() == 1 => match text.split_once(':') {
            Some((address, port)) => (address, Some(port)),
            None => return unknown(),
        },
        None => (text, None),
    };
    let port = match port {
        None => None,
        Some(port) => match port.parse() {
            Ok(port) => Some(port),
            Err(_) => return unknown(),
        },
    };
    if address.is_empty() {
        // Only the port changes, so the packet stays where it was going.
        return match port {
            Some(port) => Then::Rewrite(Box::new(Rewrite { to: None, port: Some(port) })),
            None => unknown(),
        };
    }
    let mut ends = address.split('-').map(|a| parse_address(a.as_bytes()));
    let set: AddrSet = match (ends.next(), ends.next()) {
        (Some(Ok(one)), None) => one.into(),
        (Some(Ok(Network::V4(a))), Some(Ok(Network::V4(b)))) => {
            Network::V4(crate::net::Span::new(a.first, b.first)).into()
        }
        (Some(Ok(Network::V6(a))), Some(Ok(Network::V6(b)))) => {
            Network::V6(crate::net::Span::new(a.first, b.first)).into()
        }
        _ => return unknown(),
    };
    let loopback = ["127.0.0.0/8", "::1"].iter().filter_map(|t| t.parse::<AddrSet>().ok());
    let here = loopback.fold(AddrSet::new(), |a, b| a.union(&b)).contains_all(&set);
    Then::Rewrite(Box::new(Rewrite { to: (!here).then_some(set), port }))
}
