//! Probes: TCP packets with chosen sources and flags, sent in bulk, and what became of each.
//!
//! What passes the rules is seen by a base chain behind them, which notes each probe and then drops it; what is reset is
//! seen at the clients. A probe's source port tells it from others of the same source. Nothing depends on timing: each
//! batch is followed by a datagram through the same queue, and the batch is over when that one has arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::Lab;
use crate::wire::{Marker, stay_on_one_processor};

/// SYN alone.
pub(crate) const SYN: u8 = 0x02;
/// ACK alone.
pub(crate) const ACK: u8 = 0x10;
/// SYN and FIN: no ordinary stack sends it.
pub(crate) const SYN_FIN: u8 = 0x03;

/// The source ports of probes.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A packet to be sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Probe {
    /// The number of the interface by which it comes in (see [`Lab::number`]).
    pub(crate) interface: usize,
    /// Its source.
    pub(crate) source: IpAddr,
    /// Its destination.
    pub(crate) to: IpAddr,
    /// Its destination port.
    pub(crate) port: u16,
    /// Its TCP flags.
    pub(crate) flags: u8,
}

impl Probe {
    /// A packet to the host by its first interface.
    pub(crate) fn new(source: IpAddr, port: u16, flags: u8) -> Self {
        Self { interface: 0, source, to: Lab::host_address(source), port, flags }
    }
}

/// What became of a probe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fate {
    /// It came through all rules.
    Passed,
    /// A reset came back.
    Reset,
    /// Nothing.
    Dropped,
}

/// The base chains that see probes behind all rules, on the host: after every priority that others use. What is forwarded is noted under the port that it was sent to.
const HOST_CHAINS: &str = "
table inet probe {
	set passed4 { type ipv4_addr . inet_service . inet_service; size 2000000; flags dynamic; }
	set passed6 { type ipv6_addr . inet_service . inet_service; size 2000000; flags dynamic; }
	chain note {
		meta l4proto tcp ct original proto-dst 0-65535 add @passed4 { ip saddr . ct original proto-dst . th sport } drop
		meta l4proto tcp ct original proto-dst 0-65535 add @passed6 { ip6 saddr . ct original proto-dst . th sport } drop
		add @passed4 { ip saddr . th dport . th sport } drop
		add @passed6 { ip6 saddr . th dport . th sport } drop
		drop
	}
	chain input { type filter hook input priority 500; policy accept; tcp sport 20000-29999 goto note; }
	chain forward { type filter hook forward priority 500; policy accept; tcp sport 20000-29999 goto note; }
}
";

/// The chain that counts probes before all rules, as they come from the devices.
fn arrivals(interfaces: &[String]) -> String {
    let devices = interfaces.join(", ");
    format!(
        "table netdev probe {{
	counter arrived {{ }}
	chain before {{
		type filter hook ingress devices = {{ {devices} }} priority -900; policy accept;
		tcp sport 20000-29999 counter name arrived
	}}
}}
"
    )
}

/// What the clients see: resets come back to a probe's port; nothing that does is answered.
const CLIENT_CHAINS: &str = "
table inet probe {
	set reset4 { type ipv4_addr . inet_service . inet_service; size 2000000; flags dynamic; }
	set reset6 { type ipv6_addr . inet_service . inet_service; size 2000000; flags dynamic; }
	chain back {
		type filter hook prerouting priority -450; policy accept;
		tcp dport 20000-29999 tcp flags & rst == rst add @reset4 { ip daddr . th sport . th dport } drop
		tcp dport 20000-29999 tcp flags & rst == rst add @reset6 { ip6 daddr . th sport . th dport } drop
		tcp dport 20000-29999 drop
	}
}
";

/// Sends probes and says what became of each.
pub(crate) struct Gun<'l> {
    lab: &'l Lab,
    sockets: BTreeMap<(usize, bool), Socket>,
    marker: Marker,
}

impl<'l> Gun<'l> {
    /// Makes a lab ready for probes.
    pub(crate) fn new(lab: &'l Lab) -> Self {
        Self { lab, sockets: BTreeMap::new(), marker: Marker::new(lab) }
    }

    /// Sends all probes and waits until each has been decided.
    pub(crate) fn fire(&mut self, probes: &[Probe]) -> Vec<Fate> {
        let arrivals = arrivals(self.lab.interfaces());
        self.lab.nft(&format!(
            "table inet probe\ndelete table inet probe\ntable netdev probe\ndelete table netdev probe\n{arrivals}{HOST_CHAINS}"
        ));
        let client = format!("table inet probe\ndelete table inet probe\n{CLIENT_CHAINS}");
        self.lab.clients.run("nft", &["-f", "-"], &client);
        let mut used: BTreeMap<(IpAddr, u16), u16> = BTreeMap::new();
        let tagged: Vec<(Probe, u16)> = probes
            .iter()
            .map(|p| {
                let next = used.entry((p.source, p.port)).or_insert(PORTS.start);
                *next += 1;
                assert!(PORTS.contains(next), "too many probes of one source");
                (*p, *next - 1)
            })
            .collect();
        for probe in probes {
            self.socket(*probe);
        }
        // One processor: its queue keeps the order of what is sent, so a batch is over when the datagram behind it is there.
        std::thread::scope(|s| {
            s.spawn(|| {
                stay_on_one_processor();
                // Fewer than the shortest queue (net.core.netdev_max_backlog) holds.
                for batch in tagged.chunks(200) {
                    for (probe, tag) in batch {
                        self.send(*probe, *tag);
                    }
                    self.marker.pass();
                }
            });
        });
        let arrived = self.lab.host.run("nft", &["list", "counter", "netdev", "probe", "arrived"], "");
        let count = format!("packets {} ", probes.len());
        assert!(arrived.contains(&count), "of {} probes not all have arrived: {arrived}", probes.len());
        let (host, clients) = (&self.lab.host, &self.lab.clients);
        let passed = [noted(host, "passed4"), noted(host, "passed6")].concat().into_iter().collect::<BTreeSet<_>>();
        let reset = [noted(clients, "reset4"), noted(clients, "reset6")].concat().into_iter().collect::<BTreeSet<_>>();
        tagged
            .iter()
            .map(|(p, tag)| {
                let key = (p.source, p.port, *tag);
                match (passed.contains(&key), reset.contains(&key)) {
                    (true, _) => Fate::Passed,
                    (false, true) => Fate::Reset,
                    (false, false) => Fate::Dropped,
                }
            })
            .collect()
    }

