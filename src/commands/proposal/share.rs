//! What of a ruleset's grants a profile can say: an entry counts by every interface that its `via` matches, and without
//! `via` by all, so each entry holds only what all of these interfaces let in.

use crate::access::Pattern;
use crate::net::AddrSet;

use super::doors::{Door, Doors, Granted, Grants, by, everybody};

/// An entry to be written.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) granted: Granted,
    /// The interface or pattern; none: every one.
    pub(super) via: Option<Pattern>,
}

/// What an interface lets in by the entries.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) pattern: Pattern,
    /// By all entries that count here.
    pub(super) taken: Grants,
    /// By no entry, though the old rules let it in.
    pub(super) lost: AddrSet,
}

/// The entries of a profile, and what they amount to by each interface.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) entries: Vec<Entry>,
    pub(super) shares: Vec<Share>,
    pub(super) forwarded: bool,
    /// The prefix length that limits count by, of each family where some do.
    pub(super) prefixes: [Option<u8>; 2],
}

impl Shared {
    /// Shares out what comes in, and says what is lost by it. The `silent` sources are lost already.
    pub(super) fn of(doors: &Doors, silent: &AddrSet, left_out: &mut Vec<String>) -> Self {
        // From the widest pattern to the names, so that what counts everywhere is known first.
        let mut order: Vec<(&Door, Grants)> = doors.each.iter().map(|d| (d, d.grants())).collect();
        order.sort_by_key(|(d, _)| (!d.pattern.is_wildcard(), d.pattern.text().len(), d.pattern.text().to_owned()));
        let mut out = Self {
            entries: Vec::new(),
            shares: Vec::new(),
            forwarded: doors.forwarded,
            prefixes: doors.prefixes.each_ref().map(|list| list.first().copied()),
        };
        for (name, list) in ["IPv4", "IPv6"].into_iter().zip(&doors.prefixes) {
            if let [first, others @ ..] = list.as_slice()
                && !others.is_empty()
            {
                let others = others.iter().map(|l| format!("/{l}")).collect::<Vec<_>>().join(", ");
                left_out
                    .push(format!("limits that count {name} sources by {others}: a profile has one length, /{first}"));
            }
        }
        for (door, grants) in &order {
            let mut taken = Grants::new();
            for share in out.shares.iter().filter(|s| s.pattern.covers(&door.pattern)) {
                join(&mut taken, &share.taken);
            }
            let mut own = Grants::new();
            if can_be_named(&door.pattern) {
                for (terms, sources) in grants {
                    let below = order.iter().filter(|(d, _)| door.pattern.covers(&d.pattern));
                    let all = below.fold(sources.clone(), |all, (_, other)| {
                        other.get(terms).map_or_else(AddrSet::new, |set| all.intersect(set))
                    });
                    own.insert(*terms, all.minus(&everybody(&taken)));
                }
            }
            let via = Some(&door.pattern).filter(|p| !p.text().is_empty());
            for granted in &door.granted {
                let Some(set) = own.get(&granted.terms) else { continue };
                let sources = granted.sources.intersect(set);
                if !sources.is_empty() {
                    let granted = Granted { sources, ..granted.clone() };
                    out.entries.push(Entry { granted, via: via.cloned() });
                }
            }
            join(&mut taken, &own);
            let lost = everybody(grants).minus(&everybody(&taken));
            if !lost.is_empty() {
                left_out.push(lost_line(door, &lost));
            }
            out.shares.push(Share { pattern: door.pattern.clone(), taken, lost: lost.union(silent) });
        }
        out
    }
}

fn join(all: &mut Grants, more: &Grants) {
    for (terms, sources) in more.iter().filter(|(_, s)| !s.is_empty()) {
        let set = all.entry(*terms).or_default();
        *set = set.union(sources);
    }
}

fn lost_line(door: &Door, lost: &AddrSet) -> String {
    let lost = lost.brief(5);
    if door.pattern.text().is_empty() {
        return format!(
            "{lost} by interfaces that no rule names: other interfaces refuse it or limit it otherwise, and an entry \
             without `via` would count by them too; name the interfaces in `via`"
        );
    }
    if !can_be_named(&door.pattern) {
        return format!("{lost} by {}, a name that a profile cannot hold", door.pattern);
    }
    format!("{lost}{}: interfaces that this pattern holds as well refuse it or limit it otherwise", by(&door.pattern))
}

/// Whether a profile can name the interface.
fn can_be_named(pattern: &Pattern) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-:@".contains(&b);
    // 15: IFNAMSIZ of Linux and the BSDs without its last zero.
    let fits = pattern.to_string().len() <= 15 && pattern.text().bytes().all(plain) && !pattern.text().starts_with('-');
    let loopback = pattern.is_wildcard() && pattern.text() == "lo";
    fits && !loopback
}
