//! The digest by which a host can say which policy it holds.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::access::{Bucket, Refuse};
use crate::net::{Addr, AddrSet, Cuts};

use super::{Class, ClassId, Forwarded, Policy};

/// SHA-256 of what a policy decides: ports, 143, forwarded, interfaces, classes with their limits, action and log; no
/// names, comments, order, future dates or target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Policy {
    /// The digest of this policy.
    pub fn digest(&self) -> Digest {
        let mut h = Hasher(Sha256::new());
        h.text("harden993 policy 1");
        h.number(self.ports.len() as u128);
        self.ports.iter().for_each(|p| h.number(u128::from(*p)));
        h.number(u128::from(self.close_plaintext));
        match &self.forwarded {
            Forwarded::No => h.number(0),
            Forwarded::Translated => h.number(1),
            Forwarded::Routed(nets) => {
                h.number(2);
                h.set(nets);
            }
        }
        h.number(self.interfaces.len() as u128);
        self.interfaces.iter().for_each(|p| h.text(&p.to_string()));
        h.number(u128::from(self.action == Refuse::Reset));
        match self.log {
            None => h.number(0),
            Some(log) => {
                h.number(1);
                h.bucket(log.rate);
            }
        }
        // What counts as one source matters only where something is counted.
        if self.has_limits() {
            h.number(u128::from(self.ipv4_prefix));
            h.number(u128::from(self.ipv6_prefix));
        }
        h.number(self.classes.len() as u128);
        for class in &self.classes {
            match class {
                Class::Refused => h.number(0),
                Class::Blocked => h.number(1),
                Class::Trusted(None) => h.number(2),
                Class::Trusted(Some(limit)) => {
                    h.number(3);
                    h.bucket(limit.rate);
                    h.number(limit.concurrent.map_or(0, |n| u128::from(n) + 1));
                }
            }
        }
        h.number(self.zones.len() as u128);
        for zone in &self.zones {
            h.number(zone.patterns.len() as u128);
            zone.patterns.iter().for_each(|p| h.text(&p.to_string()));
            h.cuts(&zone.partition.v4);
            h.cuts(&zone.partition.v6);
        }
        Digest(h.0.finalize().into())
    }
}

struct Hasher(Sha256);

impl Hasher {
    fn number(&mut self, n: u128) {
        self.0.update(n.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u128);
        self.0.update(text);
    }

    fn bucket(&mut self, bucket: Option<Bucket>) {
        match bucket {
            None => self.number(0),
            Some(b) => {
                let rate = b.rate.reduced();
                self.number(u128::from(rate.count));
                self.number(u128::from(rate.per.seconds()));
                self.number(u128::from(b.burst));
            }
        }
    }

    fn set(&mut self, set: &AddrSet) {
        self.cuts(&Cuts::of_set(&set.v4, ClassId(1), ClassId(0)));
        self.cuts(&Cuts::of_set(&set.v6, ClassId(1), ClassId(0)));
    }

    fn cuts<A: Addr>(&mut self, cuts: &Cuts<A, ClassId>) {
        self.number(cuts.len() as u128);
        let mut buffer = Vec::with_capacity(18 * cuts.len().min(4096));
        for cut in cuts.iter() {
            buffer.extend_from_slice(&cut.span.first.bits().to_be_bytes()[..usize::from(A::BITS / 8)]);
            buffer.extend_from_slice(&cut.class.0.to_be_bytes());
            if buffer.len() > 70_000 {
                self.0.update(&buffer);
                buffer.clear();
            }
        }
        self.0.update(&buffer);
    }
}
