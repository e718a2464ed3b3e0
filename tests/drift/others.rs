//! Somebody changes what is his: `diff` stays empty unless a load would change it, and `verify` tells exactly whom his rules
//! refuse or let in, which packets confirm.

use std::net::IpAddr;

use harden993::net::{Addr, AddrSet, Network, Span, no_source};
use harden993::policy::Draft;

use crate::dice::Dice;
use crate::judge::{Field, INTERFACES, entries, firm, probes};
use crate::lab::{CONTAINER4, CONTAINER6, Lab, inside, run};
use crate::machine::Backend;

/// How many hosts are tried for each firewall; each gets every change.
const ROUNDS: u64 = 4;

/// What somebody does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    /// A table of nftables that drops a network behind ours.
    NativeDrop,
    /// A chain of nftables before ours that accepts a network.
    NativeAccept,
    /// A chain of nftables that refuses by its policy all but a network.
    NativePolicy,
    /// A table that has nothing to do with the port.
    Stranger,
    /// The port of a network is sent to a container, past ours.
    Published,
    /// A rule of iptables, in another table than ours, that drops a network.
    Mangle,
    /// A rule before our jump that accepts a network.
    AboveAccept,
    /// A rule before our jump that drops a network.
    AboveDrop,
    /// Rules behind our jump, and a policy that refuses.
    PolicyDrop,
}

impl Deed {
    const NATIVE: [Self; 5] =
        [Self::NativeDrop, Self::NativeAccept, Self::NativePolicy, Self::Stranger, Self::Published];
    const OF_IPTABLES: [Self; 4] = [Self::Mangle, Self::AboveAccept, Self::AboveDrop, Self::PolicyDrop];

    /// Whether a load would change something: our jump is to be the first rule.
    fn moves_the_jump(self) -> bool {
        matches!(self, Self::AboveAccept | Self::AboveDrop)
    }

    /// Who is trusted and refused, and who is not trusted and let in, if `x` is the network and `trusted` are the trusted.
    fn outcome(self, x: &AddrSet, trusted: &AddrSet) -> (AddrSet, AddrSet) {
        let none = AddrSet::new();
        match self {
            Self::NativeDrop | Self::Mangle | Self::AboveDrop => (trusted.intersect(x), none),
            Self::NativePolicy => (trusted.minus(x), none),
            Self::Published | Self::AboveAccept => (none, x.minus(trusted)),
            Self::NativeAccept | Self::Stranger | Self::PolicyDrop => (none.clone(), none),
        }
    }

    /// Does it. The network is of one family.
    fn is_done(self, backend: Backend, x: &AddrSet, ports: &[u16]) {
        let text = range(x);
        let six = x.v4.is_empty();
        let (saddr, family) = if six { ("ip6 saddr", "ip6") } else { ("ip saddr", "ip") };
        let list = ports.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (set, commas) = (list.join(", "), list.join(","));
        let chain = |hook: &str, rule: &str| {
            let table = format!("table inet somebody {{\n chain his {{\n type filter hook {hook}\n {rule}\n }}\n}}\n");
            run("nft", &["-f", "-"], &table);
        };
        let program = |suffix: &str| {
            let variant = if backend == Backend::IptablesLegacy { "legacy" } else { "nft" };
            format!("{}-{variant}{suffix}", if six { "ip6tables" } else { "iptables" })
        };
        let iptables = |args: &str| {
            run(&program(""), &args.split_whitespace().collect::<Vec<_>>(), "");
        };
        let matching = format!("-p tcp -m multiport --dports {commas} -m iprange --src-range {text}");
        match self {
            Self::NativeDrop => {
                chain(
                    "input priority filter + 10; policy accept;",
                    &format!("{saddr} {text} tcp dport {{ {set} }} drop"),
                );
            }
            Self::NativeAccept => {
                chain(
                    "input priority filter - 20; policy accept;",
                    &format!("{saddr} {text} tcp dport {{ {set} }} accept"),
                );
            }
            Self::NativePolicy => {
                let rule = format!("tcp dport != {{ {set} }} accept\n {saddr} {text} accept");
                chain("input priority filter; policy drop;", &rule);
            }
            Self::Stranger => chain(
                "input priority filter; policy accept;",
                "ct state established,related accept\n tcp dport 22 ip saddr 192.0.2.0/24 drop\n counter",
            ),
            Self::Published if backend == Backend::Nftables => {
                let to = if six { CONTAINER6 } else { CONTAINER4 };
                let table = format!(
                    "table {family} somebody {{\n chain his {{\n type nat hook prerouting priority dstnat; policy accept;\n \
                     {saddr} {text} tcp dport {{ {set} }} dnat to {to}\n }}\n}}\n"
                );
                run("nft", &["-f", "-"], &table);
            }
            Self::Published => {
                let to = if six { CONTAINER6 } else { CONTAINER4 };
                iptables(&format!("-t nat -A PREROUTING {matching} -j DNAT --to-destination {to}"));
            }
            Self::Mangle => iptables(&format!("-t mangle -A INPUT {matching} -j DROP")),
            Self::AboveAccept => iptables(&format!("-I INPUT 1 {matching} -j ACCEPT")),
            Self::AboveDrop => iptables(&format!("-I INPUT 1 {matching} -j DROP")),
            Self::PolicyDrop => {
                iptables("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT");
                iptables("-P INPUT DROP");
            }
        }
    }

    /// Takes everything away, ours too.
    fn is_over(backend: Backend) {
        run("nft", &["flush", "ruleset"], "");
        if backend == Backend::IptablesLegacy {
            let empty = |table: &str, chains: &[&str]| {
                format!(
                    "*{table}\n{}COMMIT\n",
                    chains.iter().map(|c| format!(":{c} ACCEPT\n")).collect::<Vec<_>>().concat()
                )
            };
            let text = empty("filter", &["INPUT", "FORWARD", "OUTPUT"])
                + &empty("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"])
                + &empty("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]);
            for program in ["iptables-legacy-restore", "ip6tables-legacy-restore"] {
                run(program, &[], &text);
            }
        }
    }
}

