//! A host that is changed: loaded, put back, killed in the middle, with real firewalls in a namespace of its own.
#![cfg(target_os = "linux")]

#[path = "../kernel/lab.rs"]
#[allow(dead_code)] // the lab is shared with the kernel tests, which use more of it
mod lab;
#[path = "../support/machine.rs"]
mod machine;

#[path = "../support/dice.rs"]
#[allow(dead_code)] // the dice are shared, too
mod dice;

mod cut;
mod disk;
mod faults;
mod guardian;
mod keeping;
mod neighbours;
mod packets;
mod places;
mod restore;
mod small;
mod ssh;
mod torn;
mod ways;
