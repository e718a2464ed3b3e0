//! The parts of a packet that rules look at, by nft's names for them.

use crate::net::Family;
use crate::ruleset::Mark;

/// A part of a packet or of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Source(Family),
    Destination(Family),
    DestinationPort,
    SourcePort,
    OriginalDestinationPort,
    /// The transport protocol; with a family where the header's field is named.
    Protocol(Option<Family>),
    /// The network protocol.
    Network,
    TcpFlags,
    State,
    Direction,
    Status,
    Mark(Mark),
    /// The interface that the packet came in by, by name.
    Interface,
    /// The kind of the destination address.
    DestinationKind,
    /// The kind of the frame.
    PacketKind,
    /// Of another transport protocol than TCP: no packet that is asked about has it.
    OtherProtocol,
    /// Not modelled; with the family that it implies.
    Other(String, Option<Family>),
}

impl Field {
    /// The family of the packets that have it; none: both.
    pub(super) fn family(&self) -> Option<Family> {
        match self {
            Self::Source(f) | Self::Destination(f) | Self::Protocol(Some(f)) | Self::Other(_, Some(f)) => Some(*f),
            _ => None,
        }
    }

    /// The field of nft's words, joined by one blank: `ip saddr`, `ct original proto-dst`.
    pub(super) fn parse(words: &str) -> Self {
        use Family::{V4, V6};
        let other = |family| Self::Other(words.to_owned(), family);
        match words {
            "ip saddr" => Self::Source(V4),
            "ip6 saddr" => Self::Source(V6),
            "ip daddr" => Self::Destination(V4),
            "ip6 daddr" => Self::Destination(V6),
            "tcp dport" | "th dport" => Self::DestinationPort,
            "tcp sport" | "th sport" => Self::SourcePort,
            "ct original proto-dst" => Self::OriginalDestinationPort,
            "meta l4proto" => Self::Protocol(None),
            "ip protocol" => Self::Protocol(Some(V4)),
            "ip6 nexthdr" => Self::Protocol(Some(V6)),
            "meta nfproto" | "meta protocol" | "ether type" => Self::Network,
            "tcp flags" => Self::TcpFlags,
            "ct state" => Self::State,
            "ct direction" => Self::Direction,
            "ct status" => Self::Status,
            "meta mark" => Self::Mark(Mark::Packet),
            "ct mark" => Self::Mark(Mark::Connection),
            "meta iifname" | "meta iif" => Self::Interface,
            "fib daddr type" | "fib daddr . iif type" => Self::DestinationKind,
            "meta pkttype" => Self::PacketKind,
            _ => match words.split(' ').next().unwrap_or_default() {
                "udp" | "udplite" | "sctp" | "dccp" | "icmp" | "icmpv6" | "igmp" | "ah" | "esp" | "comp" | "arp"
                | "gre" | "vxlan" | "geneve" => Self::OtherProtocol,
                "ip" => other(Some(V4)),
                "ip6" | "exthdr" | "frag" | "hbh" | "rt" | "dst" | "mh" | "srh" => other(Some(V6)),
                _ => other(None),
            },
        }
    }
}
