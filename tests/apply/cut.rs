//! `apply --cut` ends the open connections of addresses that lose access, and of no others.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::lab::{CONTAINER4, CONTAINER6, HOST4, HOST6, Lab, inside, require};
use crate::machine::{Backend, Machine};

/// A network that stays trusted, one that is no longer, and one that is named in neither profile's place: by family.
const STAYS: [&str; 2] = ["198.51.100.7", "2001:db8:1::7"];
const LOSES: [&str; 2] = ["203.0.113.7", "2001:db8:2::7"];

/// A port that no profile guards.
const FREE: u16 = 2222;

/// Listens on every address of the host, and answers each byte by the next one.
fn serve(port: u16) {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
    socket.set_only_v6(false).expect("it takes both families");
    socket.bind(&SocketAddr::new(IpAddr::from([0u16; 8]), port).into()).expect("the port is free in this namespace");
    socket.listen(16).expect("it listens");
    let listener: TcpListener = socket.into();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&[byte[0] + 1]).is_ok() {}
            });
        }
    });
}

/// An open connection of a client.
struct Client {
    stream: TcpStream,
    name: String,
}

impl Client {
    fn connect(lab: &Lab, from: &str, port: u16) -> Self {
        let to = if from.contains('.') { HOST4 } else { HOST6 };
        Self::connect_to(lab, from, to, port)
    }

    fn connect_to(lab: &Lab, from: &str, to: &str, port: u16) -> Self {
        let [from, to] = [from, to].map(|a| a.parse::<IpAddr>().expect("an address"));
        let stream = lab.clients.enter(|| {
            let socket = Socket::new(Domain::for_address(SocketAddr::new(to, port)), Type::STREAM, None)?;
            socket.bind(&SocketAddr::new(from, 0).into())?;
            socket.connect_timeout(&SocketAddr::new(to, port).into(), Duration::from_secs(10))?;
            Ok::<TcpStream, std::io::Error>(socket.into())
        });
        let mut client = Self { stream: stream.expect("it gets in"), name: format!("{from} to {to}, port {port}") };
        assert!(client.is_served(Duration::from_secs(10)), "{}", client.name);
        client
    }

    /// Whether the server answers on this connection.
    fn is_served(&mut self, within: Duration) -> bool {
        let mut byte = [0];
        self.stream.set_read_timeout(Some(within)).expect("a timeout is no zero");
        self.stream.write_all(&[7]).and_then(|()| self.stream.read_exact(&mut byte)).is_ok() && byte == [8]
    }
}

/// Open connections from both sides of a change, to a guarded port and to another one.
struct Clients {
    stay: Vec<Client>,
    lose: Vec<Client>,
}

impl Clients {
    fn connect(lab: &Lab) -> Self {
        let all = |from: [&str; 2], port| from.map(|f| Client::connect(lab, f, port));
        let stay = all(STAYS, 993).into_iter().chain(all(LOSES, FREE)).collect();
        Self { stay, lose: all(LOSES, 993).into() }
    }

    /// That everybody is served.
    fn all_open(&mut self) {
        for client in self.stay.iter_mut().chain(&mut self.lose) {
            assert!(client.is_served(Duration::from_secs(10)), "{} is cut", client.name);
        }
    }

    /// That those who lost access are cut, and nobody else.
    fn cut(&mut self) {
        for client in &mut self.lose {
            // A connection that has been ended says so; one that is only refused from now on says nothing.
            assert!(!client.is_served(Duration::from_secs(1)), "{} goes on", client.name);
        }
        for client in &mut self.stay {
            assert!(client.is_served(Duration::from_secs(10)), "{} is cut", client.name);
        }
    }
}

/// A machine with a server and its clients, and the profiles before and after.
fn scene(backend: Backend) -> (Lab, Machine, String, String) {
    require("conntrack", "conntrack");
    require("ss", "iproute2");
    let lab = Lab::new(&["eth0"]);
    let addresses = [("32", STAYS[0]), ("32", LOSES[0]), ("128", STAYS[1]), ("128", LOSES[1])];
    lab.clients.ip(&addresses.map(|(bits, a)| format!("addr add {a}/{bits} dev lo nodad\n")).concat());
    serve(993);
    serve(FREE);
    let machine = Machine::new(backend);
    let both = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/48", "2001:db8:2::/48"];
    let before = machine.profile("before", &both, "");
    let after = machine.profile("after", &["198.51.100.0/24", "2001:db8:1::/48"], "");
    (lab, machine, before, after)
}

