//! Clients while rules change: who is trusted before and after is never refused, who is trusted in neither never gets in.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::lab::{HOST4, Lab, inside};
use crate::machine::{Backend, Machine};

/// How many times the rules are changed.
const APPLIES: usize = 200;

/// A connection from one of the clients' addresses to the guarded port.
pub(crate) fn connect(from: &str, time: Duration) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let from: IpAddr = from.parse().expect("an address");
    socket.bind(&SocketAddr::new(from, 0).into())?;
    let host: IpAddr = HOST4.parse().expect("an address");
    socket.connect_timeout(&SocketAddr::new(host, 993).into(), time)?;
    Ok(socket.into())
}

fn packets_during_the_change(backend: Backend) {
    let lab = Lab::new(&["eth0"]);
    lab.clients.ip("addr add 198.51.100.7/32 dev lo\naddr add 203.0.113.66/32 dev lo\n");
    let listener = TcpListener::bind((HOST4, 993)).expect("the port is free in this namespace");
    let machine = Machine::new(backend);
    // Both trust the client's network, by other prefixes and beside other networks.
    let one = machine.profile("one", &["198.51.100.0/24", "192.0.2.128/25"], "");
    let two = machine.profile("two", &["198.51.100.0/25", "10.0.0.0/8"], "");
    machine.apply(&one);
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|s| {
        s.spawn(|| {
            // A server that answers one byte by the next, on every connection.
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                served.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&[byte[0] + 1]).is_ok() {}
                });
            }
        });
        let trusted = s.spawn(|| {
            lab.clients.enter(|| {
                let mut open = connect("198.51.100.7", Duration::from_secs(10)).expect("it is trusted");
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    // A lost SYN would be sent again after a second; a bound below it sees every refusal.
                    connect("198.51.100.7", Duration::from_millis(900)).expect("it is trusted before and after");
                    let mut byte = [0];
                    open.write_all(&[1]).and_then(|()| open.read_exact(&mut byte)).expect("open connections survive");
                    assert_eq!(byte, [2]);
                    count += 1;
                    std::thread::sleep(Duration::from_millis(2));
                }
                count
            })
        });
        let stranger = s.spawn(|| {
            lab.clients.enter(|| {
                while !stop.load(Ordering::Relaxed) {
                    let got = connect("203.0.113.66", Duration::from_millis(50));
                    assert!(got.is_err(), "it is trusted in neither");
                }
            });
        });
        for n in 0..APPLIES {
            machine.apply(if n % 2 == 0 { &two } else { &one });
        }
        stop.store(true, Ordering::Relaxed);
        let count = trusted.join().expect("the trusted client was never refused");
        stranger.join().expect("the stranger never got in");
        assert!(count > APPLIES / 4, "only {count} connections were tried");
        // One connection more lets the server see that it is to stop.
        lab.clients.enter(|| drop(connect("198.51.100.7", Duration::from_secs(10))));
    });
}

#[test]
fn nobody_is_refused_or_let_in_nftables() {
    inside("packets::nobody_is_refused_or_let_in_nftables", || packets_during_the_change(Backend::Nftables));
}

#[test]
fn nobody_is_refused_or_let_in_iptables_nft() {
    inside("packets::nobody_is_refused_or_let_in_iptables_nft", || packets_during_the_change(Backend::IptablesNft));
}

#[test]
fn nobody_is_refused_or_let_in_iptables_legacy() {
    inside("packets::nobody_is_refused_or_let_in_iptables_legacy", || {
        packets_during_the_change(Backend::IptablesLegacy);
    });
}
