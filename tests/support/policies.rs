//! Random policies that use every clause of a profile, the same ones for the same seed.

use crate::dice::Dice;
use harden993::access::{Bucket, Pattern, Per, Rate, Refuse};
use harden993::net::{Addr, AddrSet, Ranges, Span};
use harden993::policy::{Draft, Forwarded, Grant, Limit, LogPolicy};

/// Whether something happens that does once in `n` times.
fn once_in(dice: &mut Dice, n: u64) -> bool {
    dice.below(n) == 0
}

/// Some of several, at least one, in their order.
fn some<T: Clone>(dice: &mut Dice, all: &[T]) -> Vec<T> {
    loop {
        let some: Vec<T> = all.iter().filter(|_| once_in(dice, 2)).cloned().collect();
        if !some.is_empty() {
            return some;
        }
    }
}

/// An address family whose interesting places are known.
pub(crate) trait Places: Addr {
    /// Addresses near which networks are put: both ends of the space, the edges of special blocks, ordinary places.
    fn places() -> Vec<Self>;
    fn random(dice: &mut Dice) -> Self;
    /// The address that is `n` further, or the last one.
    fn plus(self, n: u32) -> Self;
}

impl Places for u32 {
    fn places() -> Vec<Self> {
        let quads = [
            "0.0.0.0",
            "8.8.8.0",
            "10.0.0.0",
            "126.255.255.0",
            "128.0.0.0",
            "198.51.100.0",
            "203.0.113.0",
            "223.255.255.0",
        ];
        let mut out: Vec<u32> =
            quads.iter().map(|q| q.parse::<std::net::Ipv4Addr>().expect("an address").into()).collect();
        out.push(u32::MAX - 300);
        out
    }
    fn random(dice: &mut Dice) -> Self {
        dice.next() as u32
    }
    fn plus(self, n: u32) -> Self {
        self.saturating_add(n)
    }
}

impl Places for u128 {
    fn places() -> Vec<Self> {
        let texts = [
            "::",
            "::fffe:ffff:ff00",
            "::1:0:0:0",
            "2001:db8::",
            "2001:db8:10::",
            "2a00::",
            "fd00::",
            "fe80::",
            "feff:ffff::",
        ];
        let mut out: Vec<u128> =
            texts.iter().map(|t| t.parse::<std::net::Ipv6Addr>().expect("an address").into()).collect();
        out.push(u128::MAX - 300);
        out
    }
    fn random(dice: &mut Dice) -> Self {
        u128::from(dice.next()) << 64 | u128::from(dice.next())
    }
    fn plus(self, n: u32) -> Self {
        self.saturating_add(n.into())
    }
}

fn prefix<A: Addr>(near: A, len: u8) -> Span<A> {
    let first = near.and(A::mask(len));
    Span { first, last: first.or(A::mask(len).not()) }
}

/// Networks of one kind or another.
fn spans<A: Places>(dice: &mut Dice, out: &mut Vec<Span<A>>) {
    let place = *dice.pick(&A::places());
    let near = place.plus(dice.below(200) as u32);
    let bits = u64::from(A::BITS);
    match dice.below(10) {
        // Ordinary networks.
        0..=2 => {
            for _ in 0..=dice.below(3) {
                let at = if once_in(dice, 2) { A::random(dice) } else { near };
                let len = A::BITS / 4 + dice.below(bits * 3 / 4 + 1) as u8;
                out.push(prefix(at, len));
            }
        }
        // Single addresses, some of them neighbours.
        3 => (0..=dice.below(6)).for_each(|_| {
            let at = near.plus(dice.below(8) as u32);
            out.push(Span::new(at, at));
        }),
        // An odd range: many prefixes of every length.
        4 => out.push(Span::new(near, near.plus(1 + dice.below(70_000) as u32))),
        5 => out.push(Span::new(A::random(dice), A::random(dice))),
        // Adjacent halves, and a network inside of another.
        6 => {
            let len = 1 + dice.below(bits - 1) as u8;
            let whole = prefix(near, len);
            out.push(prefix(whole.first, len + 1));
            out.push(prefix(whole.last, len + 1));
            out.push(prefix(near, A::BITS - dice.below(4) as u8));
        }
        // Every length on one way down: the deepest nesting that there is.
        7 => {
            let step = 1 + dice.below(3) as usize;
            for len in (1 + dice.below(8) as u8..=A::BITS).step_by(step) {
                // The sibling of each step, so that nothing is joined.
                let at = prefix(place, len);
                let up = prefix(place, len - 1);
                out.push(if up.first == at.first {
                    Span { first: at.last.next().unwrap_or(at.last), last: up.last }
                } else {
                    Span { first: up.first, last: at.first.prev().unwrap_or(at.first) }
                });
            }
        }
        // The edges of the space.
        8 => out.push(if once_in(dice, 2) {
            Span::new(A::MIN, A::MIN.plus(dice.below(9) as u32))
        } else {
            Span::new(near, A::MAX)
        }),
        _ => out.push(if once_in(dice, 4) { Span::all() } else { prefix(near, dice.below(9) as u8) }),
    }
}

