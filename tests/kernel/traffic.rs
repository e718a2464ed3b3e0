//! Each clause of the decision table by traffic of its own, on each firewall of the kernel.

use std::io::ErrorKind;
use std::net::IpAddr;

use harden993::access::{Bucket, Pattern, Per, Rate, Refuse};
use harden993::policy::{Draft, Forwarded, Grant, Limit};

use crate::agree::translation;
use crate::backend::{Backend, IPTABLES_LEGACY, IPTABLES_NFT, NFT};
use crate::ip;
use crate::lab::{CONTAINER4, CONTAINER6, Lab, inside};
use crate::probe::{ACK, Fate, Gun, Probe, SYN, SYN_FIN};
use crate::wire::{Marker, Server, Wire, eventually, stay_on_one_processor};

/// Runs a scene on each firewall of the kernel, each in a fresh set of namespaces.
macro_rules! scenes {
    ($($(#[$doc:meta])* $scene:ident;)*) => {$(
        $(#[$doc])*
        mod $scene {
            #[test]
            fn nftables() {
                super::play(concat!("traffic::", stringify!($scene), "::nftables"), super::NFT, super::$scene);
            }
            #[test]
            fn iptables_nft() {
                super::play(concat!("traffic::", stringify!($scene), "::iptables_nft"), super::IPTABLES_NFT, super::$scene);
            }
            #[test]
            fn iptables_legacy() {
                super::play(concat!("traffic::", stringify!($scene), "::iptables_legacy"), super::IPTABLES_LEGACY, super::$scene);
            }
        }
    )*};
}

fn play(test: &str, backend: Backend, scene: fn(&Lab, Backend)) {
    inside(test, || {
        stay_on_one_processor();
        scene(&Lab::new(&["eth0", "wg0", "eth1"]), backend);
    });
}

scenes! {
    loopback_is_never_refused;
    via_counts_by_its_interface_only;
    only_guarded_interfaces_are_touched;
    plaintext_is_closed_or_guarded;
    odd_flags_open_nothing_more;
    open_connections_survive_a_reload_and_end_when_blocked;
    rules_come_under_open_connections;
    a_reject_resets_and_a_drop_is_silent;
    what_is_published_is_guarded_and_what_goes_out_is_not;
    a_rate_lets_its_burst_through_and_then_refuses;
    connections_at_once_are_counted_for_each_source;
}

/// Two trusted sources, one of each family, and two that nobody knows.
const TRUSTED: [&str; 2] = ["198.51.100.7", "2001:db8:10::7"];
const STRANGERS: [&str; 2] = ["203.0.113.9", "2001:db8:bad::9"];

fn grant(networks: &[&str]) -> Grant {
    Grant {
        sources: networks.iter().map(|n| harden993::net::parse_network(n.as_bytes()).expect("a network")).collect(),
        via: vec![],
        limit: None,
    }
}

/// Trusts the trusted, on port 993.
fn office() -> Draft {
    Draft { grants: vec![grant(&["198.51.100.0/24", "2001:db8:10::/48"])], ..Draft::default() }
}

fn load(backend: Backend, draft: Draft) {
    let policy = draft.lower();
    let (enforced, text) = backend.render(&policy);
    assert_eq!(enforced, policy, "nothing is left out");
    backend.load(&text);
}

/// What becomes of a SYN from each source, by an interface.
fn syns(lab: &Lab, gun: &mut Gun<'_>, interface: &str, sources: &[&str], port: u16) -> Vec<Fate> {
    let probe = |s: &&str| Probe { interface: lab.number(interface), ..Probe::new(ip(s), port, SYN) };
    gun.fire(&sources.iter().map(probe).collect::<Vec<_>>())
}

const PASSED: [Fate; 2] = [Fate::Passed; 2];
const DROPPED: [Fate; 2] = [Fate::Dropped; 2];

fn loopback_is_never_refused(lab: &Lab, backend: Backend) {
    let server = Server::new(&lab.host, 993);
    load(
        backend,
        Draft { action: Refuse::Reset, blocked: "127.0.0.0/8".parse().expect("a network"), ..Draft::default() },
    );
    for own in ["127.0.0.1", "::1", crate::lab::HOST4, crate::lab::HOST6] {
        assert!(Wire::open(&lab.host, ip(own), ip(own), 993, &server).is_ok(), "{own}");
    }
    lab.clients_have(&TRUSTED.map(ip));
    for source in TRUSTED.map(ip) {
        assert_eq!(lab.open(source, &server).err(), Some(ErrorKind::ConnectionRefused), "it is closed to others");
    }
}

fn via_counts_by_its_interface_only(lab: &Lab, backend: Backend) {
    let mut gun = Gun::new(lab);
    let everybody = Grant { sources: harden993::net::AddrSet::all(), via: vec![Pattern::parse("wg0")], limit: None };
    load(backend, Draft { grants: vec![everybody], ..office() });
    load(
        backend,
        Draft {
            grants: [
                office().grants,
                vec![Grant { sources: harden993::net::AddrSet::all(), via: vec![Pattern::parse("wg*")], limit: None }],
            ]
            .concat(),
            ..office()
        },
    );
    assert_eq!(syns(lab, &mut gun, "eth0", &STRANGERS, 993), DROPPED);
    assert_eq!(syns(lab, &mut gun, "wg0", &STRANGERS, 993), PASSED);
    assert_eq!(syns(lab, &mut gun, "eth1", &STRANGERS, 993), DROPPED);
    for interface in ["eth0", "wg0", "eth1"] {
        assert_eq!(syns(lab, &mut gun, interface, &TRUSTED, 993), PASSED, "without `via` in all: {interface}");
    }
}

fn only_guarded_interfaces_are_touched(lab: &Lab, backend: Backend) {
    let mut gun = Gun::new(lab);
    load(backend, Draft { interfaces: vec![Pattern::parse("eth0"), Pattern::parse("wg*")], ..office() });
    assert_eq!(syns(lab, &mut gun, "eth0", &STRANGERS, 993), DROPPED);
    assert_eq!(syns(lab, &mut gun, "wg0", &STRANGERS, 993), DROPPED);
    assert_eq!(syns(lab, &mut gun, "eth1", &STRANGERS, 993), PASSED);
    assert_eq!(syns(lab, &mut gun, "eth0", &STRANGERS, 22), PASSED, "other ports are not touched");
}

fn plaintext_is_closed_or_guarded(lab: &Lab, backend: Backend) {
    let mut gun = Gun::new(lab);
    load(backend, office());
    assert_eq!(syns(lab, &mut gun, "eth0", &STRANGERS, 143), PASSED, "left as it is");
    load(backend, Draft { close_plaintext: true, ..office() });
    assert_eq!(syns(lab, &mut gun, "eth0", &STRANGERS, 143), DROPPED);
    assert_eq!(syns(lab, &mut gun, "eth0", &TRUSTED, 143), DROPPED, "closed to everybody");
    assert_eq!(syns(lab, &mut gun, "eth0", &TRUSTED, 993), PASSED);
    let server = Server::new(&lab.host, 143);
    assert!(Wire::open(&lab.host, ip("127.0.0.1"), ip("127.0.0.1"), 143, &server).is_ok(), "but to the host itself");
    load(backend, Draft { ports: vec![143, 993], ..office() });
    assert_eq!(syns(lab, &mut gun, "eth0", &STRANGERS, 143), DROPPED);
    assert_eq!(syns(lab, &mut gun, "eth0", &TRUSTED, 143), PASSED);
}

fn odd_flags_open_nothing_more(lab: &Lab, backend: Backend) {
    const FIN: u8 = 1;
    const RST: u8 = 4;
    const PSH: u8 = 8;
    const URG: u8 = 32;
    const ECE_CWR: u8 = 0xc0;
    let mut gun = Gun::new(lab);
    load(backend, office());
    let odd = [
        SYN_FIN,
        SYN | RST,
        SYN | PSH,
        SYN | URG,
        SYN | ECE_CWR,
        SYN | FIN | PSH | URG,
        SYN | FIN | RST | PSH | URG | ECE_CWR,
    ];
    for loose in ["0", "1"] {
        lab.host.sysctl("netfilter/nf_conntrack_tcp_loose", loose);
        for flags in odd {
            let probes: Vec<Probe> = TRUSTED.iter().chain(&STRANGERS).map(|s| Probe::new(ip(s), 993, flags)).collect();
            assert_eq!(gun.fire(&probes), [PASSED, DROPPED].concat(), "flags {flags:#x}, loose {loose}");
        }
        for flags in [ACK, ACK | FIN, RST, ACK | PSH, SYN | ACK, 0, FIN | PSH | URG] {
            let probes: Vec<Probe> = TRUSTED.iter().chain(&STRANGERS).map(|s| Probe::new(ip(s), 993, flags)).collect();
            assert_eq!(gun.fire(&probes), [PASSED, DROPPED].concat(), "no SYN: flags {flags:#x}, loose {loose}");
        }
    }
}

fn open_connections_survive_a_reload_and_end_when_blocked(lab: &Lab, backend: Backend) {
    let (server, mut marker) = (Server::new(&lab.host, 993), Marker::new(lab));
    lab.clients_have(&TRUSTED.map(ip));
    load(backend, office());
    let mut wires: Vec<Wire> = TRUSTED.iter().map(|s| lab.open(ip(s), &server).expect("trusted")).collect();
    for _ in 0..10 {
        load(backend, office());
        assert!(wires.iter_mut().all(|w| w.carries(&mut marker)), "a reload cuts nobody");
    }
    let lost = Draft { grants: vec![grant(&["192.0.2.99"])], ..office() };
    load(backend, lost);
    assert!(wires.iter_mut().all(|w| w.carries(&mut marker)), "who loses trust keeps open connections");
    let blocked = |action| Draft {
        action,
        blocked: "198.51.100.0/25"
            .parse::<harden993::net::AddrSet>()
            .expect("a network")
            .union(&"2001:db8:10::7".parse().expect("an address")),
        ..office()
    };
    load(backend, blocked(Refuse::Drop));
    assert!(wires.iter_mut().all(|w| !w.carries(&mut marker)), "blocked wins over trusted, and over open connections");
    load(backend, blocked(Refuse::Reset));
    assert!(wires.iter_mut().all(|w| w.is_reset(&mut marker)), "and is told so where refusing is a reset");
}

fn rules_come_under_open_connections(lab: &Lab, backend: Backend) {
    use std::io::Write as _;
    let (server, mut marker) = (Server::new(&lab.host, 993), Marker::new(lab));
    lab.clients_have(&[TRUSTED.map(ip), STRANGERS.map(ip)].concat());
    // No rule asks for connection tracking yet, so the host knows none of these.
    let open = |sources: [&str; 2]| sources.map(|s| lab.open(ip(s), &server).expect("nothing is guarded yet"));
    let (mut trusted, mut strangers, mut adopted) = (open(TRUSTED), open(STRANGERS), open(STRANGERS));
    load(backend, office());
    assert!(trusted.iter_mut().all(|w| w.carries(&mut marker)), "the trusted go on");
    assert!(strangers.iter_mut().all(|w| !w.carries(&mut marker)), "others are refused");
    // A server that speaks first makes the host take the connection for one that it opened itself.
    for wire in &mut adopted {
        wire.server.write_all(b"* OK").expect("the server may speak");
    }
    marker.pass();
    assert!(adopted.iter_mut().all(|w| !w.carries(&mut marker)), "and stay refused when the server speaks first");
    for wire in &mut trusted {
        wire.server.write_all(b"* OK").expect("the server may speak");
    }
    assert!(trusted.iter_mut().all(|w| w.carries(&mut marker)), "the trusted go on after that too");
}

fn a_reject_resets_and_a_drop_is_silent(lab: &Lab, backend: Backend) {
    let mut gun = Gun::new(lab);
    for (action, fate) in [(Refuse::Drop, Fate::Dropped), (Refuse::Reset, Fate::Reset), (Refuse::Drop, Fate::Dropped)] {
        load(backend, Draft { action, blocked: "198.51.100.128/25".parse().expect("a network"), ..office() });
        assert_eq!(syns(lab, &mut gun, "eth0", &STRANGERS, 993), [fate; 2]);
        assert_eq!(syns(lab, &mut gun, "eth0", &["198.51.100.200"], 993), [fate]);
        assert_eq!(syns(lab, &mut gun, "eth0", &TRUSTED, 993), PASSED);
    }
}

fn what_is_published_is_guarded_and_what_goes_out_is_not(lab: &Lab, backend: Backend) {
    let mut marker = Marker::new(lab);
    let remote = [("198.51.100.10", CONTAINER4), ("2001:db8:77::10", CONTAINER6)];
    lab.clients_have(
        &[TRUSTED.map(ip).to_vec(), STRANGERS.map(ip).to_vec(), remote.map(|r| ip(r.0)).to_vec()].concat(),
    );
    load(backend, Draft { forwarded: Forwarded::Translated, action: Refuse::Reset, ..office() });
    lab.nft(&translation(&[993]));
    let (mail, elsewhere) = (Server::new(&lab.container, 10_993), Server::new(&lab.clients, 993));
    let published = |source: IpAddr| Wire::open(&lab.clients, source, Lab::host_address(source), 993, &mail);
    for source in TRUSTED.map(ip) {
        let mut wire = published(source).expect("the trusted reach the container");
        assert!(wire.carries(&mut marker));
        load(backend, Draft { forwarded: Forwarded::Translated, action: Refuse::Reset, ..office() });
        assert!(wire.carries(&mut marker), "a reload cuts nobody");
    }
    for source in STRANGERS.map(ip) {
        assert_eq!(published(source).err(), Some(ErrorKind::ConnectionRefused), "others do not");
    }
    for (server, container) in remote {
        // The container fetches mail from somebody else's port 993: an address that may not reach ours.
        let wire = Wire::open(&lab.container, ip(container), ip(server), 993, &elsewhere);
        assert!(wire.expect("connections that go out are not touched").carries(&mut marker));
    }
}

fn a_rate_lets_its_burst_through_and_then_refuses(lab: &Lab, backend: Backend) {
    let mut gun = Gun::new(lab);
    let rate = Bucket { rate: Rate::new(1, Per::Hour), burst: 4 };
    let mut limited = office();
    limited.ports = vec![993, 995];
    limited.grants[0].limit = Some(Limit { rate: Some(rate), concurrent: None });
    // One of them is exempt.
    limited.grants.push(grant(&["198.51.100.99"]));
    load(backend, limited);
    let burst = |source: &str, port, count| vec![Probe::new(ip(source), port, SYN); count];
    let within = |fates: &[Fate]| fates.iter().filter(|f| **f == Fate::Passed).count();
    for (source, same, other) in [
        ("198.51.100.7", "198.51.100.7", "198.51.100.8"),
        // One client has a whole /64.
        ("2001:db8:10:1::7", "2001:db8:10:1:ffff::8", "2001:db8:10:2::7"),
    ] {
        let fates = gun.fire(&burst(source, 993, 7));
        assert_eq!(fates, [vec![Fate::Passed; 4], vec![Fate::Dropped; 3]].concat(), "{source}: the burst, and no more");
        assert_eq!(within(&gun.fire(&burst(same, 993, 2))), 0, "{same} is the same source");
        assert_eq!(within(&gun.fire(&burst(other, 993, 5))), 4, "{other} is another source");
        assert_eq!(within(&gun.fire(&burst(source, 995, 5))), 4, "another port counts by itself");
    }
    assert_eq!(within(&gun.fire(&burst("198.51.100.99", 993, 20))), 20, "who is exempt is not limited");
}

fn connections_at_once_are_counted_for_each_source(lab: &Lab, backend: Backend) {
    let (server, other) = (Server::new(&lab.host, 993), Server::new(&lab.host, 995));
    let sources = ["198.51.100.7", "198.51.100.8", "2001:db8:10:1::7", "2001:db8:10:1::8", "2001:db8:10:2::7"].map(ip);
    lab.clients_have(&sources);
    let mut limited = Draft { action: Refuse::Reset, ..office() };
    limited.ports = vec![993, 995];
    limited.grants[0].limit = Some(Limit { rate: None, concurrent: Some(3) });
    load(backend, limited);
    let refused = |source, server| lab.open(source, server).err() == Some(ErrorKind::ConnectionRefused);
    let three =
        |source, server| (0..3).map(|_| lab.open(source, server).expect("within the limit")).collect::<Vec<_>>();
    let [v4, v4_other, v6, v6_same, v6_other] = sources;
    let mut wires = three(v4, &server);
    assert!(refused(v4, &server), "the fourth is refused");
    let others = [three(v4, &other), three(v4_other, &server), three(v6, &server)];
    assert!(refused(v6, &server));
    assert!(refused(v6_same, &server), "one client has a whole /64");
    let _more = three(v6_other, &server);
    drop(wires.pop());
    eventually("a closed connection does not count", || lab.open(v4, &server).is_ok());
    drop(others);
}
