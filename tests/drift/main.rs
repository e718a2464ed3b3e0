//! What is loaded against what was rendered: a host that nobody changed is an empty diff, live and from any listing of it, and
//! a host that somebody changed is exactly the change.

#[path = "../support/dice.rs"]
mod dice;
#[path = "../support/policies.rs"]
mod policies;
#[path = "../support/written.rs"]
mod written;

#[cfg(target_os = "linux")]
#[path = "../kernel/lab.rs"]
#[allow(dead_code)] // the lab is shared with the kernel tests, which use more of it
mod lab;
#[cfg(target_os = "linux")]
#[path = "../support/machine.rs"]
#[allow(dead_code)] // shared with the tests of apply, which use more of it
mod machine;
#[cfg(target_os = "linux")]
mod unchanged;
