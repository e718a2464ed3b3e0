//! Real TCP connections through the host, with chosen client addresses.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::{HOST4, Lab, Namespace};

/// The longest that anything may take that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A datagram by which the order of packets is known: it goes the way of all packets of one interface, so when the host has
/// it, everything that was sent before it has been decided. It is seen as it comes from the device, before any rule.
pub(crate) struct Marker {
    from: UdpSocket,
    to: Socket,
    count: u64,
}

/// The port that markers go to, on which nobody listens.
const MARKERS: u16 = 9;

/// The frames that a packet socket sees, as it wants to be told (`ETH_P_IP`, in the order of the network).
const ALL_IPV4: i32 = 0x0800u16.to_be() as i32;

impl Marker {
    /// A marker from the clients to the host.
    pub(crate) fn new(lab: &Lab) -> Self {
        let to = lab.host.enter(|| Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ALL_IPV4))));
        let to = to.expect("root may look at packets");
        to.set_read_timeout(Some(PATIENCE)).expect("a timeout is no zero");
        // Room for a whole batch of probes, which it sees as well.
        to.set_recv_buffer_size(1 << 20).expect("a buffer may be as large as the system lets it");
        let from = lab.clients.enter(|| UdpSocket::bind("192.0.2.2:0")).expect("the clients have their address");
        from.connect((HOST4, MARKERS)).expect("the clients have a route");
        Self { from, to, count: 0 }
    }

    /// Waits until everything that was sent before has been decided.
    pub(crate) fn pass(&mut self) {
        self.count += 1;
        let number = self.count.to_be_bytes();
        // That nobody listens comes back for the marker before, and is no failure of this one.
        while self.from.send(&number).is_err() {}
        let mut packet = [0; 2048];
        loop {
            let len = (&self.to).read(&mut packet).expect("the marker arrives within ten seconds");
            // The header (without options), the ports, and the number at the end.
            if len == 36 && packet[9] == 17 && packet[22..24] == MARKERS.to_be_bytes() && packet[28..36] == number {
                return;
            }
        }
    }
}

/// Keeps this thread, and those that it starts, on one processor: its queue keeps the order of what they send.
pub(crate) fn stay_on_one_processor() {
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    sched_setaffinity(None, &one).expect("a thread may stay where it is");
}

/// A server that listens on a port, for both families.
pub(crate) struct Server {
    listener: TcpListener,
    port: u16,
}

impl Server {
    /// Listens on every address of a namespace.
    pub(crate) fn new(namespace: &Namespace, port: u16) -> Self {
        let listener = namespace.enter(|| {
            let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
            socket.set_only_v6(false).expect("a socket for both families");
            socket.set_reuse_address(true).expect("the port may be used again");
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into()).expect("the port is free");
            socket.listen(64).expect("it may listen");
            TcpListener::from(socket)
        });
        Self { listener, port }
    }

    /// The connection that a client has just opened.
    fn accept(&self) -> TcpStream {
        self.listener.accept().expect("a connection waits").0
    }
}

/// Both ends of an open connection.
pub(crate) struct Wire {
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
}

impl Wire {
    /// Opens a connection from a source (which the namespace must have) to a server; or how it was refused.
    pub(crate) fn open(
        from: &Namespace,
        source: IpAddr,
        to: IpAddr,
        port: u16,
        server: &Server,
    ) -> Result<Self, ErrorKind> {
        let client = from
            .enter(|| {
                let socket = Socket::new(Domain::for_address(SocketAddr::new(to, port)), Type::STREAM, None)?;
                socket.bind(&SocketAddr::new(source, 0).into())?;
                socket.connect_timeout(&SocketAddr::new(to, port).into(), PATIENCE)?;
                Ok(TcpStream::from(socket))
            })
            .map_err(|e: std::io::Error| e.kind())?;
        let server = server.accept();
        for end in [&client, &server] {
            end.set_nodelay(true).expect("a socket that does not wait");
        }
        Ok(Self { client, server })
    }

    /// Whether what the client writes reaches the server.
    pub(crate) fn carries(&mut self, marker: &mut Marker) -> bool {
        if self.client.write_all(b"a").is_err() {
            return false;
        }
        marker.pass();
        received(&mut self.server)
    }

    /// Whether the client's next packet was answered by a reset.
    pub(crate) fn is_reset(&mut self, marker: &mut Marker) -> bool {
        // The write itself may succeed; the reset is seen by the read after it.
        let _ = self.client.write_all(b"a");
        marker.pass();
        self.client.set_nonblocking(true).expect("a socket that does not wait");
        let end = self.client.read(&mut [0; 16]);
        matches!(end, Err(e) if e.kind() == ErrorKind::ConnectionReset || e.kind() == ErrorKind::BrokenPipe)
    }
}

/// Whether something waits to be read.
fn received(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket that does not wait");
    let got = matches!(stream.read(&mut [0; 16]), Ok(n) if n > 0);
    stream.set_nonblocking(false).expect("a socket that waits");
    got
}

impl Lab {
    /// Gives the clients addresses, so that they can open real connections from them.
    pub(crate) fn clients_have(&self, addresses: &[IpAddr]) {
        for ip in addresses {
            let (len, dad) = if ip.is_ipv4() { (32, "") } else { (128, " nodad") };
            self.clients.ip(&format!("addr add {ip}/{len} dev peer0{dad}\n"));
        }
    }

    /// Opens a connection from a client to the host.
    pub(crate) fn open(&self, source: IpAddr, server: &Server) -> Result<Wire, ErrorKind> {
        Wire::open(&self.clients, source, Self::host_address(source), server.port, server)
    }
}

/// Tries again until it holds, within the bound of all patience.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}, even after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
