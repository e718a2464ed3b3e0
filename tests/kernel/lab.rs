//! A host, its clients and a container as network namespaces of this machine, made by the test itself and gone with it.
//!
//! A test that needs them runs its body in a child process of the same binary below `unshare`, so that an ordinary user can
//! run it and nothing of it can reach the machine's own network. Threads of that process enter the namespaces.

use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The variable that tells the child process which test it is to run.
const INSIDE: &str = "HARDEN993_TEST_INSIDE";

/// The host's own addresses. Documentation space, so that policies of tests rarely name them.
pub(crate) const HOST4: &str = "192.0.2.1";
/// See [`HOST4`].
pub(crate) const HOST6: &str = "2001:db8:ffff::1";
/// The container's addresses, reached only through the host.
pub(crate) const CONTAINER4: &str = "172.29.0.2";
/// See [`CONTAINER4`].
pub(crate) const CONTAINER6: &str = "fd29::2";

/// The tools that the namespaces need, each with the Debian package that has it.
const TOOLS: &[(&str, &str)] = &[("unshare", "util-linux"), ("ip", "iproute2"), ("nft", "nftables")];

/// Runs the body of a test in a network namespace of its own.
pub(crate) fn inside(test: &str, body: impl FnOnce()) {
    inside_with(test, &[], body);
}

/// As [`inside`], with more variables in the environment of the child.
pub(crate) fn inside_with(test: &str, variables: &[(&str, &str)], body: impl FnOnce()) {
    if std::env::var(INSIDE).is_ok_and(|name| name == test) {
        body();
        return;
    }
    for (tool, package) in TOOLS {
        require(tool, package);
    }
    let exe = std::env::current_exe().expect("the test knows its own binary");
    let locks = std::env::temp_dir().join(format!("harden993-test-{}-{test}.lock", std::process::id()));
    let output = Command::new("unshare")
        .args(if privileged() { &["--net"][..] } else { &["--user", "--map-root-user", "--net"] })
        .arg(exe)
        .args(["--exact", test, "--nocapture", "--include-ignored", "--test-threads", "1"])
        .env(INSIDE, test)
        // Legacy iptables locks a file that only root may write.
        .env("XTABLES_LOCKFILE", &locks)
        .env("PATH", path())
        .envs(variables.iter().copied())
        .output()
        .expect("unshare starts");
    // A lock that was never taken has no file.
    let _ = std::fs::remove_file(locks);
    let text = [output.stdout, output.stderr].map(|t| String::from_utf8_lossy(&t).into_owned());
    let hint = if text[1].starts_with("unshare: ") {
        "This kernel keeps user namespaces from ordinary users: run as root, or set kernel.unprivileged_userns_clone=1."
    } else {
        ""
    };
    assert!(
        output.status.success(),
        "in its namespace {test} failed ({}). {hint}\n{}\n{}",
        output.status,
        text[0],
        text[1]
    );
    assert!(text[0].contains("1 passed"), "the child ran another test than {test}:\n{}", text[0]);
    show(&text[0]);
}

/// Shows what the child has to say to people: the lines that start with `| `.
#[allow(clippy::print_stdout)] // with `--nocapture`
fn show(text: &str) {
    for line in text.lines().filter_map(|l| l.strip_prefix("| ")) {
        println!("{line}");
    }
}

/// Whether this is root, who needs no user namespace. In one, the kernel takes only small batches of rules
/// (`net.core.wmem_max` bounds them, and only root of the first namespace may pass the bound).
pub(crate) fn privileged() -> bool {
    // 4294967295 is how many users the first user namespace has.
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.contains("4294967295"))
        && try_run("unshare", &["--net", "true"], "").is_ok()
}

/// The search path with the folders where Debian keeps administrators' tools.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// Fails the test with what to install if a tool is missing: a test that cannot run must not look as if it had.
pub(crate) fn require(tool: &str, package: &str) {
    let found = path().split(':').any(|folder| Path::new(folder).join(tool).exists());
    assert!(found, "this test needs `{tool}`: apt-get install {package}");
}

/// Runs a program with standard input; what it printed, or the test fails.
pub(crate) fn run(program: &str, args: &[&str], input: &str) -> String {
    try_run(program, args, input).unwrap_or_else(|e| panic!("{e}"))
}

/// Runs a program with standard input; what it printed, or how it failed.
pub(crate) fn try_run(program: &str, args: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(args)
        .env("PATH", path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{program}: {e}"))?;
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_owned();
    // A program that reads nothing closes the pipe; that is no failure.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().map_err(|e| format!("{program}: {e}"))?;
    writer.join().expect("the writer does not panic");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(out.into_owned())
    } else {
        Err(format!("{program} {} failed ({}): {out}{err}", args.join(" "), output.status))
    }
}

/// A network namespace, held by a process that waits in it.
pub(crate) struct Namespace {
    holder: Option<Child>,
    file: std::fs::File,
}

impl Namespace {
    /// The namespace that this thread is in.
    pub(crate) fn own() -> Self {
        let file = std::fs::File::open("/proc/thread-self/ns/net").expect("the kernel has network namespaces");
        Self { holder: None, file }
    }

