//! pf's states: open connections as the packet filter of the BSDs and macOS knows them, and ending one by its number.
//!
//! `pfctl -ss -vv` prints several lines a state. The first has the two ends, the last its number (pfctl(8), `-k id`):
//!
//! ```text
//! all tcp 192.0.2.1:993 <- 198.51.100.7:50000       ESTABLISHED:ESTABLISHED
//!    age 00:00:05, expires in 23:59:55, 5:4 pkts, 300:240 bytes, rule 3
//!    id: 5d3f8b1c00000001 creatorid: 2a3b4c5d
//! ```

use std::net::IpAddr;
use std::time::Duration;

use super::{Connection, Host, HostError, Run};

/// A state of a connection that somebody opened towards a port here, or behind this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    /// The connection.
    pub(super) connection: Connection,
    /// Its number and that of the host that made it, as `pfctl -k id -k` takes them.
    pub(super) id: String,
}

/// Every state of an established TCP connection that came in.
///
/// # Errors
/// pfctl is missing, or may not look.
pub(super) fn states(host: &dyn Host) -> Result<Vec<State>, HostError> {
    let list = Run::new("pfctl", ["-ss", "-vv"]).time(Duration::from_secs(60));
    let command = list.to_string();
    let ran = host.run(&list)?;
    if !ran.success() {
        let error = if ran.denied() {
            std::io::ErrorKind::PermissionDenied.into()
        } else {
            std::io::Error::other(ran.complaint())
        };
        return Err(HostError::Program { command, error });
    }
    Ok(read(&String::from_utf8_lossy(&ran.stdout)))
}

/// Ends one state, and no other. Whether it was there.
pub(super) fn end(host: &dyn Host, state: &State) -> bool {
    let ran = host.run(&Run::new("pfctl", ["-k", "id", "-k", &state.id]));
    // It exits with 0 where there was none, and says so.
    ran.is_ok_and(|ran| ran.success() && !String::from_utf8_lossy(&ran.stderr).contains("killed 0 states"))
}

fn read(text: &str) -> Vec<State> {
    let mut out = Vec::new();
    let mut open: Option<Connection> = None;
    for line in text.lines() {
        if !line.starts_with([' ', '\t']) {
            open = connection(line);
        } else if let Some(id) = number(line)
            && let Some(connection) = open.take()
        {
            out.push(State { connection, id });
        }
    }
    out
}

/// The first line of a state that came in: the end here, behind a translation the one that was dialled in parentheses, an
/// arrow, the client, and what both sides of it are in. The port is the one that rules see, which is the translated one.
fn connection(line: &str) -> Option<Connection> {
    let mut words = line.split_whitespace();
    let (_interface, protocol, here) = (words.next()?, words.next()?, words.next()?);
    let mut arrow = words.next()?;
    if arrow.starts_with('(') {
        arrow = words.next()?;
    }
    let (peer, phase) = (words.next()?, words.next_back()?);
    if protocol != "tcp" || arrow != "<-" || phase != "ESTABLISHED:ESTABLISHED" {
        return None;
    }
    let ((_, port), (peer, peer_port)) = (end_point(here)?, end_point(peer)?);
    Some(Connection { peer, peer_port, port })
}

/// `192.0.2.1:993`, or `2001:db8::1[993]`.
fn end_point(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = match text.strip_suffix(']') {
        Some(bracketed) => bracketed.split_once('[')?,
        None => text.rsplit_once(':')?,
    };
    // An address with a scope is one of this link.
    Some((address.split('%').next()?.parse().ok()?, port.parse().ok()?))
}

