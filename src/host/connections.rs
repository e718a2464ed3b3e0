//! Open TCP connections to local ports: the kernel's own tables, and ending one of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use crate::net::AddrSet;

use super::{Host, HostError, Run, states};

/// One open connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Connection {
    /// The client.
    pub peer: IpAddr,
    /// Its port.
    pub peer_port: u16,
    /// The port that the client dialled.
    pub port: u16,
}

/// Which connections through this host, to others behind it, are meant beside those to itself.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Through {
    /// Those whose destination this host translates (DNAT).
    pub translated: bool,
    /// Those that it routes to these addresses.
    pub routed: AddrSet,
}

/// The bound on a table of sockets.
const LARGEST: u64 = 256 << 20;

/// Every open connection to one of the ports that the host knows: its own sockets, and what it tracks for those who are
/// meant. What others have open to somebody else's port, and this host itself, is none of them. On the BSDs and macOS: what
/// pf has a state of.
///
/// # Errors
/// A system whose tables are not known here.
pub fn connections(host: &dyn Host, ports: &[u16], through: &Through) -> Result<BTreeSet<Connection>, HostError> {
    if has_pf(host) {
        let states = states::states(host)?.into_iter().map(|s| s.connection);
        return Ok(states.filter(|c| ports.contains(&c.port)).collect());
    }
    let mut out = BTreeSet::new();
    let mut seen = false;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A kernel without IPv6 has one table only.
        if let Ok(text) = host.read(Path::new(table), LARGEST) {
            seen = true;
            out.extend(sockets(&String::from_utf8_lossy(&text)));
        }
    }
    let list = Run::new("conntrack", ["-L", "-p", "tcp", "-o", "extended"]).time(Duration::from_secs(60));
    // Without the tool, or without permission, what is forwarded to others is not seen.
    if let Ok(ran) = host.run(&list)
        && ran.success()
    {
        seen = true;
        let all = String::from_utf8_lossy(&ran.stdout);
        let meant: Vec<Connection> = tracked(&all).filter(|t| t.is_meant(&out, through)).map(|t| t.dialled).collect();
        out.extend(meant);
    }
    out.retain(|c| ports.contains(&c.port));
    if seen { Ok(out) } else { Err(HostError::Missing { program: "conntrack".to_owned() }) }
}

fn has_pf(host: &dyn Host) -> bool {
    !matches!(host.system(), "linux" | "windows")
}

/// Why connections of some addresses cannot be ended on a host while those of others stay, and what to do.
pub type CannotEnd = (&'static str, &'static str);

/// Whether single connections can be ended on this host.
///
/// # Errors
/// Why not.
pub fn can_end(host: &dyn Host) -> Result<(), CannotEnd> {
    let has = |program| !matches!(host.run(&Run::new(program, ["-V"])), Err(HostError::Missing { .. }));
    match host.system() {
        "macos" => Err((
            "pf on macOS cannot end single connections",
            "leave `--cut` out, and restart the mail server after the apply; `pfctl -k ADDRESS` ends all states of one \
             source, to other ports as well",
        )),
        "linux" if !has("conntrack") && !has("ss") => {
            Err(("ending connections needs `conntrack` or `ss`", "install the package conntrack or iproute2"))
        }
        _ => Ok(()),
    }
}

/// Ends connections: the firewall forgets them, and the host's own sockets are closed where the kernel can. How many were
/// forgotten or closed.
pub fn end(host: &dyn Host, connections: &BTreeSet<Connection>) -> usize {
    if has_pf(host) {
        // Their numbers are asked for now: a state may have ended, and another one have been made, since they were listed.
        let states = states::states(host).unwrap_or_default().into_iter();
        return states.filter(|s| connections.contains(&s.connection)).filter(|s| states::end(host, s)).count();
    }
    let mut ended = 0;
    for c in connections {
        let family = if c.peer.is_ipv4() { "ipv4" } else { "ipv6" };
        let (peer, sport, dport) = (c.peer.to_string(), c.peer_port.to_string(), c.port.to_string());
        let args = [
            "-D",
            "-f",
            family,
            "-p",
            "tcp",
            "--orig-src",
            &peer,
            "--orig-port-src",
            &sport,
            "--orig-port-dst",
            &dport,
        ];
        let forgotten = host.run(&Run::new("conntrack", args)).is_ok_and(|ran| ran.success());
        let (dst, local) = (format!("[{peer}]:{sport}"), format!(":{dport}"));
        let args = ["-K", "-H", "-t", "-n", "dst", dst.as_str(), "sport", "=", local.as_str()];
        let closed =
            host.run(&Run::new("ss", args)).is_ok_and(|ran| ran.success() && !ran.stdout.trim_ascii().is_empty());
        ended += usize::from(forgotten || closed);
    }
    ended
}

/// `/proc/net/tcp` and `tcp6`: hexadecimal addresses in the byte order of the machine, state 01 is ESTABLISHED (proc(5)).
fn sockets(text: &str) -> impl Iterator<Item = Connection> + '_ {
    text.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
        if state != "01" {
            return None;
        }
        let port = |end: &str| u16::from_str_radix(end.split_once(':')?.1, 16).ok();
        Some(Connection { peer: address(remote.split_once(':')?.0)?, peer_port: port(remote)?, port: port(local)? })
    })
}

