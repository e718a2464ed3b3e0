//! Why an address is decided as it is: the lines of the profile that say so.

use std::fmt;
use std::net::IpAddr;

use crate::access::Interface;
use crate::policy::{Class, Provenance, Source, SourceKind};

/// A line that decides.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
pub(super) struct Entry {
    name: String,
    file: String,
    line: u32,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}:{})", self.name, self.file, self.line)
    }
}

/// Why an address is decided as it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Reason {
    /// These lines trust it, the most special one first.
    Trusted(Vec<Entry>),
    /// These lines block it.
    Blocked(Vec<Entry>),
    /// It would be trusted, but these lines carve it out.
    Except(Vec<Entry>),
    /// These lines trusted it until they expired.
    Expired(Vec<Entry>),
    /// These lines trust it, but only by other interfaces.
    OnlyVia(Vec<Entry>, String),
    /// These lines name it, but the profile is closed.
    Closed(Vec<Entry>),
    /// No line names it.
    Nobody,
    /// Plaintext IMAP is closed to everybody.
    Plaintext,
    /// The port is none of the profile's.
    OtherPort(u16),
    /// Forwarded connections like this one are not guarded.
    OtherPath,
    /// The interface is not guarded.
    OtherInterface(String),
    /// Loopback.
    Loopback,
}

/// So many lines are named for one address.
const LINES: usize = 20;

impl Reason {
    /// Why an address that comes in by an interface is of this class.
    pub(super) fn of(provenance: &Provenance, ip: IpAddr, interface: &Interface, class: Class) -> Self {
        let lines = provenance.of(ip);
        let pick = |wanted: &dyn Fn(&Source) -> bool| -> Vec<Entry> {
            let chosen = lines.iter().filter(|(source, ..)| wanted(source)).take(LINES);
            chosen
                .map(|(source, line, _)| Entry { name: source.entry.clone(), file: source.file.clone(), line: *line })
                .collect()
        };
        let is = |kind: SourceKind| move |s: &Source| s.kind == kind;
        let comes_by = |s: &Source| s.via.is_empty() || s.via.iter().any(|v| interface.matches(v));
        let carved = |s: &Source| lines.iter().any(|(e, ..)| e.kind == SourceKind::Except && e.entry == s.entry);
        let trusts = |s: &Source| is(SourceKind::Trusted)(s) && s.in_force && comes_by(s) && !carved(s);
        match class {
            Class::Trusted(_) => Self::Trusted(pick(&trusts)),
            Class::Blocked => Self::Blocked(pick(&|s| is(SourceKind::Blocked)(s) && s.in_force)),
            Class::Refused => {
                let reasons = [
                    Self::Closed(pick(&trusts)),
                    Self::Except(pick(&|s| is(SourceKind::Except)(s) && s.in_force && comes_by(s))),
                    Self::Expired(pick(&|s| is(SourceKind::Trusted)(s) && !s.in_force && comes_by(s))),
                    Self::only_via(&lines, pick(&|s| is(SourceKind::Trusted)(s) && s.in_force && !comes_by(s))),
                ];
                reasons.into_iter().find(|r| !r.entries().is_empty()).unwrap_or(Self::Nobody)
            }
        }
    }

    fn only_via(lines: &[(&Source, u32, crate::net::Network)], entries: Vec<Entry>) -> Self {
        let first = entries.first().map(|e| e.name.clone());
        let source = lines.iter().find(|(s, ..)| Some(&s.entry) == first.as_ref() && s.kind == SourceKind::Trusted);
        let via = source.map(|(s, ..)| s.via.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        Self::OnlyVia(entries, via.unwrap_or_default())
    }

    /// The lines that decide.
    pub(super) fn entries(&self) -> &[Entry] {
        match self {
            Self::Trusted(e)
            | Self::Blocked(e)
            | Self::Except(e)
            | Self::Expired(e)
            | Self::OnlyVia(e, _)
            | Self::Closed(e) => e,
            Self::Nobody
            | Self::Plaintext
            | Self::OtherPort(_)
            | Self::OtherPath
            | Self::OtherInterface(_)
            | Self::Loopback => &[],
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |entries: &[Entry]| entries.iter().map(Entry::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Trusted(e) => write!(f, "trusted by {}", list(e)),
            Self::Blocked(e) => write!(f, "blocked by {}", list(e)),
            Self::Except(e) => write!(f, "carved out by `except` of {}", list(e)),
            Self::Expired(e) => write!(f, "no longer trusted: expired is {}", list(e)),
            Self::OnlyVia(e, via) => write!(f, "trusted only by {via}: {}", list(e)),
            Self::Closed(_) => f.write_str("the profile is closed to everybody"),
            Self::Nobody => f.write_str("no entry trusts it"),
            Self::Plaintext => f.write_str("`plaintext_imap` closes port 143 to everybody"),
            Self::OtherPort(port) => write!(f, "the profile does not guard port {port}"),
            Self::OtherPath => f.write_str("the profile does not guard what is forwarded there"),
            Self::OtherInterface(name) => write!(f, "the profile does not guard the interface {name}"),
            Self::Loopback => f.write_str("loopback is always accepted"),
        }
    }
}