    /// A new namespace with nothing in it.
    fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut ready = [0; 6];
        holder.stdout.as_mut().expect("piped").read_exact(&mut ready).expect("the namespace comes up");
        let file = std::fs::File::open(format!("/proc/{}/ns/net", holder.id())).expect("the holder lives");
        Self { holder: Some(holder), file }
    }

    /// The process that holds it, for `ip link set … netns`.
    fn pid(&self) -> String {
        self.holder.as_ref().expect("only made namespaces are moved to").id().to_string()
    }

    /// Runs something in this namespace. Sockets that it makes stay in there.
    pub(crate) fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let work = || {
            use std::os::fd::AsFd as _;
            move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root of the namespace may enter it");
            f()
        };
        std::thread::scope(|s| s.spawn(work).join()).unwrap_or_else(|e| std::panic::resume_unwind(e))
    }

    /// Runs a program in this namespace.
    pub(crate) fn run(&self, program: &str, args: &[&str], input: &str) -> String {
        self.enter(|| run(program, args, input))
    }

    /// Runs `ip` with one command a line.
    pub(crate) fn ip(&self, commands: &str) {
        self.run("ip", &["-batch", "-"], commands);
    }

    /// Sets a kernel parameter of this namespace, or fails with its name.
    pub(crate) fn sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/net/{name}");
        self.enter(|| {
            let now = std::fs::read_to_string(&path).unwrap_or_default();
            if now.trim() != value {
                std::fs::write(&path, value).unwrap_or_else(|e| panic!("{path} is {now:?} and cannot be set: {e}"));
            }
        });
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            // Its standard input closes, it ends, and the namespace with it.
            drop(holder.stdin.take());
            let _ = holder.wait();
        }
    }
}

/// A host with interfaces to one namespace of clients, and a container behind it.
pub(crate) struct Lab {
    /// The machine whose rules are tested: the namespace that the test process started in.
    pub(crate) host: Namespace,
    /// Everybody else. Any source address may be used there.
    pub(crate) clients: Namespace,
    /// A container that the host forwards to.
    pub(crate) container: Namespace,
    interfaces: Vec<String>,
}

impl Lab {
    /// A lab whose host has these interfaces towards the clients; the first one leads everywhere.
    pub(crate) fn new(interfaces: &[&str]) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        assert_eq!(
            MADE.fetch_add(1, Ordering::Relaxed),
            0,
            "one lab a test process: the host is the process's own namespace"
        );
        let lab = Self {
            host: Namespace::own(),
            clients: Namespace::new(),
            container: Namespace::new(),
            interfaces: interfaces.iter().map(|i| (*i).to_owned()).collect(),
        };
        // Both ends of a pair have one hardware address and ask nobody for it: any source can be used without a neighbour.
        let pair = |name: &str, peer: &str, to: &Namespace, number: usize| {
            let mac = format!("02:00:00:00:00:{number:02x}");
            lab.host.ip(&format!(
                "link add {name} address {mac} type veth peer name {peer} address {mac} netns {}\nlink set {name} arp off\n",
                to.pid()
            ));
            to.ip(&format!("link set {peer} arp off\n"));
            lab.host.sysctl(&format!("ipv4/conf/{name}/rp_filter"), "0");
            // No duplicate address detection: addresses work at once.
            lab.host.sysctl(&format!("ipv6/conf/{name}/accept_dad"), "0");
            to.sysctl(&format!("ipv6/conf/{peer}/accept_dad"), "0");
            lab.host.ip(&format!("link set {name} up\n"));
            to.ip(&format!("link set {peer} up\n"));
        };
        for namespace in [&lab.host, &lab.clients, &lab.container] {
            namespace.ip("link set lo up\n");
            namespace.sysctl("ipv4/conf/all/rp_filter", "0");
            namespace.sysctl("ipv4/conf/default/rp_filter", "0");
        }
        for (i, name) in lab.interfaces.iter().enumerate() {
            pair(name, &format!("peer{i}"), &lab.clients, i + 1);
        }
        pair("docker0", "eth0", &lab.container, 99);
        let first = &lab.interfaces[0];
        lab.host.ip(&format!(
            "addr add {HOST4}/32 dev {first}\naddr add {HOST6}/128 dev {first}\nroute add default dev {first}\n\
             route add ::/0 dev {first}\naddr add 172.29.0.1/24 dev docker0\naddr add fd29::1/64 dev docker0\n"
        ));
        // A packet is sent by the interface that its socket is bound to, which needs a way everywhere.
        lab.clients.ip("addr add 192.0.2.2/32 dev peer0\naddr add 2001:db8:ffff::2/128 dev peer0\n");
        for i in 0..lab.interfaces.len() {
            lab.clients.ip(&format!(
                "route add default dev peer{i} metric {0}\nroute add ::/0 dev peer{i} metric {0}\n",
                i + 1
            ));
        }
        lab.container.ip(&format!(
            "addr add {CONTAINER4}/24 dev eth0\naddr add {CONTAINER6}/64 dev eth0\nroute add default dev eth0\n\
             route add ::/0 dev eth0\n"
        ));
        lab.host.sysctl("ipv4/ip_forward", "1");
        lab.host.sysctl("ipv6/conf/all/forwarding", "1");
        lab
    }

    /// The number of the client's end of an interface.
    pub(crate) fn number(&self, interface: &str) -> usize {
        self.interfaces.iter().position(|i| i == interface).expect("the lab has this interface")
    }

    /// The interfaces towards the clients.
    pub(crate) fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    /// Loads a ruleset for nft on the host.
    pub(crate) fn nft(&self, text: &str) {
        self.host.run("nft", &["-f", "-"], text);
    }

    /// The host's address in the family of another one.
    pub(crate) fn host_address(source: IpAddr) -> IpAddr {
        if source.is_ipv4() { HOST4 } else { HOST6 }.parse().expect("the constant is an address")
    }
}
