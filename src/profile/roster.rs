//! Entries to addresses: list files are read, `except` and `expires` are applied, and every line is noted.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use jiff::civil::Date;

use crate::access::Pattern;
use crate::diagnostic::{FileId, Files, Place, codes};
use crate::net::{AddrSet, Network, Ranges, Span};
use crate::policy::{Provenance, ProvenanceDraft, Source, SourceKind};

use super::Store;
use super::include::{beside, read};
use super::list::list;
use super::networks::{Lines, Use};
use super::sheet::{Entry, Kind};
use super::sink::Sink;

/// An entry with the addresses that it is about.
pub(super) struct Member {
    pub(super) entry: Entry,
    /// The addresses, after `except`.
    pub(super) sources: AddrSet,
    /// Whether it counts today.
    pub(super) in_force: bool,
    /// Whether it trusts everybody who comes by its `via`.
    pub(super) by_interface: bool,
}

impl Member {
    /// The patterns of `via`; empty: any interface.
    pub(super) fn via(&self) -> Vec<Pattern> {
        self.entry.via.iter().flat_map(|v| v.value.iter().map(|p| p.value.clone())).collect()
    }
}

/// All entries.
pub(super) struct Roster {
    pub(super) members: Vec<Member>,
    pub(super) provenance: Provenance,
    /// For each source of the provenance, the member that it belongs to and the file that it is in.
    pub(super) owners: Vec<(usize, FileId)>,
    /// Whether some list could not be read.
    pub(super) broken: bool,
}

impl Roster {
    /// The entries of a kind that count today.
    pub(super) fn in_force(&self, kind: Kind) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |m| m.entry.kind == kind && m.in_force)
    }

    /// Every address of the wanted entries that count today, by whatever interface.
    pub(super) fn union(&self, wanted: impl Fn(&Member) -> bool) -> Cow<'_, AddrSet> {
        let members: Vec<&Member> = self.members.iter().filter(|m| m.in_force && wanted(m)).collect();
        // One long list is the common case, and long to copy.
        if let [one] = members[..] {
            return Cow::Borrowed(&one.sources);
        }
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for member in members {
            v4.extend_from_slice(member.sources.v4.spans());
            v6.extend_from_slice(member.sources.v6.spans());
        }
        Cow::Owned(AddrSet { v4: Ranges::from_spans(v4), v6: Ranges::from_spans(v6) })
    }
}

/// Reads entries.
pub(super) struct Enroll<'a, S> {
    pub(super) today: Date,
    pub(super) store: &'a S,
    pub(super) files: &'a mut Files,
    pub(super) sink: &'a mut Sink,
    lists: HashMap<PathBuf, Option<FileId>>,
    /// The lists that were read, and what was said about them: a second entry with one of them repeats nothing.
    said: HashSet<(FileId, Use)>,
    draft: ProvenanceDraft,
    owners: Vec<(usize, FileId)>,
}

/// Whole address spaces, for an entry that asks for an interface alone.
const EVERYBODY: [Network; 2] =
    [Network::V4(Span { first: 0, last: u32::MAX }), Network::V6(Span { first: 0, last: u128::MAX })];

impl<'a, S: Store> Enroll<'a, S> {
    pub(super) fn new(today: Date, store: &'a S, files: &'a mut Files, sink: &'a mut Sink) -> Self {
        Self {
            today,
            store,
            files,
            sink,
            lists: HashMap::new(),
            said: HashSet::new(),
            draft: Provenance::draft(),
            owners: Vec::new(),
        }
    }

    /// Reads all entries.
    pub(super) fn all(mut self, entries: Vec<Entry>) -> Roster {
        let members: Vec<Member> = entries.into_iter().enumerate().map(|(i, e)| self.member(i, e)).collect();
        let broken = self.lists.values().any(Option::is_none);
        Roster { members, provenance: self.draft.finish(), owners: self.owners, broken }
    }

