//! The way by which a connection comes: what is asked about beside its source.

use crate::access::{Interface, Path};
use crate::net::AddrSet;
use crate::policy::{Class, Forwarded, Policy};

use super::reason::Reason;

/// Port, interface, path and destination of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Way {
    pub(super) port: u16,
    pub(super) interface: Interface,
    pub(super) path: Path,
    pub(super) to: Option<AddrSet>,
}

impl Way {
    /// Why sources do not matter here, and the one class of everybody (none: not guarded); nothing where they matter.
    pub(super) fn unguarded(&self, policy: &Policy) -> Option<(Option<Class>, Reason)> {
        if self.interface == Interface::Loopback {
            return Some((None, Reason::Loopback));
        }
        if !policy.covers(&self.interface) {
            return Some((None, Reason::OtherInterface(self.interface.label().unwrap_or_default())));
        }
        let forwarded = match (self.path, &self.to, &policy.forwarded) {
            (Path::Outside | Path::Input, ..)
            | (Path::Forwarded, None, Forwarded::Translated | Forwarded::Routed(_)) => true,
            (Path::Forwarded, Some(to), Forwarded::Routed(nets)) => nets.contains_all(to),
            (Path::Forwarded, ..) => false,
        };
        if !forwarded {
            return Some((None, Reason::OtherPath));
        }
        if policy.ports.contains(&self.port) {
            return None;
        }
        if policy.all_ports().contains(&self.port) {
            return Some((Some(Class::Refused), Reason::Plaintext));
        }
        Some((None, Reason::OtherPort(self.port)))
    }
}
