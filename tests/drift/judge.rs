//! The kernel as judge of a report: who gets in by packets, beside who is said to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use harden993::access::{Bucket, Interface, Pattern, Per, Rate};
use harden993::net::{Addr, AddrSet, no_source};
use harden993::policy::{Draft, Forwarded, Limit};
use serde_json::Value;

use crate::dice::Dice;
use crate::edges::edges;
use crate::lab::{HOST4, HOST6, Lab, run};
use crate::machine::{Backend, Machine};
use crate::probe::{Fate, Gun, Probe, SYN};
use crate::{policies, written};

/// The host's interfaces: some that generated policies name, and one that none does.
pub(crate) const INTERFACES: &[&str] = &["eth0", "eth1", "wg0", "wg-office", "ppp0"];

/// The most packets of one round; of more, a random part is sent.
const MOST: usize = 1200;

/// One question of a report, with its lists of networks.
pub(crate) struct Entry {
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) interface: Option<Pattern>,
    /// The destinations that it names.
    pub(crate) to: Option<AddrSet>,
    lists: BTreeMap<String, AddrSet>,
    /// Of whom something is unknown.
    pub(crate) unknown: AddrSet,
}

impl Entry {
    /// A list of the question.
    pub(crate) fn list(&self, name: &str) -> &AddrSet {
        self.lists.get(name).unwrap_or_else(|| panic!("the report has {name}"))
    }
}

fn set(list: &Value) -> AddrSet {
    let nets = list.as_array().expect("a list of networks").iter();
    nets.map(|n| n.as_str().expect("a text").parse::<AddrSet>().expect("a network"))
        .fold(AddrSet::new(), |all, n| all.union(&n))
}

/// The questions of a report.
pub(crate) fn entries(questions: &Value) -> Vec<Entry> {
    let one = |q: &Value| Entry {
        port: q["port"].as_u64().expect("a port") as u16,
        path: q["path"].as_str().expect("a path").to_owned(),
        interface: q["interface"].as_str().map(Pattern::parse),
        to: q["to"].is_array().then(|| set(&q["to"])),
        lists: q
            .as_object()
            .expect("an object")
            .iter()
            .filter(|(k, v)| v.is_array() && !["to", "unknown"].contains(&k.as_str()))
            .map(|(k, v)| (k.clone(), set(v)))
            .collect(),
        unknown: q["unknown"]
            .as_array()
            .expect("a list")
            .iter()
            .fold(AddrSet::new(), |all, u| all.union(&set(&u["networks"]))),
    };
    questions.as_array().expect("a list of questions").iter().map(one).collect()
}

/// The question that a packet is: of those for its port, the one that names its interface most closely, else the one that
/// names none.
pub(crate) fn entry<'e>(entries: &'e [Entry], port: u16, interface: &str) -> Option<&'e Entry> {
    let name = Interface::parse(interface);
    let fits = |e: &&Entry| e.port == port && e.interface.as_ref().is_none_or(|p| name.matches(p));
    // A pattern is `wg*`: of two that fit, the longer one is the closer, and a name is closer than both.
    entries
        .iter()
        .filter(fits)
        .max_by_key(|e| e.interface.as_ref().map(ToString::to_string).map(|text| (!text.ends_with('*'), text.len())))
}

/// A host whose rules are loaded, changed and shot at.
pub(crate) struct Field<'l> {
    pub(crate) machine: Machine,
    gun: Gun<'l>,
    /// The profile that the host is to obey.
    pub(crate) profile: String,
}

impl<'l> Field<'l> {
    pub(crate) fn new(lab: &'l Lab, backend: Backend) -> Self {
        let machine = Machine::new(backend);
        let profile = machine.path("generated.toml").display().to_string();
        Self { machine, gun: Gun::new(lab), profile }
    }

    /// Makes a draft the profile, and loads it.
    pub(crate) fn load(&self, draft: &Draft) {
        self.write(draft);
        self.machine.apply(&self.profile);
    }

