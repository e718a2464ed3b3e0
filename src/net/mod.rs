//! Addresses as numbers: closed ranges over `u32` and `u128`, sets of them, strict text in, canonical text out.
//!
//! Everything above this room counts and compares addresses here and nowhere else. [`ipnet`]'s types are met only at the
//! doors ([`Prefix::to_ipnet`], [`AddrSet::from_ipnets`]).

mod addr;
mod cuts;
mod memo;
mod parse;
mod ranges;
mod set;
mod special;

pub use addr::{Addr, Family, Prefix};
pub use cuts::{Builder, Class, Cut, Cuts, Meeting};
pub use parse::{Network, ParseError, parse_address, parse_network};
pub use ranges::{Count, Ranges, Span};
pub use set::{AddrSet, Told};
pub use special::{Special, no_source, special};
