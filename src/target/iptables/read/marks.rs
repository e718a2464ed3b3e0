//! Marks: what tests of them say, and what the targets MARK and CONNMARK make of them (`libxt_MARK`, `libxt_CONNMARK`
//! and the kernel's `xt_connmark`).

use crate::ruleset::{Change, Mark, Match, Mixture, Then};

use super::targets::{Action, printable};

/// A number as the tools print and take it.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `0x1/0xff`: a value and the mask that it is seen through.
fn pair(text: &str) -> Option<(u32, u32)> {
    match text.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(text)?, u32::MAX)),
    }
}

/// A test of a mark.
pub(super) fn test(text: &str, mark: Mark) -> Match {
    match pair(text) {
        Some((value, mask)) => Match::Mark { mark, mask, value },
        None => Match::Unknown(format!("it depends on the mark {}", printable(text))),
    }
}

/// What a target that sets bits of a mark makes of it; none if it is not modelled.
pub(super) fn set(action: &Action, mark: Mark) -> Option<Mixture> {
    let old = Mixture::of(mark);
    let constant = Mixture::constant;
    if let Some(text) = action.get("--set-xmark") {
        let (value, mask) = pair(text)?;
        return Some(old.and(!mask).xor(constant(value)));
    }
    if let Some(text) = action.get("--set-mark") {
        let (value, mask) = pair(text)?;
        return Some(old.and(!(mask | value)).xor(constant(value)));
    }
    let bits = |option| action.get(option).and_then(number);
    if let Some(bits) = bits("--or-mark") {
        return old.or(constant(bits));
    }
    if let Some(bits) = bits("--and-mark") {
        return Some(old.and(bits));
    }
    bits("--xor-mark").map(|bits| old.xor(constant(bits)))
}

/// What CONNMARK does: it sets the connection's mark, or copies one mark onto the other under masks.
pub(super) fn connection(action: &Action) -> Then {
    let shifts = action.get("--left-shift-mark").is_some() || action.get("--right-shift-mark").is_some();
    // A mask that is not written is whole; one that cannot be read makes the value unknown.
    let mask = |name| match action.get(name).or_else(|| action.get("--mask")) {
        Some(text) => number(text),
        None => Some(u32::MAX),
    };
    let copied = |from: Mark, to: Mark| {
        let (packet, connection) = (mask("--nfmask")?, mask("--ctmask")?);
        let of = |mark| if mark == Mark::Packet { packet } else { connection };
        Some(Mixture::of(to).and(!of(to)).xor(Mixture::of(from).and(of(from))))
    };
    let (mark, to) = if action.get("--save-mark").is_some() {
        (Mark::Connection, copied(Mark::Packet, Mark::Connection))
    } else if action.get("--restore-mark").is_some() {
        (Mark::Packet, copied(Mark::Connection, Mark::Packet))
    } else {
        (Mark::Connection, set(action, Mark::Connection))
    };
    Then::Change(Change::Mark { mark, to: to.filter(|_| !shifts) })
}
