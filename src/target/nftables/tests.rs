//! Policies that between them use everything that a rendering can hold.

use expect_test::{expect, expect_file};

use super::*;
use crate::access::{Bucket, Pattern, Per, Rate, Refuse};
use crate::net::AddrSet;
use crate::policy::{Draft, Forwarded, Grant, Limit, LogPolicy, Policy, TargetSettings};
use crate::ruleset::Evaluator;

fn nets(list: &[&str]) -> AddrSet {
    list.iter().fold(AddrSet::new(), |set, text| set.union(&text.parse().expect("a network")))
}

fn grant(list: &[&str], via: &[&str], limit: Option<Limit>) -> Grant {
    Grant { sources: nets(list), via: via.iter().map(|v| Pattern::parse(v)).collect(), limit }
}

fn bucket(count: u32, per: Per, burst: u32) -> Bucket {
    Bucket { rate: Rate::new(count, per), burst }
}

/// Every policy with a name.
pub(super) fn policies() -> Vec<(&'static str, Policy)> {
    let usual = Limit { rate: Some(bucket(60, Per::Minute, 30)), concurrent: Some(100) };
    let rate_only = Limit { rate: Some(bucket(10, Per::Hour, 7)), concurrent: None };
    let count_only = Limit { rate: None, concurrent: Some(5) };
    let office = Draft {
        grants: vec![grant(&["198.51.100.0/24", "2001:db8:10::/48", "203.0.113.7", "203.0.113.16/28"], &[], None)],
        blocked: nets(&["198.51.100.128/25"]),
        ..Draft::default()
    };
    let classes = Draft {
        ports: vec![993, 995, 4190],
        action: Refuse::Reset,
        log: Some(LogPolicy { rate: None }),
        ipv4_prefix: 24,
        grants: vec![
            grant(&["198.51.100.0/24", "2001:db8:10::/48"], &[], Some(usual)),
            grant(&["192.0.2.0/25", "2001:db8:20::/48"], &[], Some(rate_only)),
            grant(&["203.0.113.0/24"], &[], Some(count_only)),
            grant(&["203.0.113.128/25"], &[], None),
        ],
        ..Draft::default()
    };
    let zones = Draft {
        interfaces: ["eth0", "eth1", "wg*", "tun0"].map(Pattern::parse).to_vec(),
        close_plaintext: true,
        log: None,
        grants: vec![
            grant(&["192.0.2.0/24"], &[], Some(usual)),
            grant(&["0.0.0.0/0", "::/0"], &["wg0", "tun0"], None),
            grant(&["10.0.0.0/8", "fd00::/8"], &["wg*"], None),
            grant(&["0.0.0.0/0"], &["wg1*"], Some(count_only)),
        ],
        blocked: nets(&["192.0.2.99", "2001:db8::/32"]),
        ..Draft::default()
    };
    let translated = Draft { forwarded: Forwarded::Translated, ..office.clone() };
    let routed = Draft {
        ports: vec![143, 993],
        forwarded: Forwarded::Routed(nets(&["192.0.2.0/28", "2001:db8:1::/64"])),
        interfaces: vec![Pattern::parse("eth0")],
        ..classes.clone()
    };
    let one_family = Draft { forwarded: Forwarded::Routed(nets(&["192.0.2.0/28"])), ..office.clone() };
    let closed = Draft { close_plaintext: true, forwarded: Forwarded::Translated, ..Draft::default() };
    let open = Draft {
        grants: vec![grant(&["0.0.0.0/0", "::/0"], &[], Some(usual)), grant(&["10.0.0.0/8"], &[], None)],
        blocked: nets(&["192.0.2.0/24"]),
        ..Draft::default()
    };
    let shut = Draft { blocked: nets(&["0.0.0.0/0", "2001:db8::/32"]), ..open.clone() };
    let list = Draft {
        grants: vec![Grant { sources: many(3000), via: Vec::new(), limit: Some(usual) }],
        blocked: many(9000).minus(&many(3000)),
        ..Draft::default()
    };
    [
        ("office", office),
        ("classes", classes),
        ("zones", zones),
        ("translated", translated),
        ("routed", routed),
        ("one_family", one_family),
        ("closed", closed),
        ("open", open),
        ("shut", shut),
        ("list", list),
    ]
    .map(|(name, draft)| (name, draft.lower()))
    .to_vec()
}

