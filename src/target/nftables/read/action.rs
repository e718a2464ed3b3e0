//! The statements that do more than test, each from behind its word: log lines, refusals, elements put into sets, translations.

use crate::access::Refuse;
use crate::net::Family;

use super::document::{CtCount, Inner, Op, Operand, Right, Statement, Translation};
use super::field::Field;
use super::lexer::Token;
use super::operand::{Cursor, begins_test};
use super::rate;

pub(super) fn log(cursor: &mut Cursor<'_, '_>) -> Statement {
    let mut prefix = String::new();
    loop {
        if cursor.takes("prefix") {
            cursor.word().unwrap_or_default().clone_into(&mut prefix);
        } else if ["level", "group", "snaplen", "queue-threshold"].iter().any(|w| cursor.takes(w)) {
            cursor.word();
        } else if cursor.takes("flags") {
            // `all`, `skuid`, or `tcp sequence,options`, `ip options`.
            let first = cursor.word();
            if matches!(first, Some("tcp" | "ip")) {
                cursor.word();
            }
            while cursor.takes_sign(",") {
                cursor.word();
            }
        } else {
            return Statement::Log { prefix };
        }
    }
}

/// How it is refused, and the family that the answer is of: in tables of both, nft does not print a test of the family before
/// `reject with icmp`.
pub(super) fn reject(cursor: &mut Cursor<'_, '_>) -> (Refuse, Option<Family>) {
    let (mut how, mut of) = (Refuse::Icmp, None);
    if cursor.takes("with") {
        match cursor.word() {
            Some("tcp") => how = Refuse::Reset,
            Some("icmp") => of = Some(Family::V4),
            Some("icmpv6") => of = Some(Family::V6),
            _ => {}
        }
        cursor.takes("type");
        cursor.word();
    }
    (how, of)
}

/// The test that a packet is of a family.
pub(super) fn of_family(family: Family) -> Statement {
    let key = vec![Operand { field: Field::Network, mask: None }];
    let name = if family == Family::V4 { "ipv4" } else { "ipv6" };
    Statement::Match { key, op: Op::Is, right: Right::Value(name.to_owned()) }
}

pub(super) fn put(cursor: &mut Cursor<'_, '_>, update: bool) -> Statement {
    let set = cursor.word().unwrap_or_default().trim_start_matches('@').to_owned();
    if !cursor.takes_sign("{") {
        cursor.skip_to_action();
        return Statement::UnknownTest("it depends on a set that packets change".to_owned());
    }
    let mut inside = Cursor::new(cursor.braces());
    let Some(key) = inside.key() else {
        return Statement::UnknownTest("it depends on a set that packets change".to_owned());
    };
    let mut inner = Vec::new();
    while let Some(token) = inside.peek() {
        match token {
            Token::Word("limit") => {
                inside.next();
                inner.push(Inner::Rate(rate::limit(&mut inside)));
            }
            Token::Word("ct") => {
                inside.next();
                let counts = inside.takes("count");
                let over = inside.takes("over");
                inner.push(match inside.number() {
                    Some(count) if counts => Inner::Count(CtCount { count, over }),
                    _ => Inner::Other,
                });
            }
            Token::Word("counter") => {
                inside.next();
                while inside.takes("packets") || inside.takes("bytes") {
                    inside.word();
                }
                inner.push(Inner::Nothing);
            }
            Token::Word("comment") => {
                inside.next();
                inside.word();
                inner.push(Inner::Nothing);
            }
            _ => {
                inside.next();
                inner.push(Inner::Other);
            }
        }
    }
    Statement::Put { update, set, key, inner }
}

pub(super) fn translate(cursor: &mut Cursor<'_, '_>, address: bool) -> Statement {
    let unknown = || Statement::UnknownAction("a translation that is not modelled".to_owned());
    let _ = cursor.takes("ip") || cursor.takes("ip6");
    let _ = cursor.takes("prefix") || cursor.takes("addr");
    if !cursor.takes("to") {
        return if address { unknown() } else { Statement::Translate(Translation { to: None, port: None }) };
    }
    if let Some(Token::Word(word)) = cursor.peek()
        && begins_test(word)
    {
        let key = cursor.key();
        let mapped = cursor.takes("map");
        let right = if mapped { cursor.right() } else { None };
        return match (key, right) {
            (Some(key), Some(right)) if address => Statement::TranslateMap { key, right },
            _ => {
                cursor.skip_to_action();
                unknown()
            }
        };
    }
    let Some(word) = cursor.word() else { return unknown() };
    let _ = ["random", "fully-random", "persistent"].iter().any(|w| cursor.takes(w));
    match destination(word, address) {
        Some(translation) => Statement::Translate(translation),
        None => unknown(),
    }
}

/// A new destination, such as `10.0.0.1:80`, `[2001:db8::1]:80`, `:80`.
fn destination(text: &str, address: bool) -> Option<Translation> {
    if !address {
        return Some(Translation { to: None, port: Some(text.trim_start_matches(':').to_owned()) });
    }
    let (to, port) = if let Some(rest) = text.strip_prefix('[') {
        let (to, rest) = rest.split_once(']')?;
        (to, rest.strip_prefix(':'))
    } else if text.matches(':').count() == 1 {
        let (to, port) = text.split_once(':')?;
        (to, Some(port))
    } else {
        (text, None)
    };
    Some(Translation { to: (!to.is_empty()).then(|| to.to_owned()), port: port.map(str::to_owned) })
}