fn address(hex: &str) -> Option<IpAddr> {
    let word = |i: usize| u32::from_str_radix(hex.get(8 * i..8 * i + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => word(0).map(|b| Ipv4Addr::from(b).into()),
        32 => {
            let mut bytes = [0u8; 16];
            for i in 0..4 {
                bytes[4 * i..4 * i + 4].copy_from_slice(&word(i)?);
            }
            // A socket of both families holds IPv4 clients as mapped addresses.
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// A connection that the kernel tracks.
#[derive(Clone, Copy, Debug)]
struct Tracked {
    /// The client, and the port that it dialled.
    dialled: Connection,
    /// The address that it dialled.
    to: IpAddr,
    /// Who answers.
    answers: (IpAddr, u16),
}

impl Tracked {
    fn is_meant(&self, own: &BTreeSet<Connection>, through: &Through) -> bool {
        let Self { dialled, to, answers: (from, port) } = *self;
        // A redirected connection is one of the host's own under the port that answers.
        own.contains(&Connection { port, ..dialled })
            || through.translated && (from, port) != (to, dialled.port)
            || through.routed.contains(to)
    }
}

/// `conntrack -L -o extended`: the first `src=`, `dst=`, `sport=`, `dport=` are those of the original direction, the second
/// ones those of the replies.
fn tracked(text: &str) -> impl Iterator<Item = Tracked> + '_ {
    text.lines().filter(|l| l.contains(" ESTABLISHED ")).filter_map(|line| {
        let mut words = line.split_whitespace();
        let mut value = |key: &str| words.find_map(|w| w.strip_prefix(key));
        let (peer, to) = (value("src=")?.parse().ok()?, value("dst=")?.parse().ok()?);
        let (peer_port, port) = (value("sport=")?.parse().ok()?, value("dport=")?.parse().ok()?);
        let answers = (value("src=")?.parse().ok()?, value("sport=")?.parse().ok()?);
        Some(Tracked { dialled: Connection { peer, peer_port, port }, to, answers })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let v4 = "  sl  local_address rem_address   st\n   0: 0100007F:03E1 0200007F:C001 01 0\n   1: 00000000:03E1 00000000:0000 0A 0\n";
        let found: Vec<_> = sockets(v4).collect();
        assert_eq!(found, [Connection { peer: "127.0.0.2".parse().unwrap(), peer_port: 0xc001, port: 993 }]);
        let v6 = "head\n   0: 00000000000000000000000001000000:03E1 0000000000000000FFFF00000200007F:0001 01\n";
        assert_eq!(sockets(v6).next().unwrap().peer.to_string(), "127.0.0.2");
        assert_eq!(sockets("head\nrubbish\n 0: xx 1 01\n").count(), 0);
    }

    #[test]
    fn what_is_tracked_is_read() {
        let line = "ipv4     2 tcp      6 431999 ESTABLISHED src=192.0.2.9 dst=10.0.0.1 sport=50000 dport=993 \
                    src=172.17.0.2 dst=192.0.2.9 sport=10993 dport=50000 [ASSURED] mark=0 use=1\n";
        let found: Vec<_> = tracked(line).collect();
        let [one] = found[..] else { panic!("{found:?}") };
        assert_eq!(one.dialled, Connection { peer: "192.0.2.9".parse().unwrap(), peer_port: 50000, port: 993 });
        assert_eq!((one.to, one.answers), ("10.0.0.1".parse().unwrap(), ("172.17.0.2".parse().unwrap(), 10993)));
        assert_eq!(tracked("tcp 6 ESTABLISHED src=rubbish\n").count(), 0);
    }

    #[test]
    fn what_others_have_open_to_others_is_not_meant() {
        let line = |to: &str, from: &str, port: u16| {
            format!(
                "ipv4 2 tcp 6 99 ESTABLISHED src=192.0.2.9 dst={to} sport=50000 dport=993 src={from} dst=192.0.2.9 \
                 sport={port} dport=50000 [ASSURED] mark=0 use=1\n"
            )
        };
        let own = |port| BTreeSet::from([Connection { peer: "192.0.2.9".parse().unwrap(), peer_port: 50000, port }]);
        let none = Through::default();
        let translated = Through { translated: true, ..Through::default() };
        let routed = Through { translated: true, routed: "198.51.100.0/24".parse().unwrap() };
        let meant = |line: &str, own: &BTreeSet<Connection>, through| tracked(line).all(|t| t.is_meant(own, through));
        let (here, redirected) = (line("10.0.0.1", "10.0.0.1", 993), line("10.0.0.1", "10.0.0.1", 2993));
        assert!(meant(&here, &own(993), &none) && meant(&redirected, &own(2993), &none));
        // Somebody behind this host, or the host itself, reads mail elsewhere.
        let elsewhere = line("198.51.100.1", "198.51.100.1", 993);
        assert!(!meant(&elsewhere, &BTreeSet::new(), &none) && !meant(&elsewhere, &BTreeSet::new(), &translated));
        assert!(meant(&elsewhere, &BTreeSet::new(), &routed));
        let container = line("10.0.0.1", "172.17.0.2", 993);
        assert!(!meant(&container, &BTreeSet::new(), &none) && meant(&container, &BTreeSet::new(), &translated));
    }
}
