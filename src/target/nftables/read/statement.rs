//! The statements of a text rule.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::net::{Addr as _, Family};
use crate::ruleset::Mark;

use super::action::{log, of_family, put, reject, translate};
use super::document::{CtCount, Document, Op, Operand, Right, Rule, Statement, Verdict};
use super::field::Field;
use super::lexer::{Lexer, Token};
use super::mixture::mixture;
use super::operand::{Cursor, begins_action, begins_test};
use super::rate;

pub(super) use super::operand::element;

/// The statements of a rule, in order.
pub(super) fn statements(tokens: &[Token<'_>]) -> Vec<Statement> {
    let mut cursor = Cursor::new(tokens);
    let mut out = Vec::new();
    while cursor.peek().is_some() {
        statement(&mut cursor, &mut out);
    }
    out
}

/// The statements of a rule that is a piece of a listing.
pub(super) fn of_rule(document: &Document<'_>, rule: &Rule) -> Vec<Statement> {
    if !rule.whole {
        return vec![Statement::UnknownAction("a rule that nft does not print as a whole".to_owned())];
    }
    statements(&tokens(document.written(rule)))
}

/// The tokens of a rule that stands alone.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer::new(text);
    let mut out = Vec::new();
    loop {
        match lexer.next() {
            Token::End => return out,
            Token::Newline | Token::Comment(_) => {}
            token => out.push(token),
        }
    }
}

