//! Rulesets that nobody wrote: drawn by dice from what administrators use, so that matches and verdicts meet in ways that no
//! look-alike shows. A few networks, ports, interfaces and marks are used again and again, so that rules overlap.

pub(crate) mod iptables;
pub(crate) mod nft;
pub(crate) mod pf;

use harden993::net::AddrSet;

use crate::dice::Dice;

/// The host's interfaces: those that rules name, and one that none does.
pub(crate) const INTERFACES: &[&str] = &["eth0", "eth1", "wg0", "ppp0", "br0", "lan7"];

/// The IPv4 networks that rules name.
pub(crate) const V4: &[&str] = &[
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.3",
    "192.168.0.0/16",
    "198.51.100.0/24",
    "198.51.100.128/25",
    "203.0.113.7",
];
/// The IPv6 networks that rules name.
pub(crate) const V6: &[&str] =
    &["2001:db8::/32", "2001:db8:1::/48", "2001:db8:1:2::/64", "2001:db8:1:2::3", "fd00::/8", "2000::/3", "fe80::/10"];
const V4_RANGES: &[&str] = &["10.1.1.200-10.1.2.9", "198.51.100.5-198.51.100.250", "11.0.0.0-172.31.0.5"];
const V6_RANGES: &[&str] = &["2001:db8:0:5::-2001:db8:1:2::ffff", "fd00::-fd00::9"];
const PORTS: &[&str] = &["993", "993", "993", "22", "443", "143"];
const MARKS: &[&str] = &["0x1", "0x2", "0x10", "0x11", "0xff"];

impl Dice {
    /// Whether something that happens `percent` times in a hundred happens.
    fn often(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Some of several, at least one, each once, in their order.
    fn some<'a>(&mut self, all: &[&'a str], most: u64) -> Vec<&'a str> {
        let mut chosen: Vec<usize> = (0..=self.below(most)).map(|_| self.below(all.len() as u64) as usize).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen.into_iter().map(|i| all[i]).collect()
    }

    /// Some of several networks, none of which holds another: sets without `auto-merge` take no overlaps.
    fn apart<'a>(&mut self, all: &[&'a str]) -> Vec<&'a str> {
        let set = |network: &str| network.parse::<AddrSet>().expect("the constants are networks");
        let mut out: Vec<&str> = Vec::new();
        for network in self.some(all, 4) {
            if !out.iter().any(|o| set(network).overlaps(&set(o))) {
                out.push(network);
            }
        }
        out
    }
}
