//! A policy as the values that the template of our table shows.

use std::collections::BTreeMap;

use tera::Value;

use crate::access::{Bucket, Pattern, Refuse};
use crate::net::{AddrSet, Cuts};
use crate::policy::{Class, ClassId, Forwarded, Limit, Policy, Zone};
use crate::target::template::Template;
use crate::target::{File, Job, RenderError, VERSION};

use super::refill_seconds;
use super::sets::{self, NetworkSet, Words};

/// The file that a rendering is, and that its head comment speaks of.
pub(super) const FILE: &str = "harden993.nft";

const TEMPLATE: Template =
    Template { path: "nftables/ruleset.nft.tera", text: include_str!("../../../templates/nftables/ruleset.nft.tera") };

/// The files of a policy: one, for `nft -f`.
pub(super) fn files(job: &Job<'_>) -> Result<Vec<File>, RenderError> {
    let content = TEMPLATE.fill(values(job))?;
    Ok(vec![File { name: FILE.to_owned(), content }])
}

/// What the template is given.
fn values(job: &Job<'_>) -> BTreeMap<&'static str, Value> {
    let policy = job.policy;
    let mut table = Table::default();
    let (blocked, blocked_families) = table.blocked(policy);
    let classes = class_names(policy);
    let (mut families, mut vias, mut via_chains) = (Vec::new(), Vec::new(), Vec::new());
    for (number, zone) in policy.zones.iter().enumerate() {
        if zone.patterns.is_empty() {
            families = table.zone("", "guarded", zone, &classes);
            continue;
        }
        let name = format!("via{}", number + 1);
        let iifs = interface_tests(&zone.patterns);
        vias.extend(iifs.into_iter().map(|iif| record([("iif", iif.into()), ("chain", name.clone().into())])));
        let families = table.zone(&format!("{name}_"), &name, zone, &classes);
        via_chains.push(record([("name", name.into()), ("families", families.into())]));
    }
    let routed: Vec<Value> = match &policy.forwarded {
        Forwarded::Routed(nets) => table.routed(nets).into_iter().map(Value::from).collect(),
        _ => Vec::new(),
    };
    let any_blocked = !blocked.is_empty() || !blocked_families.is_empty();
    let log_rate = policy.log.and_then(|l| l.rate).map(|b| format!("limit rate {} ", bucket(b)));
    BTreeMap::from([
        ("version", Value::from(VERSION)),
        ("name", job.name.into()),
        ("digest", job.digest.to_string().into()),
        ("file", FILE.into()),
        ("deviations", strings(job.deviations)),
        ("ports", policy.ports.iter().map(|p| Value::from(*p)).collect::<Vec<_>>().into()),
        ("guarded", port_list(&policy.ports).into()),
        ("plaintext", policy.close_plaintext.into()),
        ("interfaces", strings(&guarded_interfaces(policy))),
        ("translated", (policy.forwarded != Forwarded::No).into()),
        ("routed", routed.into()),
        ("blocked", blocked.into()),
        ("blocked_chains", blocked_families.into()),
        ("any_blocked", any_blocked.into()),
        ("vias", vias.into()),
        ("via_chains", via_chains.into()),
        ("families", families.into()),
        ("trusted", policy.trusted_classes().next().is_some().into()),
        ("limits", limits(policy).into()),
        ("log", policy.log.is_some().into()),
        ("log_rate", log_rate.unwrap_or_default().into()),
        ("reset", (policy.action == Refuse::Reset).into()),
        ("sets", table.sets.into_iter().map(set_value).collect::<Vec<_>>().into()),
        ("source_chains", table.chains.into()),
    ])
}

/// What is collected on the way: every set of networks, and the chains that look a source up in them.
#[derive(Default)]
struct Table {
    sets: Vec<NetworkSet>,
    chains: Vec<Value>,
}

impl Table {
    /// The tests of blocked sources that stand in the chain itself, and the families that have a chain for them. (A set for
    /// each prefix length is many rules, which packets of the other family need not meet.)
    fn blocked(&mut self, policy: &Policy) -> (Vec<Value>, Vec<Value>) {
        let (mut tests, mut families) = (Vec::new(), Vec::new());
        // A block holds whatever the interface, so every zone says the same.
        if let Some(zone) = policy.zones.last() {
            self.blocked_family::<u32>(&zone.partition.v4, &mut tests, &mut families);
            self.blocked_family::<u128>(&zone.partition.v6, &mut tests, &mut families);
        }
        (tests, families)
    }

    fn blocked_family<A: Words>(&mut self, cuts: &Cuts<A, ClassId>, tests: &mut Vec<Value>, chains: &mut Vec<Value>) {
        if cuts.as_uniform() == Some(Policy::BLOCKED) {
            tests.push(format!("meta nfproto {} ", A::NFPROTO).into());
            return;
        }
        let sets = sets::of_networks("blocked", A::SADDR, cuts.spans(Policy::BLOCKED));
        if let [one] = &sets[..] {
            tests.push(one.test.clone().into());
        } else if !sets.is_empty() {
            let rules = sets.iter().map(|s| source_rule(&s.test, "blocked")).collect();
            self.source_chain(format!("blocked_{}", A::NFPROTO), rules);
            chains.push(A::NFPROTO.into());
        }
        self.sets.extend(sets);
    }

    /// The chains of a zone, a family each: where a trusted source goes.
    fn zone(&mut self, set: &str, chain: &str, zone: &Zone, classes: &[(ClassId, String, String)]) -> Vec<Value> {
        let v4 = self.zone_family::<u32>(set, chain, &zone.partition.v4, classes);
        let v6 = self.zone_family::<u128>(set, chain, &zone.partition.v6, classes);
        v4.into_iter().chain(v6).collect()
    }

    fn zone_family<A: Words>(
        &mut self,
        set: &str,
        chain: &str,
        cuts: &Cuts<A, ClassId>,
        classes: &[(ClassId, String, String)],
    ) -> Option<Value> {
        // Blocked sources do not come here. Where nobody is refused either, the last class is whoever is left.
        let used: Vec<_> = classes.iter().filter(|(id, ..)| cuts.iter().any(|c| c.class == *id)).collect();
        let open = !cuts.iter().any(|c| c.class == Policy::REFUSED);
        let cuts = cuts.bridged(Policy::BLOCKED);
        let mut rules = Vec::new();
        for (i, (id, name, to)) in used.iter().enumerate() {
            let to = if to == "take" { to.clone() } else { format!("{to}{}", A::SUFFIX) };
            if open && i + 1 == used.len() {
                rules.push(source_rule("", &to));
                continue;
            }
            let sets = sets::of_networks(&format!("{set}{name}"), A::SADDR, cuts.spans(*id));
            rules.extend(sets.iter().map(|s| source_rule(&s.test, &to)));
            self.sets.extend(sets);
        }
        if rules.is_empty() {
            return None;
        }
        let name = format!("{chain}{}", A::SUFFIX);
        self.source_chain(name.clone(), rules);
        Some(record([("name", A::NFPROTO.into()), ("chain", name.into())]))
    }

    /// The tests of routed destinations.
    fn routed(&mut self, nets: &AddrSet) -> Vec<String> {
        // Interval sets whatever their size: one lookup for each forwarded packet, and only packets to guarded ports follow.
        let v4 = (!nets.v4.is_empty()).then(|| sets::plain("routed", u32::DADDR, nets.v4.prefixes()));
        let v6 = (!nets.v6.is_empty()).then(|| sets::plain("routed", u128::DADDR, nets.v6.prefixes()));
        let sets: Vec<NetworkSet> = v4.into_iter().chain(v6).collect();
        let tests = sets.iter().map(|s| s.test.trim_end().to_owned()).collect();
        self.sets.extend(sets);
        tests
    }

    fn source_chain(&mut self, name: String, rules: Vec<Value>) {
        self.chains.push(record([("name", name.into()), ("rules", rules.into())]));
    }
}

fn source_rule(test: &str, to: &str) -> Value {
    record([("saddr", test.into()), ("to", to.into())])
}

fn set_value(set: NetworkSet) -> Value {
    record([
        ("name", set.name.into()),
        ("type", set.kind.into()),
        ("interval", set.interval.into()),
        ("elements", set.elements.into()),
    ])
}

/// Each trusted class with what its sets are named after and where its sources go: first whoever is exempt from limits,
/// then wide limits before tight ones.
fn class_names(policy: &Policy) -> Vec<(ClassId, String, String)> {
    let (exempt, mut limited): (Vec<_>, Vec<_>) = policy.trusted_classes().partition(|(_, l)| l.is_none());
    limited.reverse();
    let exempt = exempt.into_iter().map(|(id, _)| (id, "trusted".to_owned(), "take".to_owned()));
    let limited = limited.into_iter().zip(1..).map(|((id, _), n)| (id, format!("limited{n}"), format!("limit{n}")));
    exempt.chain(limited).collect()
}

/// A chain and its sets for each limit and family that somebody stands under.
fn limits(policy: &Policy) -> Vec<Value> {
    let mut out = Vec::new();
    for (id, name, _) in class_names(policy) {
        let Class::Trusted(Some(limit)) = policy.class(id) else { continue };
        let number = name.trim_start_matches("limited");
        if policy.zones.iter().any(|z| z.partition.v4.iter().any(|c| c.class == id)) {
            out.push(limit_value::<u32>(policy, number, limit, policy.ipv4_prefix));
        }
        if policy.zones.iter().any(|z| z.partition.v6.iter().any(|c| c.class == id)) {
            out.push(limit_value::<u128>(policy, number, limit, policy.ipv6_prefix));
        }
    }
    out
}

fn limit_value<A: Words>(policy: &Policy, number: &str, limit: Limit, prefix: u8) -> Value {
    let mask = sets::mask::<A>(prefix).map(|m| format!(" & {m}")).unwrap_or_default();
    // Behind DNAT the packet's port is the translated one; what counts is the guarded port. nft wants the protocol named
    // before it believes that a connection has ports.
    let (l4proto, port) = match policy.forwarded {
        Forwarded::No => ("", "th dport"),
        _ => ("meta l4proto tcp ", "ct original proto-dst"),
    };
    let key = |port: &str| format!("{}{mask} . {port}", A::SADDR);
    // A SYN with FIN or RST belongs to no connection, so it has no original port; but it is never translated either.
    let odd_key = (policy.forwarded != Forwarded::No).then(|| key("th dport"));
    record([
        ("name", format!("{number}{}", A::SUFFIX).into()),
        ("type", A::TYPE.into()),
        ("l4proto", l4proto.into()),
        ("key", key(port).into()),
        ("odd_key", odd_key.into()),
        ("concurrent", limit.concurrent.into()),
        ("rate", limit.rate.map(bucket).into()),
        ("timeout", limit.rate.map(|b| duration(refill_seconds(b))).into()),
    ])
}

/// A bucket as nft writes it.
fn bucket(bucket: Bucket) -> String {
    format!("{} burst {} packets", bucket.rate, bucket.burst)
}

/// A time as nft writes it: `1m`, `1d2h`.
fn duration(seconds: u64) -> String {
    let parts = [(seconds / 86400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    parts.into_iter().filter(|(n, _)| *n > 0).fold(String::new(), |text, (n, unit)| text + &n.to_string() + unit)
}

fn guarded_interfaces(policy: &Policy) -> Vec<String> {
    if policy.interfaces.is_empty() { vec![String::new()] } else { interface_tests(&policy.interfaces) }
}

/// The tests for some interfaces, each with a blank at its end. Wildcards cannot stand in a set before nft 1.0, so that each
/// is a rule of its own.
fn interface_tests(patterns: &[Pattern]) -> Vec<String> {
    let (wildcards, names): (Vec<&Pattern>, Vec<&Pattern>) = patterns.iter().partition(|p| p.is_wildcard());
    let names = match &names[..] {
        [] => None,
        [one] => Some(format!("iifname \"{one}\" ")),
        many => {
            let list: Vec<String> = many.iter().map(|p| format!("\"{p}\"")).collect();
            Some(format!("iifname {{ {} }} ", list.join(", ")))
        }
    };
    names.into_iter().chain(wildcards.into_iter().map(|p| format!("iifname \"{p}\" "))).collect()
}

fn port_list(ports: &[u16]) -> String {
    if let [one] = ports {
        return one.to_string();
    }
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    format!("{{ {} }}", ports.join(", "))
}

fn strings(list: &[String]) -> Value {
    list.iter().map(|s| Value::from(s.as_str())).collect::<Vec<_>>().into()
}

fn record<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
    Value::from(BTreeMap::from(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Per, Rate};
    use crate::policy::{Draft, TargetSettings};

    #[test]
    fn the_template_uses_exactly_what_it_is_given() {
        let policy = Draft::default().lower();
        let settings = TargetSettings::default();
        let job = Job {
            policy: &policy,
            digest: policy.digest(),
            name: "office",
            settings: &settings,
            deviations: &[],
            family: None,
        };
        let given: Vec<&str> = values(&job).into_keys().collect();
        assert_eq!(TEMPLATE.variables(), given);
    }

    #[test]
    fn times_are_spelled_as_nft_does() {
        assert_eq!(duration(60), "1m");
        assert_eq!(duration(90), "1m30s");
        assert_eq!(duration(86400 + 7200 + 1), "1d2h1s");
        let bucket = |count, per, burst| Bucket { rate: Rate::new(count, per), burst };
        assert_eq!(refill_seconds(bucket(60, Per::Minute, 30)), 60);
        assert_eq!(refill_seconds(bucket(10, Per::Hour, 7)), 2520);
        assert_eq!(refill_seconds(bucket(1, Per::Hour, u32::MAX)), 3600 * u64::from(u32::MAX));
    }

    #[test]
    fn wildcards_are_rules_of_their_own() {
        let tests = interface_tests(&["eth0", "eth1", "wg*"].map(Pattern::parse));
        assert_eq!(tests, ["iifname { \"eth0\", \"eth1\" } ", "iifname \"wg*\" "]);
    }
}
