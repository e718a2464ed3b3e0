//! The least that any renderer must do, for the benchmarks: read a list of networks, merge it with `ipnet`, print it.
//!
//! `cargo run --release --example aggregate LIST`. One canonical network a line, as `scripts/bench` writes it.

use std::error::Error;
use std::io::{BufWriter, Write as _, stdout};

use ipnet::IpNet;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: aggregate LIST")?;
    let text = std::fs::read_to_string(path)?;
    let networks = text.lines().map(str::parse).collect::<Result<Vec<IpNet>, _>>()?;
    let mut out = BufWriter::new(stdout().lock());
    for network in IpNet::aggregate(&networks) {
        writeln!(out, "{network}")?;
    }
    out.flush()?;
    Ok(())
}
