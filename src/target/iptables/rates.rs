//! Rates as the `limit` and `hashlimit` matches keep and print them.
//!
//! Both keep the time between two packets as a whole number of fractions of a second, and print the finest unit that they
//! think fits it (`libxt_limit.c` and `libxt_hashlimit.c`, `print_rate`). A rate that comes back as another one cannot be
//! represented.

use crate::access::{Bucket, Per, Rate};
use crate::net::Family;

/// The fractions of a second that `limit` counts in (`XT_LIMIT_SCALE`).
const LIMIT_SCALE: u64 = 10_000;

/// The fractions of a second that `hashlimit` counts in since its second revision (`XT_HASHLIMIT_SCALE_v2`).
const HASHLIMIT_SCALE: u64 = 1_000_000;

/// The largest burst of `limit`.
const LIMIT_BURST: u32 = 10_000;

/// The largest burst of `hashlimit` (`XT_HASHLIMIT_BURST_MAX`).
pub(super) const HASHLIMIT_BURST: u32 = 1_000_000;

/// The burst that `limit` has, and does not print, if none is written.
pub(super) const DEFAULT_BURST: u32 = 5;

/// The kernel keeps the credit of `limit` in 32 bits that are made to hold a day (`xt_limit.c`, `MAX_CPJ`).
const LIMIT_CREDIT_SECONDS: u64 = 86_400;

/// How a rate comes back when its period is kept in fractions of a second; none if it is too fast to be kept.
fn kept(rate: Rate, scale: u64) -> Option<Rate> {
    let units = [Per::Day, Per::Hour, Per::Minute, Per::Second];
    let period = (scale * u64::from(rate.per.seconds())).checked_div(rate.count.into()).filter(|p| *p > 0)?;
    let mut printed = Per::Day;
    for unit in &units[1..] {
        let length = scale * u64::from(unit.seconds());
        if period > length || length / period < length % period {
            break;
        }
        printed = *unit;
    }
    let count = scale * u64::from(printed.seconds()) / period;
    Some(Rate::new(u32::try_from(count).ok()?, printed))
}

/// The rate of a log line in the unit that is printed back; none if `limit` cannot represent it.
pub(super) fn log_rate(bucket: Bucket) -> Option<Rate> {
    let (count, seconds) = bucket.rate.per_second();
    let credit = u64::from(bucket.burst) * seconds;
    let fits = (1..=LIMIT_BURST).contains(&bucket.burst) && credit <= LIMIT_CREDIT_SECONDS * count;
    kept(bucket.rate, LIMIT_SCALE).filter(|k| fits && *k == bucket.rate)
}

/// The rate of new connections in the unit that is printed back; none if `hashlimit` cannot represent it.
pub(super) fn meter_rate(rate: Rate) -> Option<Rate> {
    kept(rate, HASHLIMIT_SCALE).filter(|k| *k == rate)
}

/// The milliseconds after which an idle source is forgotten: long enough for an empty bucket to fill, since a forgotten
/// source starts with a full one; at least a minute. None if that is longer than the kernel can wait.
pub(super) fn expire(bucket: Bucket) -> Option<u32> {
    let (count, seconds) = bucket.rate.per_second();
    let full = (u64::from(bucket.burst) * seconds).div_ceil(count.max(1)).max(60);
    // `msecs_to_jiffies` takes numbers from 2^31 on for infinity.
    u32::try_from(full * 1000).ok().filter(|ms| *ms < 1 << 31)
}

/// The milliseconds that `hashlimit` takes, and does not print, if none are written.
pub(super) fn default_expire(printed: Rate) -> u32 {
    printed.per.seconds() * 1000
}

/// A rate as both matches print it: `10/min`.
pub(super) fn text(rate: Rate) -> String {
    let unit = match rate.per {
        Per::Second => "sec",
        Per::Minute => "min",
        Per::Hour => "hour",
        Per::Day => "day",
    };
    format!("{}/{unit}", rate.count)
}

/// The value of an option of `limit` or `hashlimit` as the tools print it: `60/minute` is `1/sec`. None if the option's
/// value is no rate.
pub(super) fn printed(option: &str, value: &str) -> Option<String> {
    let scale = match option {
        "--limit" => LIMIT_SCALE,
        "--hashlimit" | "--hashlimit-above" | "--hashlimit-upto" => HASHLIMIT_SCALE,
        _ => return None,
    };
    let rate = parse(value)?;
    Some(text(kept(rate, scale).unwrap_or(rate)))
}

