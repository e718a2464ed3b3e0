//! The contents of tables: `table <x> { … }` and what `pfctl -T show` prints.

use std::sync::Arc;

use crate::net::{Addr, AddrSet, Network, ParseError, Prefix, Ranges, Span, parse_network};

use super::syntax::Table;

/// The entries of a table while they are read. The most specific entry that holds an address decides, whether it is
/// negated or not; of two equal ones the first stays (pf.conf(5), TABLES).
#[derive(Default)]
pub(super) struct Entries {
    v4: Vec<Entry<u32>>,
    v6: Vec<Entry<u128>>,
    unknown: Option<String>,
}

struct Entry<A> {
    span: Span<A>,
    negated: bool,
}

/// A network as pf takes it: bits behind the prefix are cleared.
pub(super) fn network(text: &str) -> Result<Network, ParseError> {
    match parse_network(text.as_bytes()) {
        Err(ParseError::HostBits { masked }) => Ok(masked),
        other => other,
    }
}

impl Entries {
    /// Adds an entry as it is written, without its `!`.
    pub(super) fn add(&mut self, text: &str, negated: bool) {
        match network(text) {
            Ok(Network::V4(span)) => self.v4.push(Entry { span, negated }),
            Ok(Network::V6(span)) => self.v6.push(Entry { span, negated }),
            Err(_) => self.leave_open(&format!("the table holds `{text}`, which only the host can resolve")),
        }
    }

    /// Says that the table holds something that is not known.
    pub(super) fn leave_open(&mut self, because: &str) {
        self.unknown.get_or_insert_with(|| because.to_owned());
    }

    /// The table.
    pub(super) fn finish(self) -> Table {
        match self.unknown {
            Some(because) => Table::Unknown(because),
            None => Table::Known(Arc::new(AddrSet { v4: resolve(self.v4), v6: resolve(self.v6) })),
        }
    }
}

/// What `pfctl -T show` prints: an entry a line, two blanks or `!` before it.
pub(super) fn shown(text: &str) -> Result<Table, (u32, String)> {
    let mut entries = Entries::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        // With -v each entry is followed by its counters.
        if line.is_empty() || line.starts_with("Cleared:") || line.contains(": [ Packets:") {
            continue;
        }
        let (negated, entry) = line.strip_prefix('!').map_or((false, line), |e| (true, e.trim_start()));
        if network(entry).is_err() {
            return Err((number, format!("`{}` is no entry of a table", entry.escape_default())));
        }
        entries.add(entry, negated);
    }
    Ok(entries.finish())
}

/// The addresses whose most specific entry is not negated.
fn resolve<A: Addr>(mut entries: Vec<Entry<A>>) -> Ranges<A> {
    if entries.iter().all(|e| !e.negated) {
        return entries.into_iter().map(|e| e.span).collect();
    }
    // Only prefixes nest for certain; a range is its prefixes.
    if entries.iter().any(|e| e.span.prefixes().nth(1).is_some()) {
        let split =
            |e: Entry<A>| e.span.prefixes().map(move |p: Prefix<A>| Entry { span: p.into(), negated: e.negated });
        entries = entries.into_iter().flat_map(split).collect();
    }
    // Outer ones before the inner ones; the sort is stable, so the first of equal ones stays first.
    entries.sort_by(|a, b| a.span.first.cmp(&b.span.first).then(b.span.last.cmp(&a.span.last)));
    entries.dedup_by(|b, a| a.span == b.span);
    let mut out: Vec<Span<A>> = Vec::with_capacity(entries.len());
    let mut open: Vec<Entry<A>> = Vec::new();
    let mut next = A::MIN;
    let mut emit = |first: A, last: A, entry: &Entry<A>| {
        if !entry.negated && first <= last {
            out.push(Span { first, last });
        }
    };
    for entry in entries {
        while open.last().is_some_and(|o| o.span.last < entry.span.first) {
            if let Some(done) = open.pop() {
                emit(next.max(done.span.first), done.span.last, &done);
                next = done.span.last.next().unwrap_or(A::MAX);
            }
        }
        if let (Some(outer), Some(before)) = (open.last(), entry.span.first.prev()) {
            emit(next.max(outer.span.first), before, outer);
        }
        next = entry.span.first;
        open.push(entry);
    }
    while let Some(done) = open.pop() {
        emit(next.max(done.span.first), done.span.last, &done);
        match done.span.last.next() {
            Some(n) => next = n,
            // Nothing lies behind the last address.
            None => break,
        }
    }
    Ranges::from_spans(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(text: &str) -> AddrSet {
        match shown(text) {
            Ok(Table::Known(set)) => Arc::unwrap_or_clone(set),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_most_specific_entry_decides() {
        let set = set("   10.0.0.0/8\n  !10.1.2.0/24\n   10.1.2.128/25\n   2001:db8::/32\n");
        let has = |ip: &str| set.contains(ip.parse().unwrap());
        assert!(!has("10.1.2.3") && has("10.1.2.129") && has("10.2.2.2") && !has("192.0.2.1") && has("2001:db8::1"));
    }

    #[test]
    fn a_lone_negation_holds_nothing_and_the_first_of_equal_entries_stays() {
        assert!(set("  !10.0.0.0/8\n").is_empty());
        assert!(!set("   10.0.0.0/8\n  !10.0.0.0/8\n").is_empty());
        assert!(set("  !10.0.0.0/8\n   10.0.0.0/8\n").is_empty());
        assert_eq!(set("   0.0.0.0/0\n  !255.255.255.255\n  !0.0.0.0\n").v4.spans().len(), 1);
    }

    #[test]
    fn what_is_no_entry_is_an_error_with_its_line() {
        assert_eq!(shown("   10.0.0.0/8\npfctl: oops\n").unwrap_err().0, 2);
    }

    proptest! {
        #[test]
        fn lookup_is_by_the_longest_prefix(
            entries in proptest::collection::vec((0u32..64, 24u8..=32, any::<bool>()), 0..12),
            top in any::<bool>(),
        ) {
            let base = if top { u32::MAX - 63 } else { 0 };
            let nets: Vec<_> = entries.iter().map(|(a, l, n)| (Prefix::new(base + a, *l), *n)).collect();
            let got = resolve(nets.iter().map(|(p, n)| Entry { span: (*p).into(), negated: *n }).collect());
            for probe in (base..=base + 63).chain([base ^ 1 << 20]) {
                let mut best: Option<(u8, bool)> = None;
                for (p, negated) in nets.iter().filter(|(p, _)| p.addr <= probe && probe <= p.last()) {
                    if best.is_none_or(|(len, _)| p.len > len) {
                        best = Some((p.len, *negated));
                    }
                }
                prop_assert_eq!(got.contains(probe), best.is_some_and(|(_, n)| !n));
            }
        }
    }
}
