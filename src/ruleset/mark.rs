//! What a packet carries along its way: the marks that rules write onto it and its connection, bit by bit, and whether it
//! was taken out of connection tracking.

/// One of the two marks that rules set and test, each of 32 bits. Both are zero until a rule sets them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mark {
    /// The packet's.
    Packet,
    /// The connection's.
    Connection,
}

/// The new value of a mark, mixed of the values that both have: `(packet & P) ^ (connection & C) ^ bits`. Every setting that
/// iptables knows, and those of nft without shifts, are of this form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mixture {
    /// The bits that are taken from the packet's mark.
    pub packet: u32,
    /// The bits that are taken from the connection's mark.
    pub connection: u32,
    /// The bits that are turned over.
    pub bits: u32,
}

impl Mixture {
    /// A constant.
    pub fn constant(bits: u32) -> Self {
        Self { packet: 0, connection: 0, bits }
    }

    /// The value that a mark has.
    pub fn of(mark: Mark) -> Self {
        match mark {
            Mark::Packet => Self { packet: u32::MAX, connection: 0, bits: 0 },
            Mark::Connection => Self { packet: 0, connection: u32::MAX, bits: 0 },
        }
    }

    /// Some of its bits, the others zero.
    #[must_use]
    pub fn and(self, mask: u32) -> Self {
        Self { packet: self.packet & mask, connection: self.connection & mask, bits: self.bits & mask }
    }

    /// Turned over where the other is one.
    #[must_use]
    pub fn xor(self, other: Self) -> Self {
        Self {
            packet: self.packet ^ other.packet,
            connection: self.connection ^ other.connection,
            bits: self.bits ^ other.bits,
        }
    }

    /// One where either is one; none if both take the same bit from a mark, which is no mixture.
    pub fn or(self, other: Self) -> Option<Self> {
        let taken = |m: Self| m.packet | m.connection;
        if taken(self) & taken(other) != 0 {
            return None;
        }
        // Where one is surely one, nothing of the other counts.
        let one = |m: Self| m.bits & !taken(m);
        Some(self.and(!one(other)).xor(other.and(!one(self) | one(other))))
    }
}

/// A change of what a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// A mark is set.
    Mark {
        /// Which.
        mark: Mark,
        /// To what; none: to something that is not modelled.
        to: Option<Mixture>,
    },
    /// Connection tracking is switched off for the packet. Once tracking has seen it, this does nothing.
    NoTrack,
}

/// What is known of a mark.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Bits {
    /// The bits that are known.
    known: u32,
    /// Their values; zero elsewhere.
    value: u32,
}

impl Bits {
    const ZERO: Self = Self { known: u32::MAX, value: 0 };
    const UNKNOWN: Self = Self { known: 0, value: 0 };

    /// Whether the bits of a mask are those of a value; none if it cannot be told.
    fn are(self, mask: u32, value: u32) -> Option<bool> {
        let known = mask & self.known;
        if value & !mask != 0 || (self.value ^ value) & known != 0 {
            return Some(false);
        }
        (known == mask).then_some(true)
    }

    /// What is known if it is the one or the other.
    fn join(self, other: Self) -> Self {
        let known = self.known & other.known & !(self.value ^ other.value);
        Self { known, value: self.value & known }
    }
}

/// What is known of everything that a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Carried {
    packet: Bits,
    connection: Bits,
    /// Whether tracking was switched off for it; none if it cannot be told.
    untracked: Option<bool>,
}

impl Carried {
    /// A packet as it comes from a device, of a connection that nobody has marked.
    pub(super) const FRESH: Self = Self { packet: Bits::ZERO, connection: Bits::ZERO, untracked: Some(false) };

    /// A packet of which it is not known what it carries.
    pub(super) const UNKNOWN: Self = Self { packet: Bits::UNKNOWN, connection: Bits::UNKNOWN, untracked: None };

    /// The same, of a connection that may have been marked before.
    pub(super) fn of_old_connection(self) -> Self {
        Self { connection: Bits::UNKNOWN, ..self }
    }