/// A rate in a name: `10m`.
pub(super) fn short(rate: Rate) -> String {
    format!("{}{}", rate.count, &rate.per.name()[..1])
}

/// Reads a rate as the tools do: the unit may be cut to any length, and is a second if it is missing.
pub(super) fn parse(text: &str) -> Option<Rate> {
    let (count, unit) = text.split_once('/').unwrap_or((text, "second"));
    let per = [Per::Second, Per::Minute, Per::Hour, Per::Day]
        .into_iter()
        .find(|p| !unit.is_empty() && p.name().starts_with(&unit.to_ascii_lowercase()))?;
    Some(Rate::new(count.parse().ok().filter(|n| *n > 0)?, per))
}

/// The name of the kernel's table of sources. A table keeps the limit that it was made with, whatever later rules of the
/// same name say, so that every parameter is in the name.
pub(super) fn meter_name(family: Family, bucket: Bucket, prefix: u8) -> Option<String> {
    let digit = if family == Family::V4 { 4 } else { 6 };
    Some(format!("h993-{digit}-{}-{}-{prefix}", short(meter_rate(bucket.rate)?), bucket.burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(count: u32, per: Per, burst: u32) -> Bucket {
        Bucket { rate: Rate::new(count, per), burst }
    }

    #[test]
    fn rates_are_spelled_as_the_tools_print_them() {
        let log = |count, per| log_rate(bucket(count, per, 10)).map(text);
        assert_eq!(log(10, Per::Minute).as_deref(), Some("10/min"));
        assert_eq!(log(60, Per::Minute).as_deref(), Some("1/sec"));
        assert_eq!(log(3600, Per::Hour).as_deref(), Some("1/sec"));
        assert_eq!(log(100, Per::Hour).as_deref(), Some("100/hour"));
        assert_eq!(log(7, Per::Minute).as_deref(), Some("7/min"));
        assert_eq!(log(10_000, Per::Second).as_deref(), Some("10000/sec"));
        let meter = |count, per| meter_rate(Rate::new(count, per)).map(text);
        assert_eq!(meter(120, Per::Hour).as_deref(), Some("2/min"));
        assert_eq!(meter(110, Per::Second).as_deref(), Some("110/sec"));
        assert_eq!(meter(1_000_000, Per::Second).as_deref(), Some("1000000/sec"));
    }

    #[test]
    fn what_cannot_be_kept_is_known() {
        // 1/10,000 s: 110/second becomes 90 units, which are 111/second.
        assert_eq!(log_rate(bucket(110, Per::Second, 10)), None);
        assert_eq!(log_rate(bucket(10_001, Per::Second, 10)), None);
        assert_eq!(log_rate(bucket(1, Per::Hour, 25)), None, "more than a day of credit");
        assert_eq!(log_rate(bucket(1, Per::Hour, 24)).map(text).as_deref(), Some("1/hour"));
        assert_eq!(log_rate(bucket(10, Per::Minute, 10_001)), None);
        assert_eq!(meter_rate(Rate::new(9999, Per::Second)), None);
        assert_eq!(meter_rate(Rate::new(1_000_001, Per::Second)), None);
        assert_eq!(expire(bucket(1, Per::Hour, 1_000)), None);
        assert_eq!(expire(bucket(1, Per::Hour, 500)), Some(1_800_000_000));
        assert_eq!(expire(bucket(60, Per::Minute, 30)), Some(60_000));
    }

    #[test]
    fn a_rate_is_printed_in_one_spelling() {
        for (option, written, is) in [
            ("--limit", "10/minute", Some("10/min")),
            ("--limit", "10/min", Some("10/min")),
            ("--limit", "60/m", Some("1/sec")),
            ("--limit", "7", Some("7/sec")),
            ("--hashlimit-above", "3600/hour", Some("1/sec")),
            ("--hashlimit-above", "100kb/s", None),
            ("--limit-burst", "10", None),
        ] {
            assert_eq!(printed(option, written).as_deref(), is, "{option} {written}");
        }
    }

    #[test]
    fn rates_are_read_in_any_spelling() {
        for (text, per) in
            [("3/s", Per::Second), ("3", Per::Second), ("3/MIN", Per::Minute), ("3/hour", Per::Hour), ("3/d", Per::Day)]
        {
            let rate = parse(text).unwrap();
            assert_eq!((rate.count, rate.per), (3, per));
        }
        assert_eq!(parse("0/s"), None);
        assert_eq!(parse("3/"), None);
        assert_eq!(parse("3/year"), None);
    }
}
