//! What is loaded against what was rendered: a host that nobody changed is an empty diff, live and from any listing of it, and
//! a host that somebody changed is exactly the change.

#[path = "../support/dice.rs"]
mod dice;
#[path = "../windows/host.rs"]
#[allow(dead_code)] // the host is shared with the tests of Windows, which use more of it
mod host;
#[path = "../support/policies.rs"]
mod policies;
#[path = "../windows/powershell.rs"]
#[allow(dead_code)]
mod powershell;
#[path = "../support/written.rs"]
mod written;

mod iptables_versions;
mod nft_versions;
mod pf_dialects;
mod saved;
mod texts;
mod windows_exports;

// What needs a kernel with netfilter.
#[cfg(target_os = "linux")]
#[path = "../support/edges.rs"]
mod edges;
#[cfg(target_os = "linux")]
#[path = "../kernel/lab.rs"]
#[allow(dead_code)] // the lab is shared with the kernel tests, which use more of it
mod lab;
#[cfg(target_os = "linux")]
#[path = "../support/machine.rs"]
#[allow(dead_code)] // shared with the tests of apply, which use more of it
mod machine;
#[cfg(target_os = "linux")]
#[path = "../support/mutants.rs"]
mod mutants;
#[cfg(target_os = "linux")]
#[path = "../kernel/probe.rs"]
#[allow(dead_code)]
mod probe;
#[cfg(target_os = "linux")]
#[path = "../kernel/wire.rs"]
#[allow(dead_code)]
mod wire;

#[cfg(target_os = "linux")]
#[path = "../support/invent/mod.rs"]
#[allow(dead_code)] // each test asks for some of them
mod invent;

#[cfg(target_os = "linux")]
mod altered;
#[cfg(target_os = "linux")]
mod beside;
#[cfg(target_os = "linux")]
mod judge;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod others;
#[cfg(target_os = "linux")]
mod unchanged;
