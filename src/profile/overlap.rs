//! Trusted entries that overlap, or of which one contains another, found in one pass over all sorted lines.

use std::collections::BTreeSet;

use crate::access::Pattern;
use crate::diagnostic::{Files, Place, codes};
use crate::net::{Addr, Network, Span};
use crate::policy::{Line, SourceKind};

use super::networks::locate;
use super::roster::{Member, Roster};
use super::sheet::Kind;
use super::sink::Sink;

/// How many meetings of two entries are looked at. Real profiles have few; a hostile one must not cost their square.
const MEETINGS: usize = 20_000_000;
/// How many pairs of entries are looked at closely.
const PAIRS: usize = 1000;

/// Two entries that meet, the one that is written later first, each with one of the networks at which they do.
type Pair = [(usize, u32, u32, Network); 2];

/// Reports every pair of entries that have addresses in common.
pub(super) fn overlaps(roster: &Roster, files: &Files, sink: &mut Sink) {
    if roster.in_force(Kind::Trusted).filter(|m| !m.by_interface).nth(1).is_none() {
        return;
    }
    let mut search = Search { roster, seen: BTreeSet::new(), pairs: Vec::new(), meetings: 0 };
    search.sweep(roster.provenance.v4(), Network::V4);
    search.sweep(roster.provenance.v6(), Network::V6);
    let finished = search.meetings < MEETINGS && search.pairs.len() < PAIRS;
    for [later, earlier] in search.pairs {
        let (a, b) = (&roster.members[later.0], &roster.members[earlier.0]);
        // What `except` carved out may be all that they shared.
        if !a.sources.overlaps(&b.sources) {
            continue;
        }
        let (inner, outer) = if covers(b, a) { (Some(a), b) } else { (covers(a, b).then_some(b), a) };
        if let Some(inner) = inner {
            let Place { file, span } = inner.entry.place().clone();
            sink.report(&codes::CONTAINED, file, span, |p| {
                let p = p.say(format!(
                    "every address of `{}` is also trusted by `{}`",
                    inner.entry.label(),
                    outer.entry.label()
                ));
                let other = outer.entry.place();
                p.label(other.file, other.span.clone(), "this entry contains it")
                    .help("take the entry away, or narrow the other one")
            });
        } else {
            let Place { file, span } = place(roster, files, later);
            sink.report(&codes::OVERLAP, file, span, |p| {
                let p = p.say(format!("`{}` and `{}` trust the same addresses", a.entry.label(), b.entry.label()));
                let other = place(roster, files, earlier);
                p.label(other.file, other.span, format!("`{}` has them here", b.entry.label()))
                    .help("leave them in one of the two")
            });
        }
    }
    if !finished {
        for member in &roster.members {
            sink.unfinished(&codes::OVERLAP, member.entry.header.file);
            sink.unfinished(&codes::CONTAINED, member.entry.header.file);
        }
    }
}

/// Whether one entry trusts everything that another one does, by every interface by which the other does.
fn covers(outer: &Member, inner: &Member) -> bool {
    let (wide, narrow) = (outer.via(), inner.via());
    let interfaces = wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|n| wide.iter().any(|w| w.covers(n))));
    interfaces && outer.sources.contains_all(&inner.sources)
}

/// Whether some interface belongs to both.
fn meet(a: &[Pattern], b: &[Pattern]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|x| b.iter().any(|y| x.covers(y) || y.covers(x)))
}

/// Where a network of an entry stands.
fn place(roster: &Roster, files: &Files, (_, source, line, network): (usize, u32, u32, Network)) -> Place {
    let file = roster.owners[source as usize].1;
    let (start, text) = files.get(file).line(line);
    Place::new(file, locate(text, start, network))
}

struct Search<'a> {
    roster: &'a Roster,
    seen: BTreeSet<(usize, usize)>,
    pairs: Vec<Pair>,
    meetings: usize,
}

impl Search<'_> {
    fn sweep<A: Addr>(&mut self, lines: &[Line<A>], network: fn(Span<A>) -> Network) {
        // For each entry that still reaches on: the line of it that reaches furthest.
        let mut active: Vec<(usize, Line<A>)> = Vec::new();
        let mut last = (0, 0);
        for line in lines {
            let source = &self.roster.provenance.sources()[line.source as usize];
            let owner = self.roster.owners[line.source as usize].0;
            if source.kind != SourceKind::Trusted || !source.in_force || self.roster.members[owner].by_interface {
                continue;
            }
            active.retain(|(_, l)| l.span.last >= line.span.first);
            self.meetings += active.len();
            let mut own = None;
            for (i, (other, there)) in active.iter().enumerate() {
                if *other == owner {
                    own = Some(i);
                    continue;
                }
                let pair = (owner.max(*other), owner.min(*other));
                // A long list inside of one network meets it again and again.
                if pair == last || !self.seen.insert(pair) {
                    last = pair;
                    continue;
                }
                let (a, b) = (&self.roster.members[owner], &self.roster.members[*other]);
                if meet(&a.via(), &b.via()) && self.pairs.len() < PAIRS {
                    let (here, there) = (
                        (owner, line.source, line.line, network(line.span)),
                        (*other, there.source, there.line, network(there.span)),
                    );
                    self.pairs.push(if owner > *other { [here, there] } else { [there, here] });
                }
            }
            match own {
                Some(i) if active[i].1.span.last < line.span.last => active[i].1 = *line,
                Some(_) => {}
                None => active.push((owner, *line)),
            }
            if self.meetings >= MEETINGS || self.pairs.len() >= PAIRS {
                return;
            }
        }
    }
}