/// Adds the names of the sets that a rule puts elements into.
pub(super) fn fed(tokens: &[Token<'_>], names: &mut BTreeSet<String>) {
    for pair in tokens.windows(2) {
        if let [Token::Word("add" | "update"), Token::Word(set)] = pair
            && let Some(name) = set.strip_prefix('@')
            && !names.contains(name)
        {
            names.insert(name.to_owned());
        }
    }
}

fn statement(cursor: &mut Cursor<'_, '_>, out: &mut Vec<Statement>) {
    if let Some(verdict) = cursor.verdict() {
        let jumps_nowhere = matches!(verdict, Verdict::Other(_));
        out.push(Statement::Verdict(verdict));
        if jumps_nowhere {
            while cursor.next().is_some() {}
        }
        return;
    }
    let word = match cursor.peek() {
        Some(Token::Word(word)) => word,
        other => {
            cursor.next();
            let sign = if let Some(Token::Sign(sign)) = other { sign } else { "a string" };
            out.push(Statement::UnknownAction(format!("`{sign}` where a statement begins")));
            cursor.skip_to_action();
            return;
        }
    };
    if begins_test(word) {
        test(cursor, out);
        return;
    }
    cursor.next();
    let next = match word {
        "counter" => {
            while cursor.takes("packets") || cursor.takes("bytes") || cursor.takes("name") {
                cursor.word();
            }
            if let Some(Token::Text(_)) = cursor.peek() {
                cursor.next();
            }
            Statement::Nothing
        }
        "comment" => {
            cursor.word();
            Statement::Nothing
        }
        "last" => {
            if cursor.takes("used") {
                cursor.word();
                cursor.takes("ago");
            }
            Statement::Nothing
        }
        "log" => log(cursor),
        "limit" => Statement::Limit(rate::limit(cursor)),
        "reject" => {
            let (how, family) = reject(cursor);
            out.extend(family.map(of_family));
            Statement::Reject(how)
        }
        "notrack" => Statement::NoTrack,
        "flow" => {
            cursor.word();
            cursor.word();
            Statement::Nothing
        }
        "dup" => {
            let known = cursor.takes("to") && cursor.expression() && (!cursor.takes("device") || cursor.expression());
            return settled(known, Statement::Nothing, cursor, out);
        }
        "delete" => {
            cursor.word();
            if cursor.takes_sign("{") {
                cursor.braces();
            }
            Statement::Nothing
        }
        "add" | "update" => put(cursor, word == "update"),
        "dnat" => translate(cursor, true),
        "redirect" => translate(cursor, false),
        "snat" | "masquerade" => {
            cursor.skip_to_action();
            // The source is changed on the way out; the chain ends.
            Statement::Verdict(Verdict::Accept)
        }
        "quota" => {
            cursor.skip_to_action();
            Statement::UnknownTest("it depends on a quota".to_owned())
        }
        "meter" => {
            cursor.skip_to_action();
            Statement::UnknownTest("it depends on a meter".to_owned())
        }
        "xt" => {
            cursor.skip_to_action();
            Statement::UnknownTest("it depends on an iptables extension that nft does not show".to_owned())
        }
        other => {
            let shown: String = other.chars().take(40).collect();
            while cursor.next().is_some() {}
            Statement::UnknownAction(format!("`{shown}` is not modelled"))
        }
    };
    out.push(next);
}

/// A test, a verdict map, a bound on connections, or a change of a field: all begin with a part of the packet.
fn test(cursor: &mut Cursor<'_, '_>, out: &mut Vec<Statement>) {
    let before = cursor.peek();
    let Some(key) = cursor.key() else {
        unread(before, cursor, out);
        return;
    };
    if let [only] = &key[..]
        && only.field == Field::Other("ct count".to_owned(), None)
    {
        let over = cursor.takes("over");
        out.push(match cursor.number() {
            Some(count) => Statement::CtCount(CtCount { count, over }),
            None => Statement::UnknownTest("it depends on the number of connections".to_owned()),
        });
        return;
    }
    if cursor.takes("set") {
        let start = *cursor;
        let statement = match key[0].field {
            Field::Mark(mark) => set_mark(cursor, mark),
            ref field => change(field),
        };
        let known = matches!(statement, Statement::SetMark { to: Some(_), .. } | Statement::MarkMap { .. }) || {
            *cursor = start;
            cursor.expression()
        };
        return settled(known, statement, cursor, out);
    }
    if cursor.takes("vmap") {
        match cursor.right() {
            Some(right) => out.push(Statement::VerdictMap { key, right }),
            None => unread(before, cursor, out),
        }
        return;
    }
    // Fields with operands of their own are tested against what is not read here.
    if let Some(because) = key.iter().find_map(|k| own_operands(&k.field)) {
        out.push(Statement::UnknownTest(because));
        cursor.skip_to_action();
        return;
    }
    let op = cursor.op();
    match cursor.right() {
        Some(right) => out.push(under_length(key, op, right)),
        None => unread(before, cursor, out),
    }
}

/// A test of the looked-up address through the mask of a length: nft 0.9.3 prints `ip saddr & 255.255.255.0 == @s` as
/// `ip saddr @s/24`.
fn under_length(mut key: Vec<Operand>, op: Op, right: Right) -> Statement {
    if let (
        [Operand { field: Field::Source(family) | Field::Destination(family), mask: mask @ None }],
        Right::Named(name),
    ) = (&mut key[..], &right)
        && let Some((set, length)) = name.split_once('/')
        && let Ok(length) = length.parse::<u8>()
    {
        *mask = Some(match family {
            Family::V4 => Ipv4Addr::from(u32::mask(length)).to_string(),
            Family::V6 => Ipv6Addr::from(u128::mask(length)).to_string(),
        });
        return Statement::Match { key, op, right: Right::Named(set.to_owned()) };
    }
    Statement::Match { key, op, right }
}

/// A statement with a value that decides nothing. What follows may test the packet and must not be lost with a value that is
/// not read as a whole.
fn settled(known: bool, statement: Statement, cursor: &mut Cursor<'_, '_>, out: &mut Vec<Statement>) {
    out.push(statement);
    let begins = match cursor.peek() {
        None => true,
        Some(Token::Word(word)) => begins_test(word) || begins_action(word),
        Some(_) => false,
    };
    if !known || !begins {
        out.push(Statement::UnknownTest("it depends on what stands behind a value that is not modelled".to_owned()));
        cursor.skip_to_action();
    }
}

fn own_operands(field: &Field) -> Option<String> {
    let Field::Other(words, None) = field else { return None };
    let first = words.split(' ').next().unwrap_or_default();
    let own = matches!(first, "rt" | "socket" | "osf" | "ipsec" | "numgen" | "jhash" | "symhash" | "exthdr" | "tunnel");
    (own || first.starts_with('@')).then(|| format!("it depends on `{first}`"))
}

fn unread(token: Option<Token<'_>>, cursor: &mut Cursor<'_, '_>, out: &mut Vec<Statement>) {
    let word = if let Some(Token::Word(word)) = token { word } else { "a value" };
    out.push(Statement::UnknownTest(format!("it depends on `{word}`")));
    cursor.skip_to_action();
}

/// What a mark is set to: a mixture, or what a map says.
fn set_mark(cursor: &mut Cursor<'_, '_>, mark: Mark) -> Statement {
    let start = *cursor;
    if let Some(to) = mixture(cursor)
        && !cursor.takes("map")
    {
        return Statement::SetMark { mark, to: Some(to) };
    }
    *cursor = start;
    let key = cursor.key();
    let right = if cursor.takes("map") { cursor.right() } else { None };
    match (key, right) {
        (Some(key), Some(right)) => Statement::MarkMap { mark, key, right },
        _ => Statement::SetMark { mark, to: None },
    }
}

/// What it means that a part of the packet is changed.
fn change(field: &Field) -> Statement {
    match field {
        Field::Source(_) | Field::Destination(_) | Field::DestinationPort | Field::SourcePort | Field::TcpFlags => {
            Statement::UnknownAction("the packet is changed".to_owned())
        }
        _ => Statement::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{Inner, Limit, Op, Right};
    use super::*;
    use crate::access::{Bucket, Per, Rate, Refuse};
    use crate::net::Family;
    use crate::ruleset::Mixture;

    fn read(text: &str) -> Vec<Statement> {
        statements(&tokens(text))
    }

    #[test]
    fn our_limit_rule() {
        let all = read(
            "add @open4 { ip saddr & 255.255.255.0 . th dport ct count 100 } update @rate4 { ip saddr . ct original proto-dst limit rate 60/minute burst 30 packets } goto take",
        );
        let Statement::Put { update: false, set, key, inner } = &all[0] else { panic!("{all:?}") };
        assert_eq!((set.as_str(), key.len()), ("open4", 2));
        assert_eq!(key[0].mask.as_deref(), Some("255.255.255.0"));
        assert_eq!(key[1].field, Field::DestinationPort);
        assert_eq!(inner, &[Inner::Count(CtCount { count: 100, over: false })]);
        let Statement::Put { update: true, key, inner, .. } = &all[1] else { panic!("{all:?}") };
        assert_eq!(key[1].field, Field::OriginalDestinationPort);
        let bucket = Bucket { rate: Rate::new(60, Per::Minute), burst: 30 };
        assert_eq!(inner, &[Inner::Rate(Limit { bucket: Some(bucket), over: false })]);
        assert_eq!(all[2], Statement::Verdict(Verdict::Goto("take".to_owned())));
    }

    #[test]
    fn flags_in_every_spelling() {
        for text in
            ["tcp flags & (syn | ack) == syn", "tcp flags & (syn|ack) == syn", "tcp flags & ( syn | ack ) == syn"]
        {
            let Statement::Match { key, op: Op::Equal, right: Right::Value(v) } = &read(text)[0] else {
                panic!("{text}")
            };
            assert_eq!((key[0].mask.as_deref(), v.as_str()), (Some("syn|ack"), "syn"));
        }
        let all = read("tcp flags != syn / syn,ack counter packets 0 bytes 0 drop");
        let Statement::Match { op: Op::NotEqual, right: Right::Under(v, m), .. } = &all[0] else { panic!("{all:?}") };
        assert_eq!((v.as_str(), m.as_str()), ("syn", "syn,ack"));
        assert_eq!(all[1..], [Statement::Nothing, Statement::Verdict(Verdict::Drop)]);
    }

    #[test]
    fn a_length_behind_a_set_is_a_mask() {
        for (old, new) in [
            ("ip saddr @s/18 accept", "ip saddr & 255.255.192.0 @s accept"),
            ("ip6 daddr @s/47 accept", "ip6 daddr & ffff:ffff:fffe:: @s accept"),
        ] {
            assert_eq!(read(old), read(new));
        }
    }

    #[test]
    fn an_answer_of_one_family_is_for_that_family() {
        for (text, family) in [
            ("reject with icmp port-unreachable", Some("ipv4")),
            ("reject with icmp type host-prohibited", Some("ipv4")),
            ("reject with icmpv6 admin-prohibited", Some("ipv6")),
            ("reject with icmpx type port-unreachable", None),
            ("reject", None),
        ] {
            let all = read(text);
            let Some((Statement::Reject(Refuse::Icmp), before)) = all.split_last() else { panic!("{text}: {all:?}") };
            let expected: Vec<Statement> =
                family.map(|f| read(&format!("meta nfproto {f}"))).into_iter().flatten().collect();
            assert_eq!(before, expected, "{text}");
        }
        assert_eq!(read("reject with tcp reset"), [Statement::Reject(Refuse::Reset)]);
    }

    #[test]
    fn a_test_behind_a_value_is_not_lost() {
        for first in [
            "meta mark set 0x1",
            "meta mark set meta mark & 0xffffff00 | 0x10",
            "meta mark set (meta mark & 0xff) ^ 0x10",
            "ct mark set meta mark",
            "meta mark set ip daddr map { 192.0.2.1 : 0x1, 192.0.2.2 : 0x2 }",
            "meta mark set jhash ip daddr . tcp dport mod 2 seed 0xabc offset 1",
            "meta mark set numgen inc mod 2",
            "ct helper set \"ftp\"",
            "ct event set new,related",
            "tcp option maxseg size set rt mtu",
            "dup to 192.0.2.9 device \"eth1\"",
            "flow add @f",
            "delete @s { ip saddr . tcp dport }",
        ] {
            let all = read(&format!("{first} ip saddr 192.0.2.0/24 accept"));
            let tests: Vec<&Statement> = all.iter().filter(|s| matches!(s, Statement::Match { .. })).collect();
            assert!(matches!(tests[..], [Statement::Match { .. }]), "{first}: {all:?}");
            assert!(!all.iter().any(|s| matches!(s, Statement::UnknownTest(_))), "{first}: {all:?}");
        }
        for first in ["meta mark set frob nicate", "meta mark set ( ( 1 )", "dup eth1"] {
            let all = read(&format!("{first} ip saddr 192.0.2.0/24 accept"));
            assert!(all.iter().any(|s| matches!(s, Statement::UnknownTest(_))), "{first}: {all:?}");
        }
    }

    #[test]
    fn what_is_not_known_stays_a_test_or_an_action() {
        let all = read("numgen random mod 10 < 3 accept");
        assert!(matches!(&all[..], [Statement::UnknownTest(_), Statement::Verdict(Verdict::Accept)]), "{all:?}");
        let all = read("frobnicate 3 accept");
        assert!(matches!(&all[..], [Statement::UnknownAction(_)]), "{all:?}");
        let all = read("xt match \"recent\" drop");
        assert!(matches!(&all[..], [Statement::UnknownTest(_), Statement::Verdict(Verdict::Drop)]), "{all:?}");
        let all = read("fib saddr . iif oif missing drop");
        assert!(matches!(&all[..], [Statement::Match { .. }, Statement::Verdict(Verdict::Drop)]), "{all:?}");
        for text in [
            "}",
            "ct",
            "ip saddr",
            "ip saddr {",
            "jump",
            "update @x {",
            "( ( )",
            "tcp flags & (",
            "meta mark set",
            "a . .",
        ] {
            assert!(!read(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_a_mark_is_set_to() {
        let all = read("ct mark set meta mark & 0xff ^ 0x7 meta mark set (ct mark | 0x100) & 0xfff accept");
        let mixed = |packet, connection, bits| Some(Mixture { packet, connection, bits });
        assert_eq!(all[0], Statement::SetMark { mark: Mark::Connection, to: mixed(0xff, 0, 7) });
        assert_eq!(all[1], Statement::SetMark { mark: Mark::Packet, to: mixed(0, 0xeff, 0x100) });
        assert_eq!(all[2..], [Statement::Verdict(Verdict::Accept)]);
        let unknown =
            ["numgen inc mod 4", "ct mark << 8", "ct mark xor 0x1 and 0xff", "meta mark & ct mark", "frob nicate"];
        for value in unknown {
            let all = read(&format!("meta mark set {value} accept"));
            assert_eq!(all[0], Statement::SetMark { mark: Mark::Packet, to: None }, "{value}");
        }
        assert!(matches!(&read("meta mark set ip saddr map @m")[..], [Statement::MarkMap { .. }]));
    }

    #[test]
    fn maps_and_translations() {
        let all = read("tcp dport vmap { 22 : accept, 80-90 : jump web, * : drop }");
        let Statement::VerdictMap { right: Right::Set(elements), .. } = &all[0] else { panic!("{all:?}") };
        assert_eq!(elements.len(), 3);
        let to = |text: &str| match read(text).remove(0) {
            Statement::Translate(t) => (t.to, t.port),
            other => panic!("{other:?}"),
        };
        assert_eq!(to("dnat ip to 10.0.0.1:80"), (Some("10.0.0.1".to_owned()), Some("80".to_owned())));
        assert_eq!(to("dnat ip6 to [2001:db8::1]:80"), (Some("2001:db8::1".to_owned()), Some("80".to_owned())));
        assert_eq!(to("dnat to 2001:db8::1"), (Some("2001:db8::1".to_owned()), None));
        assert_eq!(to("redirect to :8080"), (None, Some("8080".to_owned())));
        assert_eq!(to("redirect"), (None, None));
        let Statement::Match { key, .. } = &read("ip6 daddr fe80::/10")[0] else { panic!() };
        assert_eq!(key[0].field, Field::Destination(Family::V6));
    }
}
