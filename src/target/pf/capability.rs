//! What pf can do of a policy, what it does otherwise, and what it cannot do at all.

use crate::access::{Access, Bucket, Outcome, Packet, Path, Pattern, Question, Refuse, Verdict};
use crate::net::{AddrSet, Ranges};
use crate::policy::{Feature, Forwarded, Policy};

use super::{Dialect, Lack, Refusal};

/// The longest interface name: IFNAMSIZ less the final NUL.
const NAME_LEN: usize = 15;

/// The largest N of `max-src-conn-rate N/S`: the kernel counts in thousandths (`PF_THRESHOLD_MULT`) of 32 bits.
const RATE_MAX: u32 = 4_294_966;

/// `set limit table-entries` unless pf.conf says otherwise.
const TABLE_ENTRIES: usize = 200_000;

/// FreeBSD's sysctl `net.pf.request_maxcount`: the most addresses that one table is loaded with.
const FREEBSD_REQUEST: usize = 65_535;

/// The drivers whose interfaces are all members of a group of the driver's name, because they are cloned (ifconfig(8),
/// `group`). Interfaces of hardware are in no such group: `on em` matches nothing.
const OPENBSD_GROUPS: &[&str] = &[
    "aggr", "bridge", "carp", "egre", "enc", "eoip", "etherip", "gif", "gre", "lo", "mgre", "nvgre", "pair", "ppp",
    "pppoe", "pppx", "sec", "tap", "tpmr", "trunk", "tun", "veb", "vether", "vlan", "vport", "vxlan", "wg",
];
const FREEBSD_GROUPS: &[&str] = &[
    "bridge", "enc", "epair", "gif", "gre", "ipsec", "lagg", "lo", "ovpn", "ppp", "stf", "tap", "tun", "vlan", "vmnet",
    "vxlan", "wg", "wlan",
];

/// How a token bucket is written as `max-src-conn-rate N/S`: N at once, and N in S seconds for ever. None if the time in
/// which the burst is refilled is no whole number of seconds.
pub(super) fn rate(bucket: Bucket) -> Option<(u32, u32)> {
    let refill = u64::from(bucket.burst) * u64::from(bucket.rate.per.seconds());
    let count = u64::from(bucket.rate.count);
    let seconds = refill.checked_div(count).filter(|s| *s > 0 && refill.is_multiple_of(count))?;
    Some((bucket.burst, u32::try_from(seconds).ok()?))
}

pub(super) fn lacks(policy: &Policy) -> Vec<Lack> {
    let mut out = Vec::new();
    let mut lack = |feature, why: &str| out.push(Lack { feature, why: why.to_owned() });
    if policy.forwarded == Forwarded::Translated {
        lack(Feature::Forwarded, "after a translation pf sees only the new port; a list of destinations it can guard");
    }
    if policy.trusted_classes().any(|(_, l)| l.and_then(|l| l.rate).is_some_and(|b| rate(b).is_none())) {
        lack(Feature::Burst, "pf counts in whole seconds, and this burst is not refilled in a whole number of them");
    }
    if policy.has_limits() {
        if policy.ipv4_prefix != 32 {
            lack(Feature::Ipv4Prefix, "pf counts single addresses");
        }
        if policy.ipv6_prefix != 128 {
            lack(Feature::Ipv6Prefix, "pf counts single addresses");
        }
    }
    if policy.log.is_some_and(|l| l.rate.is_some()) {
        lack(Feature::LogRate, "pf logs every packet that a rule logs");
    }
    out
}

pub(super) fn refuses(policy: &Policy, dialect: Dialect) -> Vec<Refusal> {
    let patterns = policy.interfaces.iter().chain(policy.zones.iter().flat_map(|z| &z.patterns));
    let mut patterns: Vec<&Pattern> = patterns.collect();
    patterns.sort();
    patterns.dedup();
    let mut out: Vec<Refusal> = patterns.iter().filter_map(|p| interface(p, dialect)).collect();
    for pattern in patterns.iter().filter(|p| p.is_wildcard()) {
        if patterns.contains(&&Pattern::name(pattern.text())) {
            out.push(Refusal {
                feature: None,
                message: format!("pf cannot tell `{pattern}` from `{}`: both are one interface group", pattern.text()),
                help: "write one of the two".to_owned(),
            });
        }
    }
    let too_many = policy.trusted_classes().filter_map(|(_, l)| l?.rate).any(|b| b.burst.min(b.rate.count) > RATE_MAX);
    if too_many {
        out.push(Refusal {
            feature: None,
            message: format!("pf counts at most {RATE_MAX} new connections"),
            help: "write a smaller `new_connections`, or none".to_owned(),
        });
    }
    out
}

/// Why an interface cannot stand in a rule.
fn interface(pattern: &Pattern, dialect: Dialect) -> Option<Refusal> {
    let text = pattern.text();
    let refusal = |message: String, help: &str| Some(Refusal { feature: None, message, help: help.to_owned() });
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if text.is_empty() || text.len() > NAME_LEN || !text.bytes().all(plain) || text.starts_with('-') {
        return refusal(
            format!("`{}` is no interface name on {}", pattern.to_string().escape_default(), dialect.system()),
            "names are letters, digits, `_`, `.` and `-`, at most 15 of them",
        );
    }
    let numbered = text.ends_with(|c: char| c.is_ascii_digit());
    match (dialect, pattern.is_wildcard()) {
        (Dialect::MacOs, true) => refusal(
            format!("macOS has no interface groups, so `{pattern}` cannot be expressed"),
            "name each interface, such as utun3",
        ),
        (Dialect::MacOs, false) if !numbered => refusal(
            format!("`{text}` matches nothing on macOS, where a rule names one interface, such as en0"),
            "write the name that ifconfig prints",
        ),
        (Dialect::OpenBsd | Dialect::FreeBsd, true) => {
            let groups = if dialect == Dialect::OpenBsd { OPENBSD_GROUPS } else { FREEBSD_GROUPS };
            if groups.contains(&text) {
                return None;
            }
            refusal(
                format!(
                    "pf has no wildcards, and on {} `{text}` is no group that every `{pattern}` is in",
                    dialect.system()
                ),
                "name each interface, or put them into a group with ifconfig and name the group",
            )
        }
        _ => None,
    }
}

