//! The judge: loads a ruleset, sends packets, and holds every decided verdict to what became of them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use harden993::access::{Interface, Path as Way};
use harden993::change::{Live, Reach, Scope, reach};
use harden993::host::Real;
use harden993::net::{Addr, AddrSet, no_source};
use harden993::ruleset::Ruleset;
use harden993::target::{Listing, Platform, Section, read_host};

use crate::dice::Dice;
use crate::edges::edges;
use crate::invent;
use crate::lab::{HOST4, HOST6, Lab, run, try_run};
use crate::probe::{Fate, Gun, Probe, SYN};

/// The ports that are asked about: the one that all is about, and others that rulesets tell apart from it.
const PORTS: &[u16] = &[993, 22, 443, 143];

/// A firewall that rulesets are loaded into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Nftables,
    IptablesNft,
    IptablesLegacy,
}

impl Kind {
    /// How the files of its rulesets end.
    pub(crate) fn extension(self) -> &'static str {
        if self == Self::Nftables { "nft" } else { "rules" }
    }

    /// The programs of iptables, with the part of a file that each loads.
    fn programs(self) -> [String; 2] {
        let variant = if self == Self::IptablesLegacy { "legacy" } else { "nft" };
        [format!("iptables-{variant}"), format!("ip6tables-{variant}")]
    }

    /// Loads a ruleset in place of the one before, or says why the firewall's own tool refuses it.
    fn load(self, text: &str) -> Result<(), String> {
        run("nft", &["flush", "ruleset"], "");
        if self == Self::Nftables {
            return try_run("nft", &["-f", "-"], text).map(drop);
        }
        let (v4, v6) = text.split_once("# ip6tables\n").unwrap_or((text, ""));
        for (program, part) in self.programs().iter().zip([v4, v6]) {
            run(&format!("{program}-restore"), &[], invent::iptables::EMPTY);
            try_run(&format!("{program}-restore"), &[], part)?;
        }
        Ok(())
    }

    /// The listings, beside the live one, whose decided verdicts must be right as well.
    fn saved(self) -> Vec<(&'static str, Listing)> {
        let section = |command: &str, text| Section { command: command.to_owned(), text, before: 0 };
        if self == Self::Nftables {
            let json = run("nft", &["-j", "list", "ruleset"], "");
            return vec![("as JSON", Listing::of_text(json))];
        }
        let programs = self.programs();
        let save = |p: &str, counters: &[&str]| run(&format!("{p}-save"), counters, "");
        let counted = programs.iter().map(|p| section("", save(p, &["-c"]))).collect();
        vec![("saved with counters", Listing { sections: counted })]
    }
}

/// What is said of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    Reachable,
    Refused,
    Unknown,
}

/// What a reading says of a packet: of the answers for its destination, the one that has its source.
fn said(answers: &[Reach], probe: &Probe) -> Said {
    let names = |r: &&Reach| r.asked.to.as_ref().is_some_and(|to| holds(to, probe.to));
    let of_port: Vec<&Reach> = answers.iter().filter(|r| r.asked.port == probe.port).collect();
    let named: Vec<&Reach> = of_port.iter().copied().filter(names).collect();
    let fitting = if named.is_empty() { of_port.into_iter().filter(|r| r.asked.to.is_none()).collect() } else { named };
    for answer in fitting {
        if answer.unknown.iter().any(|u| u.sources.0.contains(probe.source)) || answer.limited.contains(probe.source) {
            return Said::Unknown;
        }
        if answer.reachable.contains(probe.source) {
            return Said::Reachable;
        }
        if answer.refused.contains(probe.source) {
            return Said::Refused;
        }
    }
    panic!("no answer has {probe:?}: {answers:#?}")
}

fn holds(networks: &[String], ip: IpAddr) -> bool {
    networks.iter().any(|n| n.parse::<AddrSet>().expect("reports hold networks").contains(ip))
}

/// A host on which rulesets are loaded one after the other.
pub(crate) struct Judge<'l> {
    gun: Gun<'l>,
    kind: Kind,
    interfaces: Vec<String>,
    /// The most packets for one ruleset; of more, a random part is sent.
    pub(crate) most: u64,
    /// How many rulesets were tried.
    pub(crate) tried: usize,
    /// How many of them leave nothing open about IMAPS.
    pub(crate) exact: usize,
    /// What differs.
    pub(crate) wrong: Vec<String>,
    /// How many packets were sent.
    pub(crate) sent: usize,
    /// Of how many of them something certain was said.
    pub(crate) decided: usize,
    open: Vec<String>,
}

impl<'l> Judge<'l> {
    pub(crate) fn new(lab: &'l Lab, kind: Kind, interfaces: &[&str]) -> Self {
        // A redirect goes to an address of the interface; without one it loses the packet.
        for (number, name) in interfaces.iter().enumerate().skip(1) {
            let [four, six] = own_addresses(number);
            lab.host.ip(&format!("addr add {four}/32 dev {name}\naddr add {six}/128 dev {name}\n"));
        }
        let interfaces = interfaces.iter().map(|i| (*i).to_owned()).collect();
        let (most, tried, exact, sent, decided) = (8000, 0, 0, 0, 0);
        let (wrong, open) = (Vec::new(), Vec::new());
        Self { gun: Gun::new(lab), kind, interfaces, most, tried, exact, wrong, sent, decided, open }
    }