/// `id: 5d3f8b1c00000001 creatorid: 2a3b4c5d`: hexadecimal digits, and nothing else goes into a command.
fn number(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let hexadecimal = |w: &&str| !w.is_empty() && w.len() <= 16 && w.bytes().all(|b| b.is_ascii_hexdigit());
    let id = words.by_ref().find(|w| *w == "id:").and_then(|_| words.next()).filter(hexadecimal)?;
    let creator = words.by_ref().find(|w| *w == "creatorid:").and_then(|_| words.next()).filter(hexadecimal);
    Some(creator.map_or_else(|| id.to_owned(), |c| format!("{id}/{c}")))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::{Ran, Recorded, Through, can_end, connections, end};
    use super::*;

    /// In the form of the manual and of pfctl's source (`pf_print_state.c`); no BSD printed it for this test.
    const STATES: &str = "\
all tcp 192.0.2.1:993 <- 198.51.100.7:50000       ESTABLISHED:ESTABLISHED
   [2345 + 16384] wscale 6  [6789 + 16384] wscale 6
   age 00:00:05, expires in 23:59:55, 5:4 pkts, 300:240 bytes, anchor 0, rule 3
   id: 5d3f8b1c00000001 creatorid: 2a3b4c5d
all tcp 2001:db8::1[993] <- 2001:db8:2::7[50001]       ESTABLISHED:ESTABLISHED
   age 00:00:05, expires in 23:59:55, 5:4 pkts, 300:240 bytes, rule 3
   id: 5d3f8b1c00000002 creatorid: 2a3b4c5d gateway: 192.0.2.254
all tcp 10.0.0.5:993 (192.0.2.1:8993) <- 198.51.100.7:50002       ESTABLISHED:ESTABLISHED
   id: 5d3f8b1c00000003 creatorid: 2a3b4c5d
all tcp 192.0.2.1:993 <- 198.51.100.7:50003       FIN_WAIT_2:FIN_WAIT_2
   id: 5d3f8b1c00000004 creatorid: 2a3b4c5d
all tcp 192.0.2.1:50004 -> 198.51.100.7:993       ESTABLISHED:ESTABLISHED
   id: 5d3f8b1c00000005 creatorid: 2a3b4c5d
all udp 192.0.2.1:993 <- 198.51.100.7:50005       MULTIPLE:MULTIPLE
   id: 5d3f8b1c00000006 creatorid: 2a3b4c5d
all tcp 192.0.2.1:22 <- 198.51.100.7:50006       ESTABLISHED:ESTABLISHED
   id: 5d3f8b1c00000007 creatorid: 2a3b4c5d
";

    fn bsd(system: &'static str) -> Recorded {
        let said = |out: &str, err: &str| Ran { code: Some(0), stdout: out.into(), stderr: err.into() };
        let kill = |id: &str| (format!("pfctl -k id -k {id}/2a3b4c5d"), said("", "killed 1 states\n"));
        let programs = BTreeMap::from([
            ("pfctl -ss -vv".to_owned(), said(STATES, "")),
            kill("5d3f8b1c00000001"),
            kill("5d3f8b1c00000002"),
        ]);
        Recorded { system, programs, ..Recorded::default() }
    }

    #[test]
    fn only_who_came_in_is_listed() {
        let found = connections(&bsd("openbsd"), &[993, 995], &Through::default()).unwrap();
        let found: Vec<_> = found.iter().map(|c| (c.peer.to_string(), c.peer_port, c.port)).collect();
        let all = [("198.51.100.7", 50000), ("198.51.100.7", 50002), ("2001:db8:2::7", 50001)];
        assert_eq!(found, all.map(|(ip, port)| (ip.to_owned(), port, 993)));
    }

    #[test]
    fn a_state_is_ended_by_its_number_and_no_other_is() {
        let host = bsd("freebsd");
        let wanted: BTreeSet<_> = connections(&host, &[993], &Through::default())
            .unwrap()
            .into_iter()
            .filter(|c| c.peer_port != 50002)
            .collect();
        assert!(can_end(&host).is_ok());
        assert_eq!(end(&host, &wanted), 2);
        let runs: Vec<String> = host.runs.borrow().iter().map(ToString::to_string).collect();
        let kills: Vec<_> = runs.iter().filter(|r| r.contains("-k")).collect();
        assert_eq!(kills, ["pfctl -k id -k 5d3f8b1c00000001/2a3b4c5d", "pfctl -k id -k 5d3f8b1c00000002/2a3b4c5d"]);
    }

    #[test]
    fn macos_has_no_way_to_end_one_state() {
        assert!(can_end(&bsd("macos")).is_err());
        assert_eq!(
            connections(&bsd("macos"), &[993], &Through::default()).unwrap().len(),
            3,
            "it lists them all the same"
        );
    }

    #[test]
    fn what_is_no_number_reaches_no_command() {
        let text = "all tcp 192.0.2.1:993 <- 198.51.100.7:50000 ESTABLISHED:ESTABLISHED\n   id: ../../x creatorid: 1\n";
        assert_eq!(read(text), []);
        let none = Ran { code: Some(1), stderr: b"pfctl: /dev/pf: Permission denied".to_vec(), ..Ran::default() };
        let programs = BTreeMap::from([("pfctl -ss -vv".to_owned(), none)]);
        let host = Recorded { system: "openbsd", programs, ..Recorded::default() };
        let error = connections(&host, &[993], &Through::default()).unwrap_err();
        assert_eq!(error.kind(), Some(std::io::ErrorKind::PermissionDenied));
    }
}
