//! Rates and times as nft writes them.

use crate::access::{Bucket, Per, Rate};

use super::document::Limit;
use super::operand::Cursor;

/// What nft means by a limit without a burst.
const DEFAULT_BURST: u32 = 5;

/// The rest of a `limit` statement.
pub(super) fn limit(cursor: &mut Cursor<'_, '_>) -> Limit {
    if !cursor.takes("rate") {
        cursor.skip_to_action();
        return Limit { bucket: None, over: false };
    }
    let over = cursor.takes("over");
    let rate = cursor.word().and_then(rate);
    let Some(rate) = rate else {
        cursor.skip_to_action();
        return Limit { bucket: None, over };
    };
    let mut burst = Some(DEFAULT_BURST);
    if cursor.takes("burst") {
        burst = cursor.number();
        if !cursor.takes("packets") {
            burst = None;
            cursor.skip_to_action();
        }
    }
    Limit { bucket: burst.map(|burst| Bucket { rate, burst }), over }
}

/// A rate in packets, such as `10/minute`.
fn rate(text: &str) -> Option<Rate> {
    let (count, per) = text.split_once('/')?;
    Some(Rate::new(count.parse().ok().filter(|n| *n > 0)?, per_of(per)?))
}

fn per_of(word: &str) -> Option<Per> {
    Some(match word {
        "second" => Per::Second,
        "minute" => Per::Minute,
        "hour" => Per::Hour,
        "day" => Per::Day,
        _ => return None,
    })
}

/// A time such as `1m30s` in seconds; parts of a second are left out.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, length) = match rest {
            r if r.starts_with("ms") => (0, 2),
            r if r.starts_with('d') => (86400, 1),
            r if r.starts_with('h') => (3600, 1),
            r if r.starts_with('m') => (60, 1),
            r if r.starts_with('s') => (1, 1),
            "" => (1, 0),
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[length..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds("1m30s"), Some(90));
        assert_eq!(seconds("1d2h"), Some(93600));
        assert_eq!(seconds("60"), Some(60));
        assert_eq!(seconds("99999999999999999999d"), None);
        assert_eq!(seconds("x"), None);
    }
}