    /// Loads a ruleset and holds everything that is said of it to packets.
    ///
    /// # Errors
    ///
    /// What the firewall's own tool said when it refused the ruleset; then nothing was tried.
    pub(crate) fn try_ruleset(&mut self, name: &str, text: &str, seed: u64) -> Result<(), String> {
        self.kind.load(text)?;
        let live = Live::read(&Real, Platform::Linux).unwrap_or_else(|e| panic!("{name}: {e}"));
        self.tried += 1;
        let everywhere = reach(&live.ruleset, &Scope::of_port(993));
        let reasons: BTreeSet<&str> = everywhere.iter().flat_map(|r| &r.unknown).map(|u| u.because.as_str()).collect();
        if reasons.is_empty() {
            self.exact += 1;
        } else {
            let reasons: Vec<&str> = reasons.into_iter().collect();
            self.open.push(format!("{name} ({})", reasons.join("; ")));
        }
        let mut readings = vec![("live", live.ruleset)];
        for (what, listing) in self.kind.saved() {
            let read = read_host(Platform::Linux, &listing).unwrap_or_else(|e| panic!("{name}, {what}: {e}"));
            readings.push((what, read.ruleset));
        }
        let said: Vec<(&str, Vec<Vec<Reach>>)> =
            readings.iter().map(|(what, r)| (*what, self.interfaces.iter().map(|i| asked(r, i)).collect())).collect();
        let probes = self.probes(text, &said, &mut Dice::new(seed));
        let fates = self.gun.fire(&probes);
        self.sent += probes.len();
        let mut wrong = Vec::new();
        for (probe, fate) in probes.iter().zip(fates) {
            for (what, by_interface) in &said {
                let verdict = self::said(&by_interface[probe.interface], probe);
                self.decided += usize::from(*what == "live" && verdict != Said::Unknown);
                let right = match verdict {
                    Said::Reachable => fate == Fate::Passed,
                    Said::Refused => fate != Fate::Passed,
                    Said::Unknown => true,
                };
                if !right {
                    let interface = &self.interfaces[probe.interface];
                    let Probe { source, port, .. } = probe;
                    wrong.push(format!(
                        "{name} ({what}): port {port} by {interface} from {source}: {verdict:?}, but {fate:?}"
                    ));
                }
            }
        }
        wrong.truncate(8);
        self.wrong.append(&mut wrong);
        Ok(())
    }

    /// Packets from every boundary of the rules and of the answers, and from random sources.
    fn probes(&self, text: &str, said: &[(&str, Vec<Vec<Reach>>)], dice: &mut Dice) -> Vec<Probe> {
        let mut sources = written(text);
        for answer in said.iter().flat_map(|(_, by_interface)| by_interface.iter().flatten()) {
            for set in [&answer.reachable, &answer.refused, &answer.limited] {
                edges(set, &mut sources);
            }
        }
        for _ in 0..12 {
            sources.insert((dice.next() as u32).ip());
            sources.insert((u128::from(dice.next()) << 64 | u128::from(dice.next())).ip());
        }
        let own = [HOST4, HOST6, "172.29.0.0", "172.29.0.1", "172.29.0.255", "fd29::", "fd29::1", "fe80::"];
        let mut own: BTreeSet<String> = own.map(str::to_owned).into();
        own.extend((1..self.interfaces.len()).flat_map(own_addresses));
        sources.retain(|ip| !no_source().contains(*ip) && !own.contains(&ip.to_string()));
        let all = (sources.len() * PORTS.len() * self.interfaces.len()) as u64;
        let mut out = Vec::new();
        for source in sources {
            for port in PORTS {
                for interface in 0..self.interfaces.len() {
                    if all <= self.most || dice.below(all) < self.most {
                        out.push(Probe { interface, ..Probe::new(source, *port, SYN) });
                    }
                }
            }
        }
        // No router forwards what comes from a link-local address (RFC 4291 section 2.5.6).
        let forwarded = |p: &Probe| {
            let answers = said.iter().flat_map(|(_, by_interface)| &by_interface[p.interface]);
            answers.into_iter().any(|r| {
                let all = [&r.reachable, &r.refused].into_iter().chain(r.unknown.iter().map(|u| &u.sources.0));
                r.asked.path == Way::Forwarded && all.into_iter().any(|s| s.contains(p.source))
            })
        };
        out.retain(|p| !matches!(p.source, IpAddr::V6(a) if a.is_unicast_link_local()) || !forwarded(p));
        out
    }

    /// What was done, for people.
    pub(crate) fn summary(&self) -> String {
        let Self { kind, tried, exact, sent, decided, open, .. } = self;
        let share = exact * 100 / tried.max(&1);
        let open = open.iter().map(|o| format!("\n  open: {o}")).collect::<Vec<_>>().concat();
        format!(
            "{kind:?}: {exact} of {tried} rulesets decided exactly ({share} %), {sent} packets, {decided} decided{open}"
        )
    }
}

/// The host's addresses on its further interfaces.
fn own_addresses(number: usize) -> [String; 2] {
    [format!("192.0.2.{}", 100 + number), format!("2001:db8:ffff::{:x}", 0x100 + number)]
}

/// What a ruleset says by one interface.
fn asked(ruleset: &Ruleset, interface: &str) -> Vec<Reach> {
    let scope = Scope { ports: PORTS.to_vec(), interface: Some(Interface::parse(interface)), ..Scope::of_port(993) };
    reach(ruleset, &scope)
}

/// The boundaries of every address, network and range that stands in a text, and their neighbours.
fn written(text: &str) -> BTreeSet<IpAddr> {
    let mut out = BTreeSet::new();
    let tokens = text.split(|c: char| !c.is_ascii_hexdigit() && !".:/-".contains(c));
    for token in tokens.filter(|t| t.contains(['.', ':'])) {
        // A mask with holes names at least its address.
        let forms = [token, token.split('/').next().unwrap_or_default()];
        if let Some(set) = forms.iter().find_map(|f| f.parse::<AddrSet>().ok()) {
            edges(&set, &mut out);
        }
    }
    out
}
