//! Every question whose answer a policy can tell apart from the others.

use crate::access::{Interface, Packet, Path, Pattern, Question};

use super::{Forwarded, Policy};

impl Policy {
    /// An interface for each that the policy treats by itself: loopback, each that it names, and any other one.
    pub fn interface_classes(&self) -> Vec<Interface> {
        let mut patterns: Vec<&Pattern> =
            self.interfaces.iter().chain(self.zones.iter().flat_map(|z| &z.patterns)).collect();
        patterns.sort();
        patterns.dedup();
        let named = patterns.into_iter().map(Pattern::representative);
        [Interface::Loopback, Interface::Fresh(String::new())].into_iter().chain(named).collect()
    }

    /// Ports that stand for all: each guarded one, and one that is not.
    pub fn port_classes(&self) -> Vec<u16> {
        let mut ports = self.all_ports();
        let other = [143, 80, 25, 22].into_iter().chain(1..=100).find(|p| !ports.contains(p));
        ports.extend(other);
        ports
    }

    /// Every question that the policy can tell apart. The law is asked over all of them.
    pub fn questions(&self) -> Vec<Question> {
        let mut ways = vec![(Path::Input, None), (Path::Forwarded, None)];
        if let Forwarded::Routed(nets) = &self.forwarded {
            ways.extend([(Path::Forwarded, Some(nets.clone())), (Path::Forwarded, Some(nets.complement()))]);
        }
        let mut out = Vec::new();
        for (path, to) in &ways {
            for port in self.port_classes() {
                for interface in self.interface_classes() {
                    for packet in Packet::ALL {
                        // Where another port, or an answer, is translated to is not in the question, and it may be one of
                        // the routed addresses.
                        let elsewhere = !self.all_ports().contains(&port) || packet == Packet::Adopted;
                        let routed = matches!(self.forwarded, Forwarded::Routed(_));
                        if *path == Path::Forwarded && to.is_none() && routed && elsewhere {
                            continue;
                        }
                        let q = Question { path: *path, port, interface: interface.clone(), to: None, packet };
                        out.push(match to {
                            Some(set) => q.to(set.clone()),
                            None => q,
                        });
                    }
                }
            }
        }
        out
    }
}