    /// What became of one packet.
    pub(crate) fn one(&mut self, probe: Probe) -> Fate {
        self.fire(&[probe])[0]
    }

    fn socket(&mut self, probe: Probe) -> &Socket {
        let v4 = probe.source.is_ipv4();
        self.sockets.entry((probe.interface, v4)).or_insert_with(|| {
            self.lab.clients.enter(|| {
                let domain = if v4 { Domain::IPV4 } else { Domain::IPV6 };
                // 255 is IPPROTO_RAW: the kernel only sends on such a socket.
                let socket =
                    Socket::new(domain, Type::RAW, Some(Protocol::from(255))).expect("root may make raw sockets");
                if v4 { socket.set_header_included_v4(true) } else { socket.set_header_included_v6(true) }
                    .expect("raw sockets take headers");
                socket
                    .bind_device(Some(format!("peer{}", probe.interface).as_bytes()))
                    .expect("the interface is there");
                socket
            })
        })
    }

    fn send(&mut self, probe: Probe, tag: u16) {
        let packet = packet(probe, tag);
        let to = SocketAddr::new(probe.to, 0);
        self.socket(probe).send_to(&packet, &to.into()).unwrap_or_else(|e| panic!("{probe:?} cannot be sent: {e}"));
    }
}

/// What a set of address, port and source port holds.
fn noted(namespace: &crate::lab::Namespace, set: &str) -> Vec<(IpAddr, u16, u16)> {
    let text = namespace.run("nft", &["list", "set", "inet", "probe", set], "");
    let Some((_, elements)) = text.split_once("elements = {") else { return Vec::new() };
    let number = |t: Option<&str>| t.and_then(|t| t.parse().ok()).expect("a port");
    elements
        .split(['}', ','])
        .map(str::trim)
        .filter(|e| !e.is_empty())
        .map(|element| {
            let mut parts = element.split(" . ");
            let ip = parts.next().and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("{element:?} is no address"));
            (ip, number(parts.next()), number(parts.next()))
        })
        .collect()
}

/// A whole packet: IP header and TCP header, with right checksums (connection tracking looks at them).
fn packet(p: Probe, sport: u16) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(60);
    tcp.extend(sport.to_be_bytes());
    tcp.extend(p.port.to_be_bytes());
    tcp.extend(1_000_000u32.to_be_bytes()); // sequence
    tcp.extend(if p.flags & ACK == 0 { 0u32 } else { 2_000_000 }.to_be_bytes()); // acknowledgement
    tcp.extend([5 << 4, p.flags]); // five words of header
    tcp.extend(64240u16.to_be_bytes()); // window
    tcp.extend([0; 4]); // checksum, urgent pointer
    match (p.source, p.to) {
        (IpAddr::V4(source), IpAddr::V4(to)) => v4(source, to, &mut tcp),
        (IpAddr::V6(source), IpAddr::V6(to)) => v6(source, to, &mut tcp),
        _ => panic!("a packet has one family"),
    }
}

fn v4(source: Ipv4Addr, to: Ipv4Addr, tcp: &mut Vec<u8>) -> Vec<u8> {
    let addresses = [source.octets(), to.octets()].concat();
    let pseudo = [&addresses[..], &[0, 6], &(tcp.len() as u16).to_be_bytes()].concat();
    seal(tcp, &pseudo);
    let mut out = vec![0x45, 0];
    out.extend((20 + tcp.len() as u16).to_be_bytes());
    // No fragments, 64 hops, TCP. The kernel fills in the header's checksum.
    out.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
    out.extend(addresses);
    out.append(tcp);
    out
}

fn v6(source: Ipv6Addr, to: Ipv6Addr, tcp: &mut Vec<u8>) -> Vec<u8> {
    let addresses = [source.octets(), to.octets()].concat();
    let pseudo = [&addresses[..], &(tcp.len() as u32).to_be_bytes(), &[0, 0, 0, 6]].concat();
    seal(tcp, &pseudo);
    let mut out = vec![0x60, 0, 0, 0];
    out.extend((tcp.len() as u16).to_be_bytes());
    out.extend([6, 64]);
    out.extend(addresses);
    out.append(tcp);
    out
}

/// Writes the checksum of RFC 9293 section 3.1 over a pseudo header and the segment.
fn seal(tcp: &mut [u8], pseudo: &[u8]) {
    let words = pseudo.chunks(2).chain(tcp.chunks(2));
    let mut sum: u32 = words.map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    tcp[16..18].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}
