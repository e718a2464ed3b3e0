//! What a mark is set to: a constant, or a mixture of both marks.

use crate::ruleset::{Mark, Mixture};

use super::lexer::Token;
use super::operand::Cursor;
use super::values::number;

/// The deepest nesting of parentheses that is followed.
const DEPTH: u8 = 16;

/// The mixture that comes next, up to the end of the statement. None if it is not modelled; then the cursor is anywhere in
/// it.
pub(super) fn mixture(cursor: &mut Cursor<'_, '_>) -> Option<Mixture> {
    let mixture = any_of(cursor, DEPTH)?;
    match cursor.peek() {
        None | Some(Token::Word(_)) => Some(mixture),
        _ => None,
    }
}

/// Operands joined by `|`, which binds least.
fn any_of(cursor: &mut Cursor<'_, '_>, depth: u8) -> Option<Mixture> {
    let mut out = either_of(cursor, depth)?;
    loop {
        if cursor.takes_sign("|") {
            out = out.or(either_of(cursor, depth)?)?;
        } else if cursor.takes("or") {
            out = out.or(last(cursor, depth)?)?;
        } else {
            return Some(out);
        }
    }
}

fn either_of(cursor: &mut Cursor<'_, '_>, depth: u8) -> Option<Mixture> {
    let mut out = all_of(cursor, depth)?;
    loop {
        if cursor.takes_sign("^") {
            out = out.xor(all_of(cursor, depth)?);
        } else if cursor.takes("xor") {
            out = out.xor(last(cursor, depth)?);
        } else {
            return Some(out);
        }
    }
}

/// The operand behind a word. Of rules that iptables wrote, versions of nft print `xor 0x1 and 0xff`, where the mark is
/// masked first: with words, only what is written in the order in which it is done is read.
fn last(cursor: &mut Cursor<'_, '_>, depth: u8) -> Option<Mixture> {
    let out = operand(cursor, depth)?;
    (!matches!(cursor.peek(), Some(Token::Word("and") | Token::Sign("&")))).then_some(out)
}

fn all_of(cursor: &mut Cursor<'_, '_>, depth: u8) -> Option<Mixture> {
    let constant = |m: Mixture| (m.packet | m.connection == 0).then_some(m.bits);
    let mut out = operand(cursor, depth)?;
    while cursor.takes_sign("&") || cursor.takes("and") {
        let next = operand(cursor, depth)?;
        out = match (constant(out), constant(next)) {
            (_, Some(mask)) => out.and(mask),
            (Some(mask), None) => next.and(mask),
            (None, None) => return None,
        };
    }
    Some(out)
}

fn operand(cursor: &mut Cursor<'_, '_>, depth: u8) -> Option<Mixture> {
    if cursor.takes_sign("(") {
        let inside = any_of(cursor, depth.checked_sub(1)?)?;
        return cursor.takes_sign(")").then_some(inside);
    }
    if cursor.takes("ct") {
        return cursor.takes("mark").then(|| Mixture::of(Mark::Connection));
    }
    if cursor.takes("meta") {
        return cursor.takes("mark").then(|| Mixture::of(Mark::Packet));
    }
    if cursor.takes("mark") {
        return Some(Mixture::of(Mark::Packet));
    }
    let bits = number(cursor.word()?)?;
    Some(Mixture::constant(u32::try_from(bits).ok()?))
}
