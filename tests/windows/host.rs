//! A Windows host as far as these tests need one: it holds rules, does what the script does step by step, and prints them
//! rewritten, as Windows does.

use std::collections::BTreeMap;

use harden993::net::{AddrSet, Network, parse_network};
use serde_json::{Value, json};

use crate::powershell::{Data, Rule};

/// A host with our rules and one foreign Allow rule, or without it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Host {
    /// Our rules by name, each with the interfaces that it is bound to.
    pub(crate) ours: BTreeMap<String, (Rule, Vec<String>)>,
    /// Whether somebody allows everybody, as Exchange's setup does.
    pub(crate) open: bool,
}

impl Host {
    /// Who reaches a port by an interface that no rule names: Block wins over Allow, and nothing else is let in.
    pub(crate) fn reachable(&self, port: &str) -> AddrSet {
        let union = |action: &str| {
            let rules = self.ours.values().map(|(r, _)| r);
            let chosen = rules.filter(|r| r.enabled && r.action == action && r.ports.iter().any(|p| p == port));
            chosen.fold(AddrSet::new(), |set, r| set.union(&r.sources()))
        };
        let allowed = if self.open { AddrSet::all() } else { union("Allow") };
        allowed.minus(&union("Block"))
    }

    /// Loads a script: the states after each step. The order is the script's: create as the data has it, then remove
    /// Blocks, Allows and what does nothing.
    pub(crate) fn steps(&self, data: &Data) -> Vec<Self> {
        let mut states = Vec::new();
        let mut host = self.clone();
        for rule in &data.rules {
            if !host.ours.contains_key(&rule.name) {
                host.ours.insert(rule.name.clone(), (rule.clone(), data.interfaces.clone()));
                states.push(host.clone());
            }
        }
        let mut old: Vec<&Rule> =
            self.ours.values().map(|(r, _)| r).filter(|r| data.rules.iter().all(|new| new.name != r.name)).collect();
        old.sort_by_key(|r| (!r.enabled, r.action != "Block", &r.name));
        for rule in old {
            host.ours.remove(&rule.name);
            states.push(host.clone());
        }
        states
    }

    /// The host after a script.
    pub(crate) fn loaded(&self, data: &Data) -> Self {
        self.steps(data).pop().unwrap_or_else(|| self.clone())
    }

    /// What the capture script prints of it.
    pub(crate) fn capture(&self) -> String {
        let mut rules: Vec<Value> = self.ours.values().map(|(rule, interfaces)| entry(rule, interfaces)).collect();
        if self.open {
            rules.push(exchange());
        }
        capture(rules)
    }
}

/// The rule that Exchange's setup adds.
pub(crate) fn exchange() -> Value {
    json!({
        "name": "MSEx-IMAP", "display_name": "MSExchange - IMAP4 (GFW) (TCP-In)", "group": "", "enabled": true,
        "action": "Allow", "direction": "Inbound", "profile": "Any", "edge": "Block", "protocol": "TCP",
        "local_port": ["143", "993"], "remote_port": ["Any"], "local_address": ["Any"], "remote_address": ["Any"],
        "program": "Any", "service": "Any", "source": "PersistentStore", "source_type": "Local",
        "enforcement": ["NotApplicable"]
    })
}

/// A network profile as a fresh Windows has it.
pub(crate) fn profile(name: &str) -> Value {
    json!({
        "name": name, "enabled": "True", "default_inbound": "Block", "inbound_rules": "True", "local_rules": "True",
        "log_blocked": "False", "disabled_interfaces": ["NotConfigured"]
    })
}

/// A capture of a fresh Windows with these rules.
pub(crate) fn capture(rules: Vec<Value>) -> String {
    capture_with(["Domain", "Private", "Public"].map(profile).to_vec(), rules)
}

pub(crate) fn capture_with(profiles: Vec<Value>, rules: Vec<Value>) -> String {
    json!({"schema": 1, "policy_store": "ActiveStore", "profiles": profiles, "rules": rules}).to_string()
}

/// One of our rules as Windows prints it: prefixes of IPv4 with masks, subnets before ranges, in an order of its own.
fn entry(rule: &Rule, interfaces: &[String]) -> Value {
    let mut addresses: Vec<String> = rule.addresses.iter().rev().map(|a| rewritten(a)).collect();
    addresses.sort_by_key(|a| a.contains('-'));
    if interfaces.is_empty() && addresses.len() == 1 {
        // A list of one element may come as a text.
        return json!({
            "name": rule.name, "display_name": rule.display_name, "description": rule.description,
            "group": "harden993", "enabled": rule.enabled, "action": rule.action, "direction": "Inbound",
            "profile": "Any", "protocol": "TCP", "local_port": rule.ports, "remote_address": addresses[0],
            "source_type": "Local", "interface": "Any",
        });
    }
    json!({
        "name": rule.name, "display_name": rule.display_name, "description": rule.description, "group": "harden993",
        "enabled": rule.enabled, "action": rule.action, "direction": "Inbound", "profile": "Any", "edge": "Block",
        "protocol": "TCP", "local_port": rule.ports, "remote_port": ["Any"], "local_address": ["Any"],
        "remote_address": addresses, "program": "Any", "package": "", "service": "Any",
        "interface": if interfaces.is_empty() { vec!["Any".to_owned()] } else { interfaces.to_vec() },
        "interface_type": "Any", "authentication": "NotRequired", "override_block": "False", "local_user": "Any",
        "remote_user": "Any", "remote_machine": "Any", "owner": "", "platform": [], "source": "PersistentStore",
        "source_type": "Local", "enforcement": ["Enforced"], "status": "OK"
    })
}

fn rewritten(text: &str) -> String {
    let Some((address, len)) = text.split_once('/').filter(|(a, _)| !a.contains(':')) else { return text.to_owned() };
    let Ok(Network::V4(span)) = parse_network(text.as_bytes()) else { panic!("{address}/{len} is a prefix") };
    format!("{address}/{}", std::net::Ipv4Addr::from(!(span.last - span.first)))
}
