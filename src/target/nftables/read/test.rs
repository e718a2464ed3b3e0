//! A comparison of a listing as a test of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::access::Pattern;
use crate::net::{Addr as _, AddrSet, Family, Prefix, Span};
use crate::ruleset::{CtState, Mark, Match, Ports};

use super::document::{Element, Op, Operand};
use super::field::Field;
use super::values::{Sets, Values, number, port_set};

/// The most different combinations of a concatenation that are told apart.
const MOST_GROUPS: usize = 2048;

/// The test that a key stands in this relation to the values.
pub(super) fn test(sets: &mut Sets<'_>, key: &[Operand], op: Op, values: &Values<'_>) -> Match {
    if let [one] = key {
        return single(sets, one, op, values);
    }
    let found = concatenation(sets, key, values);
    let compared = match op {
        Op::Is | Op::Equal => found,
        Op::NotEqual => found.negate(),
        _ => Match::Unknown("it depends on a concatenation".to_owned()),
    };
    let mut all = implied(key);
    if all.is_empty() {
        return compared;
    }
    all.push(compared);
    Match::All(all)
}

/// What a key says of a packet by itself, whatever it is compared with: nft tests the protocols of its parts first.
pub(super) fn implied(key: &[Operand]) -> Vec<Match> {
    if key.iter().any(|k| k.field == Field::OtherProtocol) {
        return vec![Match::Never];
    }
    let families: BTreeSet<Family> = key.iter().filter_map(|k| k.field.family()).collect();
    families.into_iter().map(Match::Family).collect()
}

/// A test whose reason for not being known is the error.
fn or_unknown(result: Result<Match, String>) -> Match {
    result.unwrap_or_else(Match::Unknown)
}

fn single(sets: &mut Sets<'_>, operand: &Operand, op: Op, values: &Values<'_>) -> Match {
    let Operand { field, mask } = operand;
    let family = field.family();
    let positive = or_unknown(match field {
        Field::Source(f) => sets.addresses(values, *f, mask.as_deref()).map(Match::Source),
        Field::Destination(f) => sets.addresses(values, *f, mask.as_deref()).map(Match::Destination),
        Field::TcpFlags => return or_unknown(flags(mask.as_deref(), op, values)),
        Field::Mark(which) => mark(*which, mask.as_deref(), values),
        Field::OtherProtocol => return Match::Never,
        Field::Other(words, _) => Err(format!("it depends on `{words}`")),
        _ if mask.is_some() => Err("it depends on a masked value".to_owned()),
        Field::DestinationPort => ports(op, values).map(Match::Port),
        Field::SourcePort => ports(op, values).map(Match::SourcePort),
        Field::OriginalDestinationPort => ports(op, values).map(Match::OriginalPort),
        Field::Protocol(_) => any_text(values, |t| matches!(t, "tcp" | "6" | "0x06" | "*")),
        Field::Network => network(values),
        Field::State => state(values),
        Field::Direction => words(values, |t| match t {
            "original" | "0" => Some(Match::DirectionOriginal),
            "reply" | "1" => Some(Match::DirectionOriginal.negate()),
            _ => None,
        }),
        // An unequal status is one that is not exactly this, which others may be too.
        Field::Status if op == Op::NotEqual => Err("it depends on the connection's status".to_owned()),
        Field::Status => words(values, |t| (t == "dnat").then_some(Match::Translated)),
        Field::Interface => interface(values),
        Field::DestinationKind => words(values, |t| match t {
            "local" => Some(Match::DestinationLocal),
            "unicast" => Some(Match::DestinationLocal.negate()),
            // No TCP connection is opened to these.
            "broadcast" | "anycast" | "multicast" | "blackhole" | "unreachable" | "prohibit" => Some(Match::Never),
            _ => None,
        }),
        Field::PacketKind => any_text(values, |t| matches!(t, "host" | "unicast" | "0")),
    });
    let compared = matches!(field, Field::DestinationPort | Field::SourcePort | Field::OriginalDestinationPort);
    let out = match op {
        Op::Is | Op::Equal => positive,
        Op::NotEqual => positive.negate(),
        // The order is already in the ports.
        _ if compared => positive,
        _ => Match::Unknown("it depends on a comparison that is not modelled".to_owned()),
    };
    // What has no connection has nothing of it that could be equal or not.
    let connected = matches!(
        field,
        Field::Mark(Mark::Connection) | Field::OriginalDestinationPort | Field::Direction | Field::Status
    );
    let out = if connected { Match::All(vec![Match::Connection, out]) } else { out };
    match (family, &out) {
        // A set of one family's sources is false for the other's.
        (None, _) | (Some(_), Match::Source(_) | Match::Destination(_)) => out,
        (Some(family), _) => Match::All(vec![Match::Family(family), out]),
    }
}