    /// Makes a draft the profile.
    pub(crate) fn write(&self, draft: &Draft) {
        std::fs::write(&self.profile, profile(self.machine.backend, draft)).expect("the profile is written");
    }

    /// Runs a command of the profile, which prints JSON and ends with this code.
    pub(crate) fn json(&self, command: &str, code: i32) -> Value {
        self.json_of(command, &[code])
    }

    /// As [`Self::json`], with any of these codes.
    pub(crate) fn json_of(&self, command: &str, codes: &[i32]) -> Value {
        let target = self.machine.backend.target();
        let done =
            self.machine.harden993(&[command, "--target", target, "--profile", &self.profile, "--format", "json"]);
        let expected = done.code.is_some_and(|c| codes.contains(&c));
        assert!(expected, "{:?}, {command}: {done:?}", self.machine.backend);
        serde_json::from_str(&done.out).expect("one object")
    }

    /// Sends packets; whether each came in. What notes them is gone afterwards, so that no report speaks of it.
    pub(crate) fn fire(&mut self, probes: &[Probe]) -> Vec<bool> {
        let fates = self.gun.fire(probes);
        run("nft", &["-f", "-"], "delete table inet probe\ndelete table netdev probe\n");
        fates.into_iter().map(|f| f == Fate::Passed).collect()
    }
}

/// A draft as a profile for a firewall, which may leave out a rate of log lines that it cannot count.
pub(crate) fn profile(backend: Backend, draft: &Draft) -> String {
    let degrade = if backend == Backend::Nftables { "" } else { "degrade = [\"log-rate\"]\n" };
    written::profile("generated", draft) + backend.settings() + degrade
}

/// A policy that packets can be told by: no limit is ever reached, nothing is forwarded.
pub(crate) fn firm(dice: &mut Dice) -> Draft {
    let mut draft = policies::draft(dice, false);
    draft.forwarded = Forwarded::No;
    draft.ports.truncate(3);
    for grant in &mut draft.grants {
        grant.limit = grant.limit.map(|_| Limit {
            rate: Some(Bucket { rate: Rate::new(1000, Per::Second), burst: 5000 }),
            concurrent: None,
        });
    }
    draft
}

/// SYNs from the boundaries of these sets and of a draft's networks, to each of its ports by every interface; of too many
/// a random part, but always those of the sets.
pub(crate) fn probes(draft: &Draft, sets: &[&AddrSet], dice: &mut Dice) -> Vec<Probe> {
    let (mut first, mut rest) = (BTreeSet::new(), BTreeSet::new());
    for set in sets {
        edges(set, &mut first);
    }
    for set in draft.grants.iter().map(|g| &g.sources).chain([&draft.blocked]) {
        edges(set, &mut rest);
    }
    for _ in 0..10 {
        rest.insert((dice.next() as u32).ip());
        rest.insert((u128::from(dice.next()) << 64 | u128::from(dice.next())).ip());
    }
    let own = [HOST4, HOST6, "172.29.0.0", "172.29.0.1", "172.29.0.255", "fd29::", "fd29::1", "fe80::"];
    let real = |ip: &IpAddr| !no_source().contains(*ip) && !own.contains(&ip.to_string().as_str());
    let mut out = Vec::new();
    for (sources, share) in [(&first, MOST), (&rest, MOST / 2)] {
        let all: Vec<Probe> = sources
            .iter()
            .filter(|ip| real(ip))
            .flat_map(|ip| draft.ports.iter().map(move |port| Probe::new(*ip, *port, SYN)))
            .flat_map(|p| (0..INTERFACES.len()).map(move |interface| Probe { interface, ..p }))
            .collect();
        let many = all.len() as u64;
        out.extend(all.into_iter().filter(|_| many <= share as u64 || dice.below(many) < share as u64));
    }
    out.sort();
    out.dedup();
    out
}
