//! The law, asked of renderings of this target and of what both variants print back for them.

use super::*;
use crate::access::{Bucket, Per, Rate, Refuse};
use crate::net::AddrSet;
use crate::policy::{Draft, Grant};
use crate::target::prove;

fn networks(list: &[&str]) -> AddrSet {
    list.iter().map(|t| t.parse::<AddrSet>().unwrap()).fold(AddrSet::new(), |a, b| a.union(&b))
}

fn bucket(count: u32, per: Per, burst: u32) -> Bucket {
    Bucket { rate: Rate::new(count, per), burst }
}

/// Policies that use everything that this target has.
pub(super) fn policies() -> Vec<Policy> {
    let grant = |list: &[&str]| Grant { sources: networks(list), via: vec![], limit: None };
    let limit = |rate, concurrent| Some(Limit { rate, concurrent });
    let office = Draft { grants: vec![grant(&["198.51.100.0/24", "2001:db8:10::/48"])], ..Draft::default() };
    let limited = Draft {
        grants: vec![
            Grant {
                limit: limit(Some(bucket(60, Per::Minute, 30)), Some(100)),
                ..grant(&["198.51.100.0/24", "2001:db8::/32"])
            },
            Grant { limit: limit(None, Some(7)), ..grant(&["203.0.113.0/25"]) },
            Grant { limit: limit(Some(bucket(10, Per::Minute, 5)), None), ..grant(&["2001:db8:1::/48"]) },
            grant(&["203.0.113.7"]),
        ],
        blocked: networks(&["198.51.100.128/25", "2001:db8:bad::/48"]),
        action: Refuse::Reset,
        ports: vec![993, 995, 4190],
        ipv4_prefix: 28,
        ..Draft::default()
    };
    let forwarded = Draft {
        forwarded: Forwarded::Routed(networks(&["192.0.2.0/28", "2001:db8:99::/64"])),
        close_plaintext: true,
        interfaces: ["eth0", "wg*"].map(Pattern::parse).to_vec(),
        grants: vec![
            Grant { via: vec![Pattern::parse("wg0")], ..grant(&["0.0.0.0/0", "::/0"]) },
            Grant {
                limit: limit(Some(bucket(60, Per::Minute, 30)), Some(100)),
                ..grant(&["198.51.100.0/24", "2001:db8::/32"])
            },
        ],
        ..limited.clone()
    };
    let many = (0..1000u32).map(|i| format!("10.{}.{}.0/25", i / 250, i % 250)).collect::<Vec<_>>();
    let many = many.iter().map(String::as_str).collect::<Vec<_>>();
    let large = Draft { grants: vec![grant(&many)], blocked: networks(&many[100..200]), log: None, ..Draft::default() };
    let closed = Draft::default();
    let open = Draft { grants: vec![grant(&["0.0.0.0/0", "::/0"])], ..Draft::default() };
    let translated = Draft { forwarded: Forwarded::Translated, interfaces: vec![], ..forwarded.clone() };
    [office, limited, forwarded, large, closed, open, translated].into_iter().map(Draft::lower).collect()
}

/// Renders for every family and setting, and hands each rendering on.
fn each_rendering(mut with: impl FnMut(&Job<'_>, &[File])) {
    for policy in policies() {
        for accept in ["accept", "return"] {
            for family in [None, Some(crate::net::Family::V4), Some(crate::net::Family::V6)] {
                let mut settings = TargetSettings::default();
                settings.choices.insert("accept".to_owned(), accept.to_owned());
                let deviations = Iptables.deviations(&policy, &settings);
                assert_eq!(Iptables.lacks(&policy, &settings), []);
                let job = Job {
                    policy: &policy,
                    digest: policy.digest(),
                    name: "office-mail",
                    settings: &settings,
                    deviations: &deviations,
                    family,
                };
                let files = Iptables.render(&job).unwrap();
                with(&job, &files);
            }
        }
    }
}

#[test]
fn what_is_rendered_does_what_the_policy_says() {
    each_rendering(|job, files| {
        prove(&Iptables, job, &mut files.to_vec()).unwrap_or_else(|e| panic!("{e}\n{}", files[0].content));
        let ruleset = Iptables.read(&Listing::of_text(files[0].content.as_str())).unwrap();
        assert_eq!(ruleset.digest, Some(job.digest.to_string()));
        assert!(Iptables.has_ours(&ruleset));
    });
}