fn who_loses_access_is_cut(backend: Backend) {
    let (lab, machine, before, after) = scene(backend);
    machine.apply(&before);
    let mut clients = Clients::connect(&lab);
    let target = ["--target", backend.target(), "--profile", &after];
    // Two addresses, of two families, are connected and would lose access.
    let rules = backend.rules();
    let stopped = machine.harden993(&[&["apply", "--yes", "--cut", "--max-cut", "1"], &target[..]].concat());
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    assert!(stopped.out.contains("2 addresses that are connected now would lose access"), "{stopped:?}");
    assert_eq!(backend.rules(), rules);
    clients.all_open();

    let done = machine.harden993(&[&["apply", "--yes", "--cut", "--max-cut", "2"], &target[..]].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("ended 2 of 2 open connections"), "{done:?}");
    clients.cut();
}

#[test]
fn who_loses_access_is_cut_nftables() {
    inside("cut::who_loses_access_is_cut_nftables", || who_loses_access_is_cut(Backend::Nftables));
}

#[test]
fn who_loses_access_is_cut_iptables_nft() {
    inside("cut::who_loses_access_is_cut_iptables_nft", || who_loses_access_is_cut(Backend::IptablesNft));
}

#[test]
fn who_loses_access_is_cut_iptables_legacy() {
    inside("cut::who_loses_access_is_cut_iptables_legacy", || who_loses_access_is_cut(Backend::IptablesLegacy));
}

/// With `--confirm` nobody is cut before the confirmation; without `--cut` open connections go on.
#[test]
fn what_waits_cuts_at_its_confirmation() {
    inside("cut::what_waits_cuts_at_its_confirmation", || {
        let (lab, machine, before, after) = scene(Backend::Nftables);
        machine.apply(&before);
        let mut clients = Clients::connect(&lab);
        let done = machine.harden993(&["apply", "--yes", "--profile", &after]);
        assert_eq!(done.code, Some(0), "{done:?}");
        clients.all_open();
        machine.apply(&before);
        let done = machine.harden993(&["apply", "--yes", "--cut", "--confirm", "600", "--profile", &after]);
        assert_eq!(done.code, Some(0), "{done:?}");
        clients.all_open();
        let kept = machine.harden993(&["confirm"]);
        assert_eq!(kept.code, Some(0), "{kept:?}");
        assert!(kept.out.contains("ended 2 of 2 open connections"), "{kept:?}");
        clients.cut();
    });
}

/// Who reads mail of somebody else through this host is not cut, whatever he loses here; who comes to a container by a port
/// of this host is, where the profile guards that.
#[test]
fn what_is_forwarded_is_cut_where_it_is_guarded() {
    inside("cut::what_is_forwarded_is_cut_where_it_is_guarded", || {
        let (lab, machine, before, after) = scene(Backend::Nftables);
        lab.container.enter(|| serve(993));
        machine.apply(&before);
        let mut clients = Clients::connect(&lab);
        clients.stay.push(Client::connect_to(&lab, LOSES[0], CONTAINER4, 993));
        clients.stay.push(Client::connect_to(&lab, LOSES[1], CONTAINER6, 993));
        let done = machine.harden993(&["apply", "--yes", "--cut", "--max-cut", "2", "--profile", &after]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.out.contains("ended 2 of 2 open connections"), "{done:?}");
        clients.cut();

        lab.nft(&format!(
            "table ip pub {{\n chain pre {{\n type nat hook prerouting priority dstnat;\n tcp dport 995 dnat to \
             {CONTAINER4}:993\n }}\n}}\n"
        ));
        let ports = "ports = [995]\nforwarded = true";
        let before = machine.profile("both", &["198.51.100.0/24", "203.0.113.0/24"], ports);
        let after = machine.profile("one", &["198.51.100.0/24"], ports);
        machine.apply(&before);
        let stay = Client::connect(&lab, STAYS[0], 995);
        let mut clients = Clients { stay: vec![stay], lose: vec![Client::connect(&lab, LOSES[0], 995)] };
        let done = machine.harden993(&["apply", "--yes", "--cut", "--confirm", "600", "--profile", &after]);
        assert_eq!(done.code, Some(0), "{done:?}");
        clients.all_open();
        let kept = machine.harden993(&["confirm"]);
        assert!(kept.out.contains("ended 1 of 1 open connections"), "{kept:?}");
        clients.cut();
    });
}
