//! The addresses at which a set begins and ends, which are where a reader or a rule goes wrong.

use std::collections::BTreeSet;
use std::net::IpAddr;

use harden993::net::{Addr, AddrSet, Ranges};

/// The first and last address of each span of a set, and their neighbours.
pub(crate) fn edges(set: &AddrSet, out: &mut BTreeSet<IpAddr>) {
    fn family<A: Addr>(ranges: &Ranges<A>, out: &mut BTreeSet<IpAddr>) {
        for s in ranges.spans() {
            let around = [s.first.prev(), Some(s.first), Some(s.last), s.last.next()];
            out.extend(around.into_iter().flatten().map(Addr::ip));
        }
    }
    family(&set.v4, out);
    family(&set.v6, out);
}
