//! What happens to a packet: the verdict, the limits it stands under, how it is refused and what is logged.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// The unit of a rate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Per {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day (written by others only; a profile has no such unit).
    Day,
}

impl Per {
    /// The unit's length in seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86400,
        }
    }

    /// The unit's name: `second`, `minute`, `hour`, `day`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// A rate of events as it was written. Equal rates are equal whatever their unit: 60/minute is 1/second.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Events per unit, at least 1.
    pub count: u32,
    /// The unit.
    pub per: Per,
}

impl Rate {
    /// A rate.
    pub fn new(count: u32, per: Per) -> Self {
        Self { count, per }
    }

    /// The same rate in the smallest unit in which its count is a whole number, as iptables prints it.
    #[must_use]
    pub fn reduced(self) -> Self {
        for per in [Per::Second, Per::Minute, Per::Hour] {
            let factor = self.per.seconds() / per.seconds();
            if factor >= 1 && self.count.is_multiple_of(factor) {
                return Self { count: self.count / factor, per };
            }
        }
        self
    }

    /// Events per second as a fraction: numerator and denominator, not reduced.
    pub fn per_second(self) -> (u64, u64) {
        (self.count.into(), self.per.seconds().into())
    }
}

impl Ord for Rate {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((a, b), (c, d)) = (self.per_second(), other.per_second());
        (a * d).cmp(&(c * b))
    }
}

impl PartialOrd for Rate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rate {}

impl Hash for Rate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let r = self.reduced();
        (r.count, r.per).hash(state);
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.name())
    }
}

/// A token bucket: so many events at once, refilled at a rate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bucket {
    /// The refill rate.
    pub rate: Rate,
    /// The events that a full bucket lets through at once, at least 1.
    pub burst: u32,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, burst {}", self.rate, self.burst)
    }
}

/// What one source may open on one port: the part of a limit that is known exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Limits {
    /// New connections in time; none: as many as it likes.
    pub rate: Option<Bucket>,
    /// Connections open at once; none: as many as it likes.
    pub concurrent: Option<u32>,
    /// The prefix length of the family asked about that counts as one source.
    pub prefix: u8,
}

impl Limits {
    /// The two limits together, where each says what the other does not and they count the same sources.
    pub fn and(self, other: Self) -> Option<Self> {
        fn either<T: PartialEq>(a: Option<T>, b: Option<T>) -> Result<Option<T>, ()> {
            match (a, b) {
                (Some(a), Some(b)) if a != b => Err(()),
                (a, b) => Ok(a.or(b)),
            }
        }
        if self.prefix != other.prefix {
            return None;
        }
        Some(Self {
            rate: either(self.rate, other.rate).ok()?,
            concurrent: either(self.concurrent, other.concurrent).ok()?,
            prefix: self.prefix,
        })
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sep = "";
        if let Some(rate) = self.rate {
            write!(f, "{rate}")?;
            sep = ", ";
        }
        if let Some(n) = self.concurrent {
            write!(f, "{sep}{n} at once")?;
        }
        write!(f, " per /{}", self.prefix)
    }
}

/// How a packet is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Refuse {
    /// Silently.
    Drop,
    /// With a TCP reset.
    Reset,
    /// With an ICMP error (written by others only).
    Icmp,
    /// In one of these ways, depending on something that is not known (in answers only).
    Either,
}

/// Which of our log lines a refusal writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LogClass {
    /// Prefix `harden993 refused: `.
    Refused,
    /// Prefix `harden993 blocked: `.
    Blocked,
    /// Prefix `harden993 limited: `.
    Limited,
    /// Somebody else's.
    Foreign,
}

impl LogClass {
    /// The prefix of the line, with its last blank; foreign lines have none that we know.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Refused => "harden993 refused: ",
            Self::Blocked => "harden993 blocked: ",
            Self::Limited => "harden993 limited: ",
            Self::Foreign => "",
        }
    }

    /// The class whose prefix a log rule writes.
    pub fn of_prefix(prefix: &str) -> Self {
        [Self::Refused, Self::Blocked, Self::Limited]
            .into_iter()
            .find(|c| c.prefix().trim_end() == prefix.trim_end())
            .unwrap_or(Self::Foreign)
    }
}

/// A log line that a packet writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Log {
    /// Which line.
    pub class: LogClass,
    /// How often at most; none: every time.
    pub rate: Option<Bucket>,
}

/// What happens to a packet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// It gets in.
    Accept,
    /// It gets in while its source keeps within the limits, else it is refused.
    Limit {
        /// The limits.
        limits: Limits,
        /// How it is refused over the limit.
        over: Refuse,
        /// What is logged over the limit.
        over_log: Option<Log>,
    },
    /// It does not get in.
    Refuse(Refuse),
    /// It cannot be told.
    Unknown {
        /// Why, in one phrase.
        because: String,
    },
}

/// A rule of the ruleset that was asked; the ruleset knows its text and place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(pub u32);

/// The whole answer for one source.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Outcome {
    /// What happens.
    pub verdict: Verdict,
    /// What is logged whatever the limits say.
    pub log: Option<Log>,
    /// The rule that decided, where that was asked for; always there for what is unknown because of a rule.
    pub by: Option<RuleId>,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, log: None, by: None }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Accept => f.write_str("accept")?,
            Verdict::Limit { limits, .. } => write!(f, "accept within {limits}")?,
            Verdict::Refuse(Refuse::Drop) => f.write_str("drop")?,
            Verdict::Refuse(Refuse::Reset) => f.write_str("reject")?,
            Verdict::Refuse(Refuse::Icmp) => f.write_str("reject with ICMP")?,
            Verdict::Refuse(Refuse::Either) => f.write_str("drop or reject")?,
            Verdict::Unknown { because } => write!(f, "unknown ({because})")?,
        }
        if let Some(log) = self.log {
            write!(f, ", logged as {:?}", log.class)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_compare_per_second() {
        let r = Rate::new;
        assert_eq!(r(60, Per::Minute), r(1, Per::Second));
        assert!(r(59, Per::Minute) < r(1, Per::Second));
        assert!(r(10, Per::Minute) > r(599, Per::Hour));
        assert_eq!((r(3600, Per::Hour).reduced().count, r(3600, Per::Hour).reduced().per), (1, Per::Second));
        assert_eq!((r(90, Per::Minute).reduced().count, r(90, Per::Minute).reduced().per), (90, Per::Minute));
    }
}
