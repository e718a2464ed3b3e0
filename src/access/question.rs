//! A question: everything about a packet but its source. Anything that can change an answer is part of it.

use std::fmt;

use crate::net::AddrSet;

/// Which way through the host is asked about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Path {
    /// A packet from outside, followed wherever the ruleset sends it (through DNAT and redirect).
    Outside,
    /// A packet to this host itself; address translation before it is not asked.
    Input,
    /// A packet that the host forwards. Without a destination in the question: one whose connection was opened towards
    /// the port and that the host has translated (DNAT); with one: a packet that is routed there as it came.
    Forwarded,
}

/// The name of an interface, or all that start with a text: `eth0`, `wg*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pattern {
    // Ordered so that names come before wildcards and long wildcards before short ones (see `specificity`).
    text: String,
    wildcard: bool,
}

impl Pattern {
    /// Exactly this name.
    pub fn name(text: impl Into<String>) -> Self {
        Self { text: text.into(), wildcard: false }
    }

    /// Every name that starts with this text.
    pub fn prefix(text: impl Into<String>) -> Self {
        Self { text: text.into(), wildcard: true }
    }

    /// Reads `eth0` or `wg*`.
    pub fn parse(text: &str) -> Self {
        text.strip_suffix('*').map_or_else(|| Self::name(text), Self::prefix)
    }

    /// The name, or the text before the `*`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it ends in a `*`.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether every interface that the other matches is matched by this one.
    pub fn covers(&self, other: &Self) -> bool {
        if self.wildcard { other.text.starts_with(&self.text) } else { self == other }
    }

    /// A key that sorts names before wildcards, and longer wildcards before the shorter ones that hold them.
    pub fn specificity(&self) -> (bool, std::cmp::Reverse<usize>, &str) {
        (self.wildcard, std::cmp::Reverse(if self.wildcard { self.text.len() } else { 0 }), &self.text)
    }

    /// An interface that this pattern matches and no more special one does.
    pub fn representative(&self) -> Interface {
        if self.wildcard { Interface::Fresh(self.text.clone()) } else { Interface::Named(self.text.clone()) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.wildcard { "*" } else { "" })
    }
}

/// The interface that the packet comes in by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Interface {
    /// The loopback interface: `lo`, `lo0`.
    Loopback,
    /// The interface of this name.
    Named(String),
    /// Any interface whose name starts with this text and that nobody names otherwise; with the empty text, any other one.
    Fresh(String),
}

impl Interface {
    /// Whether a pattern of a rule matches this interface.
    pub fn matches(&self, pattern: &Pattern) -> bool {
        match self {
            // No other interface can have these names.
            Self::Loopback => ["lo", "lo0"]
                .iter()
                .any(|n| if pattern.wildcard { n.starts_with(&pattern.text) } else { *n == pattern.text }),
            Self::Named(name) => {
                if pattern.wildcard {
                    name.starts_with(&pattern.text)
                } else {
                    *name == pattern.text
                }
            }
            Self::Fresh(prefix) => pattern.wildcard && prefix.starts_with(&pattern.text),
        }
    }

    /// The interface of a name that a user gave.
    pub fn parse(text: &str) -> Self {
        match text {
            "lo" | "lo0" => Self::Loopback,
            _ => Pattern::parse(text).representative(),
        }
    }

    /// How reports name it: none for "any other".
    pub fn label(&self) -> Option<String> {
        match self {
            Self::Loopback => Some("lo".to_owned()),
            Self::Named(n) => Some(n.clone()),
            Self::Fresh(p) if p.is_empty() => None,
            Self::Fresh(p) => Some(format!("{p}*")),
        }
    }
}

/// What kind of packet of a TCP connection is asked about (the rows of the contract's decision table).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Packet {
    /// It opens a connection: SYN and no ACK.
    Opening,
    /// SYN, no ACK, and other flags beside (FIN): still opens a connection.
    OddOpening,
    /// It belongs to a connection that the firewall knows as opened towards the port.
    Known,
    /// It belongs to no connection that the firewall knows.
    Stray,
    /// It belongs to a connection that the firewall knows the other way round, as when a server that speaks first made it
    /// adopt a flow after its table was emptied.
    Adopted,
}

impl Packet {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Opening, Self::OddOpening, Self::Known, Self::Stray, Self::Adopted];

    /// The TCP flags of such a packet: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32 (RFC 9293 section 3.1).
    pub fn flags(self) -> u8 {
        match self {
            Self::Opening => 0x02,
            Self::OddOpening => 0x03,
            Self::Known | Self::Stray | Self::Adopted => 0x10,
        }
    }

    /// Whether it opens a connection.
    pub fn opens(self) -> bool {
        matches!(self, Self::Opening | Self::OddOpening)
    }
}

/// Everything about a packet but its source.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Question {
    /// The way through the host.
    pub path: Path,
    /// The TCP port that the client dialled, before any translation.
    pub port: u16,
    /// The interface that the packet comes in by.
    pub interface: Interface,
    /// The destination, where it is asked about: any one address of the set. None on the way in: an address of the host.
    pub to: Option<Destination>,
    /// The kind of packet.
    pub packet: Packet,
}

/// A set of destinations of which each is asked about alike; ordered by its text.
pub type Destination = std::sync::Arc<DestinationSet>;

/// See [`Destination`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DestinationSet(pub AddrSet);

impl PartialOrd for DestinationSet {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DestinationSet {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.v4.spans(), self.0.v6.spans()).cmp(&(other.0.v4.spans(), other.0.v6.spans()))
    }
}

impl Question {
    /// A connection from outside to this host's port by any interface that nobody names.
    pub fn opening(port: u16) -> Self {
        Self { path: Path::Input, port, interface: Interface::Fresh(String::new()), to: None, packet: Packet::Opening }
    }

    /// The same question with a destination.
    #[must_use]
    pub fn to(mut self, set: AddrSet) -> Self {
        self.to = Some(std::sync::Arc::new(DestinationSet(set)));
        self
    }

    /// The same question for another kind of packet.
    #[must_use]
    pub fn packet(&self, packet: Packet) -> Self {
        Self { packet, ..self.clone() }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path {
            Path::Outside => "from outside",
            Path::Input => "input",
            Path::Forwarded => "forwarded",
        };
        write!(f, "port {}, {path}", self.port)?;
        match self.interface.label() {
            Some(label) => write!(f, ", by {label}")?,
            None => write!(f, ", by any other interface")?,
        }
        if let Some(to) = &self.to {
            write!(f, ", to {}", to.0)?;
        }
        write!(
            f,
            ", {}",
            match self.packet {
                Packet::Opening => "opening a connection",
                Packet::OddOpening => "opening a connection with odd flags",
                Packet::Known => "of a known connection",
                Packet::Stray => "of no known connection",
                Packet::Adopted => "of a connection known the other way round",
            }
        )
    }
}