/// A test for each value, any of which may hold.
fn words(values: &Values<'_>, one: impl Fn(&str) -> Option<Match>) -> Result<Match, String> {
    let mut out = Vec::new();
    for text in values.texts()?.into_iter().flat_map(|t| t.split([',', '|'])) {
        out.push(one(text).ok_or_else(|| format!("it depends on `{text}`"))?);
    }
    Ok(if out.len() == 1 { out.swap_remove(0) } else { Match::Any(out) })
}

/// Always if any of the values is wanted, else never.
fn any_text(values: &Values<'_>, wanted: impl Fn(&str) -> bool) -> Result<Match, String> {
    Ok(if values.texts()?.into_iter().any(wanted) { Match::Always } else { Match::Never })
}

fn ports(op: Op, values: &Values<'_>) -> Result<Ports, String> {
    let ports = port_set(values)?;
    let (Some((first, _)), Some((_, last))) = (ports.0.first().copied(), ports.0.last().copied()) else {
        return Ok(ports);
    };
    let all = |range: Option<(u16, u16)>| Ports(range.into_iter().collect());
    Ok(match op {
        Op::Less => all(first.checked_sub(1).map(|n| (0, n))),
        Op::LessOrEqual => all(Some((0, first))),
        Op::Greater => all(last.checked_add(1).map(|n| (n, u16::MAX))),
        Op::GreaterOrEqual => all(Some((last, u16::MAX))),
        Op::Lacks => return Err("it depends on bits of a port".to_owned()),
        Op::Is | Op::Equal | Op::NotEqual => ports,
    })
}

fn network(values: &Values<'_>) -> Result<Match, String> {
    words(values, |t| {
        Some(match t {
            "ipv4" | "ip" | "2" | "0x02" | "0x0800" => Match::Family(Family::V4),
            "ipv6" | "ip6" | "10" | "0x0a" | "0x86dd" => Match::Family(Family::V6),
            "arp" | "vlan" | "8021q" | "8021ad" | "bridge" | "netdev" => Match::Never,
            _ => return None,
        })
    })
}

fn state(values: &Values<'_>) -> Result<Match, String> {
    let mut states = BTreeSet::new();
    for text in values.texts()?.into_iter().flat_map(|t| t.split([',', '|'])) {
        states.insert(match text {
            "new" => CtState::New,
            "established" => CtState::Established,
            "related" => CtState::Related,
            "invalid" => CtState::Invalid,
            "untracked" => CtState::Untracked,
            _ => return Err(format!("it depends on the connection state {text}")),
        });
    }
    Ok(Match::State(states))
}

/// Values and ranges of a mark.
fn mark(mark: Mark, mask: Option<&str>, values: &Values<'_>) -> Result<Match, String> {
    let bits = |text: &str| number(text).and_then(|n| u32::try_from(n).ok());
    let mask = match mask {
        None => u32::MAX,
        Some(text) => bits(text).ok_or_else(|| format!("it depends on the mask {text}"))?,
    };
    words(values, |t| {
        if let Some((first, last)) = t.split_once('-') {
            // A range is a few values under masks, as a range of addresses is a few networks.
            let (first, last) = (bits(first)?, bits(last)?);
            let under = |p: Prefix<u32>| Match::Mark { mark, mask: u32::mask(p.len), value: p.addr };
            let whole = first <= last && mask == u32::MAX;
            return whole.then(|| Match::Any(Span::new(first, last).prefixes().map(under).collect()));
        }
        if let Some((value, len)) = t.split_once('/') {
            let under = u32::mask(len.parse().ok()?);
            return (mask == u32::MAX).then_some(Match::Mark { mark, mask: under, value: bits(value)? });
        }
        if t == "*" {
            return Some(Match::Always);
        }
        Some(Match::Mark { mark, mask, value: bits(t)? })
    })
}

fn interface(values: &Values<'_>) -> Result<Match, String> {
    let names = values.texts()?;
    if let Some(index) = names.iter().find(|n| n.bytes().all(|b| b.is_ascii_digit())) {
        return Err(format!("it depends on the interface of number {index}"));
    }
    Ok(Match::Interface(names.into_iter().map(Pattern::parse).collect()))
}

