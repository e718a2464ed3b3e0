//! Policies to try: small ones that a generator makes, and a few whose size or shape matters.

use harden993::access::Pattern;
use harden993::net::{AddrSet, Network, Span};
use harden993::policy::{Asked, Draft, Feature, Grant, Policy, TargetSettings};
use harden993::target::{Adapted, File, Job, Target, adapt, by_name, render};
use proptest::prelude::*;

/// The target under test.
pub(crate) fn windows() -> &'static dyn Target {
    by_name("windows").expect("the target is registered")
}

/// Everything that may be left out.
pub(crate) fn lenient() -> TargetSettings {
    TargetSettings { degrade: Feature::ALL.into_iter().collect(), ..TargetSettings::default() }
}

/// A network of either family; near both ends of the spaces and around borders more often than elsewhere.
pub(crate) fn network() -> impl Strategy<Value = Network> {
    let v4 = prop_oneof![any::<u32>(), 0u32..4, (u32::MAX - 3)..=u32::MAX, 0xc633_6400u32..0xc633_6410];
    let v6 = prop_oneof![
        any::<u128>(),
        0u128..5,
        (u128::MAX - 3)..=u128::MAX,
        (0u128..16).prop_map(|n| 0x2001_0db8 << 96 | n)
    ];
    let spread4 = prop_oneof![Just(0u32), 0u32..16, any::<u32>()];
    let spread6 = prop_oneof![Just(0u128), 0u128..16, any::<u128>()];
    prop_oneof![
        (v4, spread4).prop_map(|(a, n)| Network::V4(Span { first: a, last: a.saturating_add(n) })),
        (v6, spread6).prop_map(|(a, n)| Network::V6(Span { first: a, last: a.saturating_add(n) })),
    ]
}

pub(crate) fn set() -> impl Strategy<Value = AddrSet> {
    proptest::collection::vec(network(), 0..8).prop_map(|n| n.into_iter().collect())
}

/// Anything that Windows can do, and what it leaves out when it may.
pub(crate) fn draft() -> impl Strategy<Value = Draft> {
    let ports = prop_oneof![Just(vec![993]), Just(vec![143, 993]), Just(vec![993, 995, 4190])];
    let interfaces =
        prop_oneof![3 => Just(vec![]), 1 => Just(vec!["Ethernet 2", "Wi-Fi"]), 1 => Just(vec!["Préd’s \"$x\""])];
    let reset = prop_oneof![Just(harden993::access::Refuse::Drop), Just(harden993::access::Refuse::Reset)];
    (proptest::collection::vec(set(), 0..4), set(), ports, interfaces, any::<bool>(), reset).prop_map(
        |(grants, blocked, ports, interfaces, close_plaintext, action)| Draft {
            grants: grants.into_iter().map(|sources| Grant { sources, via: vec![], limit: None }).collect(),
            blocked,
            ports,
            interfaces: interfaces.into_iter().map(Pattern::name).collect(),
            close_plaintext,
            action,
            ..Draft::default()
        },
    )
}

/// A draft that trusts these networks.
pub(crate) fn trusting(networks: &[&str]) -> Draft {
    let sources =
        networks.iter().map(|n| n.parse::<AddrSet>().expect("a network")).fold(AddrSet::new(), |a, b| a.union(&b));
    Draft { grants: vec![Grant { sources, via: vec![], limit: None }], ..Draft::default() }
}

/// A draft that trusts many scattered addresses of both families, the same in every run.
pub(crate) fn scattered(count: u32) -> Draft {
    let v4 = (0..count).map(|i| i.wrapping_mul(2_654_435_761)).map(|a| Network::V4(Span { first: a, last: a }));
    let v6 = (0..count).map(|i| (0x2001_0db8 << 96) | u128::from(i.wrapping_mul(2_654_435_761)) << 64);
    let v6 = v6.map(|a| Network::V6(Span { first: a, last: a | u128::from(u64::MAX) }));
    Draft { grants: vec![Grant { sources: v4.chain(v6).collect(), via: vec![], limit: None }], ..Draft::default() }
}

/// A policy brought to what Windows can do.
pub(crate) fn adapted(policy: &Policy) -> Adapted {
    adapt(windows(), policy, &Asked::new(), &lenient()).expect("everything may be left out")
}

/// The rendered, proved script of a policy.
pub(crate) fn script(name: &str, policy: &Policy) -> String {
    let Adapted { policy: left, deviations } = adapted(policy);
    let settings = lenient();
    let job = Job {
        policy: &left,
        digest: policy.digest(),
        name,
        settings: &settings,
        deviations: &deviations,
        family: None,
    };
    let files: Vec<File> = render(windows(), &job).expect("it renders and is proved");
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].name, "harden993.ps1");
    files.into_iter().next().map(|f| f.content).unwrap_or_default()
}