    fn member(&mut self, number: usize, mut entry: Entry) -> Member {
        let in_force = entry.expires.as_ref().is_none_or(|e| self.today <= e.value);
        let usage = if entry.kind == Kind::Trusted { Use::Trust } else { Use::Other };
        let kind = if entry.kind == Kind::Trusted { SourceKind::Trusted } else { SourceKind::Blocked };
        let inline = entry.networks.take().map(|networks| (networks.place.file, networks.value));
        let listed = self.list_of(&entry, usage);
        let mut sources = AddrSet::new();
        for (file, Lines { v4, v6 }) in inline.into_iter().chain(listed) {
            let source = self.source(number, &entry, kind, in_force, file);
            let (v4, v6) = self.draft.extend(source, v4, v6);
            let set = AddrSet { v4, v6 };
            sources = if sources.is_empty() { set } else { sources.union(&set) };
        }
        let by_interface = !entry.names_networks && entry.via.is_some();
        if by_interface && let Some(via) = &entry.via {
            let line = self.line(&via.place);
            let source = self.source(number, &entry, kind, in_force, via.place.file);
            for everybody in EVERYBODY {
                self.draft.add(source, line, everybody);
            }
            sources = AddrSet::all();
        }
        if !entry.except.is_empty() {
            sources = self.carve(number, &entry, in_force, &sources);
        }
        Member { entry, sources, in_force, by_interface }
    }

    /// The list file of an entry, read once however often it is named.
    fn list_of(&mut self, entry: &Entry, usage: Use) -> Option<(FileId, Lines)> {
        let named = entry.list.as_ref()?;
        let path = beside(self.files, named.place.file, &named.value);
        let identity = self.store.identity(&path);
        if !self.lists.contains_key(&identity) {
            let id = read(&path, self.store, self.files, self.sink, &named.place);
            self.lists.insert(identity.clone(), id);
        }
        let id = (*self.lists.get(&identity)?)?;
        let content = &self.files.get(id).content;
        let again = self.said.contains(&(id, Use::Trust)) || !self.said.insert((id, usage));
        Some((
            id,
            if again { list(content, usage, id, &mut Sink::default()) } else { list(content, usage, id, self.sink) },
        ))
    }

    fn source(&mut self, number: usize, entry: &Entry, kind: SourceKind, in_force: bool, file: FileId) -> u32 {
        let via = entry.via.iter().flat_map(|v| v.value.iter().map(|p| p.value.clone())).collect();
        self.owners.push((number, file));
        let file = self.files.get(file).name.clone();
        self.draft.source(Source { entry: entry.label().to_owned(), kind, via, in_force, file })
    }

    fn line(&self, place: &Place) -> u32 {
        self.files.get(place.file).line_of(place.span.start)
    }

    /// Takes the `except` of an entry away, and reports what takes nothing.
    fn carve(&mut self, number: usize, entry: &Entry, in_force: bool, sources: &AddrSet) -> AddrSet {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let mut source = None;
        for item in &entry.except {
            let (network, line) = item.value;
            let Place { file, span } = item.place.clone();
            let source = *source.get_or_insert_with(|| self.source(number, entry, SourceKind::Except, in_force, file));
            self.draft.add(source, line, network);
            let removes = match network {
                Network::V4(s) => {
                    v4.push(s);
                    sources.v4.overlaps_span(s)
                }
                Network::V6(s) => {
                    v6.push(s);
                    sources.v6.overlaps_span(s)
                }
            };
            if !removes && !sources.is_empty() {
                self.sink.report(&codes::EXCEPT_NOTHING, file, span, |p| {
                    p.say(format!("`{network}` is not in `{}`, so nothing is carved out", entry.label()))
                        .help("correct the network, or take it away")
                });
            }
        }
        sources.minus(&AddrSet { v4: Ranges::from_spans(v4), v6: Ranges::from_spans(v6) })
    }
}