/// The TCP flags of a value (RFC 9293 section 3.1, RFC 3168 section 6.1).
fn bits(text: &str) -> Result<u8, String> {
    text.split([',', '|']).try_fold(0, |all, name| {
        let bit = match name {
            "fin" => 1,
            "syn" => 2,
            "rst" => 4,
            "psh" => 8,
            "ack" => 16,
            "urg" => 32,
            "ecn" => 64,
            "cwr" => 128,
            other => number(other)
                .and_then(|n| u8::try_from(n).ok())
                .ok_or_else(|| format!("it depends on the TCP flag {other}"))?,
        };
        Ok(all | bit)
    })
}

fn flags(mask: Option<&str>, op: Op, values: &Values<'_>) -> Result<Match, String> {
    let any_of = |mask| Match::Flags { mask, value: 0 }.negate();
    Ok(match (mask, values, op) {
        (None, Values::Under(value, mask), Op::Is | Op::Equal) => {
            Match::Flags { mask: bits(mask)?, value: bits(value)? }
        }
        (None, Values::Under(value, mask), Op::NotEqual) => {
            Match::Flags { mask: bits(mask)?, value: bits(value)? }.negate()
        }
        // Without an operator a list of flags means any of them.
        (None, Values::One(value), Op::Is) => any_of(bits(value)?),
        (None, Values::One(value), Op::Lacks) => any_of(bits(value)?).negate(),
        (_, _, Op::Is | Op::Equal | Op::NotEqual) => {
            let mask = mask.map_or(Ok(u8::MAX), bits)?;
            let mut out = Vec::new();
            for text in values.texts()? {
                out.push(Match::Flags { mask, value: bits(text)? });
            }
            let out = if out.len() == 1 { out.swap_remove(0) } else { Match::Any(out) };
            if op == Op::NotEqual { out.negate() } else { out }
        }
        _ => return Err("it depends on TCP flags in a way that is not modelled".to_owned()),
    })
}

/// The test that all parts of a key are those of one element.
fn concatenation<'v>(sets: &mut Sets<'_>, key: &[Operand], values: &Values<'v>) -> Match {
    let elements = match values {
        Values::List(elements) => elements,
        Values::Unknown(because) => return Match::Unknown(because.clone()),
        _ => return Match::Unknown("it depends on a concatenation".to_owned()),
    };
    let source = key.iter().position(|k| matches!(k.field, Field::Source(_)));
    // Elements that differ in nothing but the source are one set of sources.
    let mut groups: BTreeMap<Vec<&'v str>, Vec<&'v Element>> = BTreeMap::new();
    for element in elements {
        if element.key[..] == ["*"] {
            return Match::Always;
        }
        if element.key.len() != key.len() {
            return Match::Unknown("an element with other parts than its set".to_owned());
        }
        let others = element.key.iter().enumerate().filter(|(i, _)| Some(*i) != source).map(|(_, k)| k.as_str());
        groups.entry(others.collect()).or_default().push(element);
        if groups.len() > MOST_GROUPS {
            return Match::Unknown("a set with too many combinations".to_owned());
        }
    }
    let mut out = Vec::new();
    for (others, elements) in groups {
        let mut parts = Vec::new();
        let operands = key.iter().enumerate().filter(|(i, _)| Some(*i) != source).map(|(_, k)| k);
        for (operand, text) in operands.zip(others) {
            parts.push(single(sets, operand, Op::Is, &Values::One(text)));
        }
        if let Some(at) = source {
            parts.push(sources(sets, &key[at], &elements, at));
        }
        out.push(Match::All(parts));
    }
    Match::Any(out)
}

/// The sources of some elements, which stand at this place of each.
fn sources(sets: &mut Sets<'_>, operand: &Operand, elements: &[&Element], at: usize) -> Match {
    let mut all = (Vec::new(), Vec::new());
    for element in elements {
        let Some(text) = element.key.get(at) else { continue };
        match single(sets, operand, Op::Is, &Values::One(text)) {
            Match::Source(set) => {
                all.0.extend_from_slice(set.v4.spans());
                all.1.extend_from_slice(set.v6.spans());
            }
            other => return other,
        }
    }
    let set = AddrSet { v4: all.0.into_iter().collect(), v6: all.1.into_iter().collect() };
    Match::Source(Arc::new(set))
}