    /// The same with marks of which nothing is known.
    pub(super) fn with_unknown_marks(self) -> Self {
        Self { packet: Bits::UNKNOWN, connection: Bits::UNKNOWN, ..self }
    }

    /// The same, of which it is known whether tracking was switched off for it; none if it is not.
    pub(super) fn with_untracked(self, untracked: Option<bool>) -> Self {
        Self { untracked, ..self }
    }

    /// Whether tracking was switched off; none if it cannot be told.
    pub(super) fn untracked(&self) -> Option<bool> {
        self.untracked
    }

    /// Whether a mark has this value under a mask; none if it cannot be told.
    pub(super) fn has(&self, mark: Mark, mask: u32, value: u32) -> Option<bool> {
        match mark {
            Mark::Packet => self.packet.are(mask, value),
            Mark::Connection => self.connection.are(mask, value),
        }
    }

    /// What is carried after a change.
    pub(super) fn after(self, change: Change) -> Self {
        match change {
            Change::NoTrack => Self { untracked: Some(true), ..self },
            Change::Mark { mark, to } => {
                let bits = to.map_or(Bits::UNKNOWN, |to| self.mixed(to));
                match (mark, self.untracked) {
                    (Mark::Packet, _) => Self { packet: bits, ..self },
                    (Mark::Connection, Some(false)) => Self { connection: bits, ..self },
                    // There is no connection that could carry it.
                    (Mark::Connection, Some(true)) => self,
                    (Mark::Connection, None) => Self { connection: bits.join(self.connection), ..self },
                }
            }
        }
    }

    fn mixed(&self, to: Mixture) -> Bits {
        let known = (!to.packet | self.packet.known) & (!to.connection | self.connection.known);
        let value = (self.packet.value & to.packet) ^ (self.connection.value & to.connection) ^ to.bits;
        Bits { known, value: value & known }
    }

    /// What is known if it is the one or the other.
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            packet: self.packet.join(other.packet),
            connection: self.connection.join(other.connection),
            untracked: self.untracked.filter(|u| other.untracked == Some(*u)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mixtures() -> impl Strategy<Value = Mixture> {
        let bits = || prop_oneof![Just(0u32), Just(u32::MAX), any::<u32>()];
        (bits(), bits(), bits()).prop_map(|(packet, connection, bits)| Mixture { packet, connection, bits })
    }

    fn value(m: Mixture, packet: u32, connection: u32) -> u32 {
        (packet & m.packet) ^ (connection & m.connection) ^ m.bits
    }

    proptest! {
        #[test]
        fn mixtures_are_what_they_are_mixed_of(a in mixtures(), b in mixtures(), p: u32, c: u32, mask: u32) {
            let of = |m| value(m, p, c);
            prop_assert_eq!(of(a.and(mask)), of(a) & mask);
            prop_assert_eq!(of(a.xor(b)), of(a) ^ of(b));
            if let Some(or) = a.or(b) {
                prop_assert_eq!(of(or), of(a) | of(b));
            }
            prop_assert_eq!(a.or(Mixture::constant(mask)).map(of), Some(of(a) | mask));
        }

        #[test]
        fn what_is_known_is_so_for_every_value_that_it_may_be(
            (known, value, p, c) in (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()), to in mixtures(), mask: u32, v: u32
        ) {
            let packet = Bits { known, value: value & known };
            let p = (p & !known) | (value & known);
            let carried = Carried { packet, ..Carried::FRESH.of_old_connection() };
            let after = carried.after(Change::Mark { mark: Mark::Packet, to: Some(to) });
            let new = self::value(to, p, c);
            for v in [v, new & mask] {
                if let Some(has) = after.has(Mark::Packet, mask, v) {
                    prop_assert_eq!(has, new & mask == v);
                }
            }
            let either = after.join(carried);
            for p in [p, new] {
                if let Some(has) = either.has(Mark::Packet, mask, p & mask) {
                    prop_assert!(has);
                }
            }
        }
    }
}