/// So many networks of mixed lengths and both families, the first ones always the same.
pub(super) fn many(count: u32) -> AddrSet {
    use crate::net::{Prefix, Span};
    let spread = |i: u32| i.wrapping_mul(2_654_435_761);
    let v4 = (0..count).map(|i| Span::from(Prefix::new(spread(i), 20 + (i % 13) as u8))).collect();
    let v6 = (0..count).map(|i| {
        let addr = u128::from(0x2001_0000 | (spread(i) & 0xffff)) << 96 | u128::from(spread(i)) << 64;
        Span::from(Prefix::new(addr, 48 + (i % 17) as u8))
    });
    AddrSet { v4, v6: v6.collect() }
}

/// The rendering of a policy.
pub(super) fn rendered(policy: &Policy) -> String {
    let settings = TargetSettings::default();
    let deviations = ["open connections are counted from the last whole load of the table on".to_owned()];
    let job = Job {
        policy,
        digest: policy.digest(),
        name: "office",
        settings: &settings,
        deviations: &deviations,
        family: None,
    };
    let mut files = Nftables.render(&job).expect("it renders");
    files.pop().expect("one file").content
}

/// What a text says.
pub(super) fn read(text: &str) -> Ruleset {
    read::text(text, 0).expect("a listing")
}

/// A rendering from its first chain on.
fn chains(policy: &Policy) -> String {
    let text = rendered(policy);
    let from = text.find("\tchain input").expect("the first chain");
    text[from..].to_owned()
}

#[test]
fn one_office() {
    let policies = policies();
    expect_file!["../../../tests/golden/nftables/office.nft"].assert_eq(&rendered(&policies[0].1));
    expect_file!["../../../tests/golden/nftables/routed.nft"].assert_eq(&rendered(&policies[4].1));
}

#[test]
fn a_closed_port_and_plaintext() {
    let closed = &policies()[6].1;
    expect![[r#"
        	chain input {
        		type filter hook input priority filter - 10; policy accept;
        		tcp dport 993 jump guarded
        		tcp dport 143 jump plaintext
        	}

        	chain forward {
        		type filter hook forward priority filter - 10; policy accept;
        		meta l4proto tcp ct status dnat ct direction original ct original proto-dst 993 jump guarded
        		meta l4proto tcp ct status dnat ct direction original ct original proto-dst 143 jump plaintext
        	}

        	chain guarded {
        		iif "lo" accept
        		tcp flags & (syn | ack) != syn ct state established ct direction original accept
        		goto untrusted
        	}

        	chain plaintext {
        		iif "lo" accept
        		tcp flags & (syn | ack) != syn ct state established ct direction original accept
        		goto untrusted
        	}

        	chain untrusted {
        		tcp flags & (syn | ack) == syn limit rate 10/minute burst 10 packets log prefix "harden993 refused: "
        		goto refuse
        	}

        	chain refuse {
        		counter name "refused" drop
        	}
        }
    "#]]
    .assert_eq(&chains(closed));
}

#[test]
fn what_is_rendered_reads_back_as_the_policy() {
    for (name, policy) in policies() {
        let ruleset = read(&rendered(&policy));
        assert_eq!(ruleset.digest, Some(policy.digest().to_string()), "{name}");
        let mut evaluator = Evaluator::new(&ruleset);
        for q in policy.questions() {
            let (expected, found) = (policy.answer(&q), evaluator.ask(&q));
            let differences = expected.differences(&found);
            assert!(differences.is_empty(), "{name}: {q}: {:?}", differences[0]);
        }
    }
}
