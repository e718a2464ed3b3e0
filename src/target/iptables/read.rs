//! What `iptables-save` and `ip6tables-save` print, ours or anybody's, and our own renderings, brought into the one model.

mod addresses;
mod block;
mod marks;
mod matches;
mod ports;
mod rule;
mod scan;
mod sets;
mod stages;
mod targets;
mod tree;
mod words;

#[cfg(test)]
mod tests;

use crate::ruleset::Ruleset;
use crate::target::{Listing, ReadError};

#[cfg(test)]
pub(super) use block::Line;
pub(super) use block::{Block, RawChain, Variant};
pub(super) use scan::{FAMILY, recognises, scan};
pub(super) use words::canonical;

/// Reads every section that is of iptables or ipset; others are passed over.
pub(super) fn read(listing: &Listing) -> Result<Ruleset, ReadError> {
    let scanned = scan(listing)?;
    let mut ruleset = Ruleset { remarks: scanned.remarks, ..Ruleset::default() };
    for block in &scanned.blocks {
        stages::add(block, &scanned.sets, &mut ruleset);
    }
    Ok(ruleset)
}