/// The one span of a set, as firewalls write it.
fn range(set: &AddrSet) -> String {
    fn of<A: Addr>(spans: &[Span<A>]) -> Option<String> {
        spans.first().map(|s| format!("{}-{}", s.first.ip(), s.last.ip()))
    }
    of(set.v4.spans()).or_else(|| of(set.v6.spans())).expect("one span")
}

/// A range of one family with both ends near what is trusted.
fn near(trusted: &AddrSet, dice: &mut Dice) -> AddrSet {
    let spread = 2 + dice.below(3000);
    let network = if dice.below(2) == 0 {
        let spans = trusted.v4.spans();
        let at = if spans.is_empty() { 0xc633_6400 } else { dice.pick(spans).last };
        Network::V4(Span { first: at.saturating_sub(spread as u32 / 2), last: at.saturating_add(spread as u32 / 2) })
    } else {
        let spans = trusted.v6.spans();
        let at = if spans.is_empty() { 0x2001_0db8 << 96 } else { dice.pick(spans).first };
        let half = u128::from(spread) << dice.below(70);
        Network::V6(Span { first: at.saturating_sub(half), last: at.saturating_add(half) })
    };
    [network].into_iter().collect()
}

/// A policy whose trusted are the same by every interface.
fn plain(dice: &mut Dice) -> (Draft, AddrSet) {
    loop {
        let mut draft = firm(dice);
        draft.interfaces.clear();
        draft.grants.retain(|g| g.via.is_empty());
        let granted = draft.grants.iter().fold(AddrSet::new(), |all, g| all.union(&g.sources));
        let trusted = granted.minus(&draft.blocked).minus(no_source());
        if !trusted.is_empty() {
            return (draft, trusted);
        }
    }
}

fn others_are_told(test: &str, backend: Backend) {
    inside(test, || {
        let lab = Lab::new(INTERFACES);
        let mut field = Field::new(&lab, backend);
        let more: &[Deed] = if backend == Backend::Nftables { &[] } else { &Deed::OF_IPTABLES };
        for seed in 0..ROUNDS {
            let mut dice = Dice::new(13_000_000 + seed);
            for deed in [&Deed::NATIVE, more].concat() {
                let (draft, trusted) = plain(&mut dice);
                let x = near(&trusted, &mut dice);
                field.load(&draft);
                deed.is_done(backend, &x, &draft.ports);
                let what = format!("{backend:?}, {seed}, {deed:?} of {}", range(&x));
                let x = x.minus(no_source());
                let (missing, excess) = deed.outcome(&x, &trusted);

                // A load would put the jump back, and no more.
                let diff = field.json("diff", i32::from(deed.moves_the_jump()));
                for e in entries(&diff["effect"]).iter().filter(|e| draft.ports.contains(&e.port)) {
                    assert_eq!((e.list("gained"), e.list("lost")), (&missing, &excess), "{what}: {diff:#}");
                }
                assert_eq!(diff["changed"], deed.moves_the_jump(), "{what}");
                assert_eq!(diff["effect"] == serde_json::json!([]), !deed.moves_the_jump(), "{what}: {diff:#}");

                let holds = missing.is_empty() && excess.is_empty();
                let verified = field.json("verify", i32::from(!holds));
                let questions = entries(&verified["questions"]);
                assert_eq!(verified["integrity"], if deed.moves_the_jump() { "altered" } else { "intact" }, "{what}");
                for port in &draft.ports {
                    let of_port = || questions.iter().filter(|q| q.port == *port);
                    let union = |list: &str| of_port().fold(AddrSet::new(), |all, q| all.union(q.list(list)));
                    assert_eq!(
                        (union("missing"), union("excess")),
                        (missing.clone(), excess.clone()),
                        "{what}: {verified:#}"
                    );
                    assert!(of_port().all(|q| q.unknown.is_empty()), "{what}: {verified:#}");
                    let forwarded = of_port().any(|q| q.path == "forwarded");
                    assert_eq!(forwarded, deed == Deed::Published && !x.is_empty(), "{what}: {verified:#}");
                }
                let published = verified["findings"].to_string().contains("published-unguarded");
                assert_eq!(published, deed == Deed::Published && !x.is_empty(), "{what}: {verified:#}");

                let probes = probes(&draft, &[&x, &missing, &excess], &mut dice);
                for (probe, passed) in probes.iter().zip(field.fire(&probes)) {
                    let is = |set: &AddrSet| set.contains(probe.source);
                    // No router forwards what comes from a link-local address (RFC 4291 section 2.5.6).
                    let stuck = matches!(probe.source, IpAddr::V6(a) if a.is_unicast_link_local());
                    if deed == Deed::Published && stuck {
                        continue;
                    }
                    let said = (is(&trusted) || is(&excess)) && !is(&missing);
                    assert_eq!(passed, said, "{what}: from {} to {}", probe.source, probe.port);
                }
                Deed::is_over(backend);
            }
        }
    });
}

#[test]
fn others_beside_nftables_are_told() {
    others_are_told("others::others_beside_nftables_are_told", Backend::Nftables);
}

#[test]
fn others_beside_iptables_nft_are_told() {
    others_are_told("others::others_beside_iptables_nft_are_told", Backend::IptablesNft);
}

#[test]
fn others_beside_iptables_legacy_are_told() {
    others_are_told("others::others_beside_iptables_legacy_are_told", Backend::IptablesLegacy);
}