fn ranges<A: Places>(dice: &mut Dice) -> Ranges<A> {
    let mut out = Vec::new();
    if !once_in(dice, 4) {
        for _ in 0..=dice.below(2) {
            spans(dice, &mut out);
        }
    }
    Ranges::from_spans(out)
}

/// Sources of both families, now and then of one, none, or without some of its addresses.
pub(crate) fn sources(dice: &mut Dice) -> AddrSet {
    let set = AddrSet { v4: ranges(dice), v6: ranges(dice) };
    if once_in(dice, 3) { set.minus(&AddrSet { v4: ranges(dice), v6: ranges(dice) }) } else { set }
}

/// As many networks as need another shape than a few: sets by prefix length, trees of chains.
fn many(dice: &mut Dice) -> AddrSet {
    fn family<A: Places>(dice: &mut Dice, shortest: u8, near: impl Fn(A) -> A) -> Ranges<A> {
        let lengths: Vec<u8> = (0..6).map(|_| shortest + dice.below(u64::from(A::BITS - shortest) + 1) as u8).collect();
        (0..1200).map(|_| prefix(near(A::random(dice)), *dice.pick(&lengths))).collect()
    }
    AddrSet { v4: family(dice, 18, |a: u32| a), v6: family(dice, 32, |a: u128| 0x2001 << 112 | a >> 16) }
}

fn rate(dice: &mut Dice) -> Rate {
    let per = *dice.pick(&[Per::Second, Per::Minute, Per::Hour]);
    Rate::new(*dice.pick(&[1, 2, 7, 10, 30, 60, 100, 600]), per)
}

fn bucket(dice: &mut Dice) -> Bucket {
    Bucket { rate: rate(dice), burst: *dice.pick(&[1, 2, 5, 10, 30, 100]) }
}

fn limit(dice: &mut Dice) -> Option<Limit> {
    let concurrent = *dice.pick(&[1, 3, 10, 100]);
    match dice.below(5) {
        0 | 1 => None,
        2 => Some(Limit { rate: Some(bucket(dice)), concurrent: None }),
        3 => Some(Limit { rate: None, concurrent: Some(concurrent) }),
        _ => Some(Limit { rate: Some(bucket(dice)), concurrent: Some(concurrent) }),
    }
}

/// A draft that a profile could say. `big` also makes lists of thousands of networks.
pub(crate) fn draft(dice: &mut Dice, big: bool) -> Draft {
    let mut ports = match dice.below(8) {
        0 => vec![143, 993],
        1 => vec![993, 995, 4190],
        2 => vec![993, 994, 995],
        3 => (0..15).map(|_| 1 + dice.below(32_000) as u16).collect(),
        _ => vec![993],
    };
    ports.sort_unstable();
    ports.dedup();
    let patterns = |texts: &[&str]| texts.iter().map(|t| Pattern::parse(t)).collect::<Vec<_>>();
    let interfaces = patterns(match dice.below(5) {
        0 => &["eth0", "wg*"],
        1 => &["eth0", "eth1", "wg0", "wg1"],
        2 => &["eth*", "wg*", "wg-office"],
        _ => &[],
    });
    // What `via` may name: only what is guarded.
    let named = patterns(&["eth0", "eth1", "wg0", "wg1", "wg*", "wg-*", "wg-office", "eth*"]);
    let ways: Vec<Pattern> =
        named.into_iter().filter(|p| interfaces.is_empty() || interfaces.iter().any(|i| i.covers(p))).collect();
    let mut grants: Vec<Grant> = (0..dice.below(5))
        .map(|_| {
            let via = if once_in(dice, 3) { some(dice, &ways) } else { Vec::new() };
            let everybody = !via.is_empty() && once_in(dice, 2);
            let sources = if everybody { AddrSet::all() } else { sources(dice) };
            Grant { sources, via, limit: limit(dice) }
        })
        .collect();
    if big {
        grants.push(Grant { sources: many(dice), via: Vec::new(), limit: limit(dice) });
    }
    let blocked = if once_in(dice, 2) { sources(dice) } else { AddrSet::new() };
    let forwarded = match dice.below(4) {
        0 => Forwarded::Translated,
        1 => {
            let mut to: AddrSet =
                ["192.0.2.128/28".parse().expect("a network"), "2001:db8:ffff:1::/64".parse().expect("a network")]
                    .iter()
                    .filter(|_| once_in(dice, 2))
                    .fold(AddrSet::new(), |all, one| all.union(one));
            if to.is_empty() {
                to = "172.29.0.2".parse().expect("an address");
            }
            Forwarded::Routed(to)
        }
        _ => Forwarded::No,
    };
    Draft {
        close_plaintext: once_in(dice, 3) && !ports.contains(&143),
        ports,
        forwarded,
        interfaces,
        action: *dice.pick(&[Refuse::Drop, Refuse::Reset]),
        log: match dice.below(4) {
            0 => None,
            1 => Some(LogPolicy { rate: Some(bucket(dice)) }),
            _ => Draft::default().log,
        },
        ipv4_prefix: *dice.pick(&[32, 32, 24, 16]),
        ipv6_prefix: *dice.pick(&[64, 64, 128, 56, 48]),
        grants,
        blocked,
    }
}
