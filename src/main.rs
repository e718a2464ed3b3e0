//! The command line of harden993.
fn main() {}