pub(super) fn deviations(policy: &Policy, dialect: Dialect) -> Vec<String> {
    let mut out = vec![
        if dialect == Dialect::MacOs {
            "open connections of blocked sources go on until they end".to_owned()
        } else {
            "open connections of blocked sources go on until `harden993 apply --cut`".to_owned()
        },
        "packets of connections that pf does not know are refused, also from trusted sources, so connections that were \
         open before pf was enabled end"
            .to_owned(),
        "packets of any connection that pf knows pass, whichever side opened it".to_owned(),
    ];
    let mut say = |text: &str| out.push(text.to_owned());
    if policy.log.is_some() {
        say("log lines go to the interface pflog0 and have no prefix: the rule's label says what was refused");
    }
    if policy.has_limits() {
        say("a connection is counted when its handshake is complete, and one over a limit is ended then");
        say("what a limit refuses is dropped, without a log line and without a reset");
        if policy.interfaces.len() > 1 || policy.zones.len() > 1 || matches!(policy.forwarded, Forwarded::Routed(_)) {
            say("limits count by each interface and way apart");
        }
    }
    if matches!(policy.forwarded, Forwarded::Routed(_)) {
        say("connections that this host translates are guarded by their new port and destination");
    }
    if !dialect.knows_self() {
        say("connections that this host routes to a guarded port of others are guarded too: pf on macOS cannot tell");
    }
    if dialect == Dialect::MacOs && policy.action == Refuse::Reset {
        say("resets are reported not to be sent over wired Ethernet on macOS");
    }
    let sizes = table_sizes(policy);
    if sizes.iter().sum::<usize>() > TABLE_ENTRIES / 2 {
        say(
            "the main pf.conf needs a `set limit table-entries` of more than twice the number of networks, since a reload \
             holds old and new at once (the default is 200000)",
        );
    }
    if dialect == Dialect::FreeBsd && sizes.iter().any(|n| *n > FREEBSD_REQUEST) {
        say("the sysctl net.pf.request_maxcount must be larger than the largest table (the default is 65535)");
    }
    out
}

/// The number of entries of each table, so far as it can matter.
fn table_sizes(policy: &Policy) -> Vec<usize> {
    let entries = |set: &AddrSet| set.v4.prefixes().count() + set.v6.prefixes().count();
    let pieces: usize = policy.zones.iter().map(|z| z.partition.v4.len() + z.partition.v6.len()).sum();
    // A span is at most 254 prefixes, so a small policy needs no counting.
    if pieces < TABLE_ENTRIES / 1000 {
        return Vec::new();
    }
    let classes = policy.trusted_classes().map(|(id, _)| id);
    let zones: Vec<_> = classes.flat_map(|id| policy.zones.iter().map(move |z| z.partition.members(id))).collect();
    let blocked = policy.zones.last().map(|z| z.partition.members(Policy::BLOCKED));
    zones.iter().chain(&blocked).map(entries).collect()
}

/// Whether pf keeps a promise about a forwarded packet: what it has translated it sees by the new port and destination, and
/// on macOS it cannot tell what it forwards from what it keeps.
fn promised(policy: &Policy, dialect: Dialect, q: &Question) -> bool {
    match (&policy.forwarded, &q.to) {
        (Forwarded::No, _) => dialect.knows_self(),
        (Forwarded::Routed(nets), Some(to)) => dialect.knows_self() || nets.contains_all(&to.0),
        (Forwarded::Translated, _) | (_, None) => false,
    }
}

/// What pf answers: the decision table but for the deviations above.
pub(super) fn expected(policy: &Policy, dialect: Dialect, q: &Question) -> Access {
    let open = |because: &str| Access::uniform(Verdict::Unknown { because: because.to_owned() });
    if q.path == Path::Forwarded && !promised(policy, dialect, q) {
        return open("pf filters what it forwards by the new port and destination");
    }
    let answer = policy.answer_with(q, |class, packet, family| match packet {
        // States are looked up before any rule.
        Packet::Known | Packet::Adopted => Verdict::Accept.into(),
        Packet::Stray => Verdict::Refuse(policy.action).into(),
        Packet::Opening | Packet::OddOpening => match policy.decide(class, packet, family) {
            Outcome { verdict: Verdict::Limit { limits, .. }, .. } => {
                Verdict::Limit { limits, over: Refuse::Drop, over_log: None }.into()
            }
            other => other,
        },
    });
    // A destination of one family is reached from sources of that family only.
    let none = || open("no such packet is sent");
    match &q.to {
        Some(to) if to.0.v6 == Ranges::new() => answer.with_v6_of(&none()),
        Some(to) if to.0.v4 == Ranges::new() => none().with_v6_of(&answer),
        _ => answer,
    }
}
