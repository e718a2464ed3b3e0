//! `explain`: what happens to an address or a network, and which line of which file decides.

mod live;
mod part;
mod reason;
mod way;

use std::collections::BTreeSet;

use clap::Args;
use serde::Serialize;

use crate::access::{Interface, Path, Pattern};
use crate::change::{self, Asked, Scope};
use crate::net::{AddrSet, Network, ParseError, Span, no_source, parse_network};
use crate::ruleset::{Evaluator, Ruleset};

use super::asking::Asking;
use super::current::Current;
use super::profile::{Day, Usable, today, usable};
use super::shape::{self, Count, Counts, Lists, Networks, QuestionShape};
use super::{Code, Context, Exit, Failure, Line, Page, Report, Role, Verb};

use live::{Live, LiveVerdict};
use part::{Part, parts};
use reason::Entry;
use way::Way;

/// Say what happens to an address or network, and which line of the profile decides
#[derive(Debug, Args)]
#[command(after_long_help = "\
A network that is not decided as a whole is shown in parts. Where the interface matters, each one is shown. With --live or \
--current it is also shown what the loaded rules do, everybody's together, and which rule decides.

Exit codes: 0 all that was asked is accepted, within limits or without; 1 something is not.

Examples:
  harden993 explain 198.51.100.7
  harden993 explain 198.51.100.0/24 2001:db8::/32 --interface wg0
  harden993 explain 203.0.113.16-203.0.113.31 --now 2027-04-01
  harden993 explain 198.51.100.7 --live")]
pub struct Explain {
    /// Addresses, networks or ranges
    #[arg(required = true, value_name = "ADDR")]
    addresses: Vec<String>,

    /// Say also what the rules that this host has loaded do
    #[arg(long, conflicts_with_all = ["current", "now"])]
    live: bool,

    #[command(flatten)]
    current: Current,

    #[command(flatten)]
    asking: Asking,

    #[command(flatten)]
    lists: Lists,

    #[command(flatten)]
    day: Day,
}

/// What happens to what was asked about.
#[derive(Debug, Serialize)]
pub struct Explanation {
    results: Vec<Answer>,
    #[serde(skip)]
    told: Vec<Told>,
    #[serde(skip)]
    lists: Lists,
}

/// One verdict inside of one query, for one question.
#[derive(Debug, Serialize)]
struct Answer {
    query: String,
    #[serde(flatten)]
    question: QuestionShape,
    verdict: &'static str,
    entries: Vec<Entry>,
    /// What a ruleset does, where one was asked.
    live: Option<LiveVerdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<Networks>,
    counts: Counts,
}

/// What people are told of one query: by these interfaces, to these ports, it is decided like this.
#[derive(Debug)]
struct Told {
    query: String,
    ports: Vec<u16>,
    path: Path,
    /// None stands for every interface that is not named elsewhere.
    interfaces: Vec<Option<String>>,
    to: Option<Vec<String>>,
    parts: Vec<Part>,
}

impl Verb for Explain {
    type Report = Explanation;

    fn run(self, cx: &Context<'_>) -> Result<Explanation, Failure> {
        let queries = self.addresses.iter().map(|text| query(text)).collect::<Result<Vec<_>, _>>()?;
        let today = if self.live { today(cx.host) } else { self.day.date(cx)? };
        let profile = usable(cx, today)?;
        let seen = if self.live || !self.current.current.is_empty() {
            Some(self.current.read(cx)?)
        } else if self.current.target.is_some() {
            return Err(Failure::wrong(Code::Argument, "`--target` says which loaded rules are meant, and none are asked")
                .help("add `--live` or `--current FILE`"));
        } else {
            None
        };
        let ruleset = seen.as_ref().map(super::current::Seen::ruleset);
        let ways = self.ways(&profile, ruleset)?;
        let (mut results, mut told) = (Vec::new(), Vec::new());
        for (text, network) in self.addresses.iter().zip(queries) {
            let mut answered: Vec<(&Asked, Vec<Part>)> = Vec::new();
            for (asked, way, live) in &ways {
                let parts = parts(&profile, network, way, live);
                // What is as by the unnamed interface needs no question of its own.
                let unnamed = Asked { interface: None, ..asked.clone() };
                if !parts.is_empty() && !answered.iter().any(|(a, p)| **a == unnamed && *p == parts) {
                    answered.push((asked, parts));
                }
            }
            let summary = self.lists.summary;
            results.extend(answered.iter().flat_map(|(asked, parts)| answers(text, asked, parts, summary)));
            told.extend(tell(text, answered));
        }
        Ok(Explanation { results, told, lists: self.lists })
    }
}

impl Explain {
    /// Every way that is asked about, as it is reported, with what the ruleset does on it.
    fn ways(
        &self,
        profile: &Usable,
        ruleset: Option<&Ruleset>,
    ) -> Result<Vec<(Asked, Way, Live)>, Failure> {
        let scope = self.asking.scope(Some(&profile.policy))?;
        let interfaces = match &scope.interface {
            Some(interface) => vec![interface.clone()],
            None => interfaces(profile, ruleset),
        };
        // Port 143, where it is closed to everybody, is told only if somebody asks about it.
        let policy = &profile.policy;
        let ports = if scope.ports == policy.all_ports() { policy.ports.clone() } else { scope.ports.clone() };
        let mut out = Vec::new();
        for interface in interfaces {
            for port in &ports {
                let scope = Scope { ports: vec![*port], interface: Some(interface.clone()), ..scope.clone() };
                out.extend(match ruleset {
                    Some(ruleset) => loaded(ruleset, &scope),
                    None => vec![asked(&scope, *port, &interface)],
                });
            }
        }
        Ok(out)
    }
}

/// Each interface that is guarded and that the profile or the ruleset tells apart, the unnamed one first.
fn interfaces(profile: &Usable, ruleset: Option<&Ruleset>) -> Vec<Interface> {
    let named: BTreeSet<Pattern> = ruleset.map(Ruleset::interfaces).unwrap_or_default();
    let mut all = profile.policy.interface_classes();
    all.extend(named.iter().map(|p| Interface::parse(&p.to_string())));
    let mut seen = BTreeSet::new();
    all.retain(|i| profile.policy.covers(i) && seen.insert(i.clone()));
    all
}

/// The one question of a scope, without a ruleset.
fn asked(scope: &Scope, port: u16, interface: &Interface) -> (Asked, Way, Live) {
    let routed = scope.routed.as_ref().zip(scope.to.as_ref()).is_some_and(|(nets, to)| nets.contains_all(to));
    let path = scope.path.unwrap_or(if routed { Path::Forwarded } else { Path::Input });
    let to = scope.to.clone();
    let asked = Asked { port, path, interface: interface.label(), to: to.as_ref().map(AddrSet::to_cidrs) };
    (asked, Way { port, interface: interface.clone(), path, to }, Live::nothing())
}

/// The questions that a ruleset tells apart, each with what it does.
fn loaded(ruleset: &Ruleset, scope: &Scope) -> Vec<(Asked, Way, Live)> {
    let mut evaluator = Evaluator::new(ruleset);
    let answers = change::ask(&[ruleset], scope).into_iter().map(|answer| {
        let traced = evaluator.trace(&answer.question);
        let live = Live::of(&traced.access, ruleset, &answer.sources);
        let question = answer.question;
        let to = question.to.as_ref().map(|t| t.0.clone());
        let way = Way { port: question.port, interface: question.interface, path: answer.asked.path, to };
        (answer.asked, way, live)
    });
    answers.collect()
}

/// Questions of one query that are answered alike, told together: first those that differ in the port, then those that
/// differ in the interface.
fn tell(query: &str, answered: Vec<(&Asked, Vec<Part>)>) -> Vec<Told> {
    let mut by_port: Vec<Told> = Vec::new();
    for (asked, parts) in answered {
        let interface = std::slice::from_ref(&asked.interface);
        match by_port
            .iter_mut()
            .find(|t| t.path == asked.path && t.interfaces == interface && t.to == asked.to && t.parts == parts)
        {
            Some(told) => told.ports.push(asked.port),
            None => by_port.push(Told {
                query: query.to_owned(),
                ports: vec![asked.port],
                path: asked.path,
                interfaces: vec![asked.interface.clone()],
                to: asked.to.clone(),
                parts,
            }),
        }
    }
    let mut out: Vec<Told> = Vec::new();
    for told in by_port {
        match out
            .iter_mut()
            .find(|t| t.path == told.path && t.ports == told.ports && t.to == told.to && t.parts == told.parts)
        {
            Some(same) => same.interfaces.extend(told.interfaces),
            None => out.push(told),
        }
    }
    out
}

/// The network that is asked about.
fn query(text: &str) -> Result<Network, Failure> {
    let wrong = |message: String, help: &str| Err(Failure::wrong(Code::Argument, message).help(help));
    let network = match parse_network(text.as_bytes()) {
        Ok(network) => network,
        Err(e @ ParseError::HostBits { masked }) => {
            return wrong(format!("`{text}`: {e}"), &format!("ask about `{masked}`, or about the address alone"));
        }
        Err(e) => {
            return wrong(
                format!("`{text}`: {e}"),
                "write an address (`198.51.100.7`), a network (`198.51.100.0/24`) or a range (`198.51.100.7-198.51.100.9`)",
            );
        }
    };
    if AddrSet::from(network).minus(no_source()).is_empty() {
        return wrong(
            format!("`{text}`: no connection comes from there over a network"),
            "loopback is always accepted; an IPv4 client is asked about by its IPv4 address",
        );
    }
    Ok(network)
}

/// One object for each verdict (of the profile and of the ruleset) among the parts, in the order of the addresses.
fn answers(query: &str, asked: &Asked, parts: &[Part], summary: bool) -> Vec<Answer> {
    let mut groups: Vec<(&Part, Vec<&Part>)> = Vec::new();
    for part in parts {
        match groups.iter_mut().find(|(first, _)| (first.verdict, &first.live) == (part.verdict, &part.live)) {
            Some((_, group)) => group.push(part),
            None => groups.push((part, vec![part])),
        }
    }
    let answer = |(first, group): (&Part, Vec<&Part>)| {
        let mut seen = BTreeSet::new();
        let entries = group.iter().flat_map(|p| p.reason.entries());
        let v4 = group.iter().flat_map(|p| p.networks.v4.spans()).copied().collect::<Vec<Span<u32>>>();
        let v6 = group.iter().flat_map(|p| p.networks.v6.spans()).copied().collect::<Vec<Span<u128>>>();
        let networks = AddrSet { v4: v4.into_iter().collect(), v6: v6.into_iter().collect() };
        Answer {
            query: query.to_owned(),
            question: QuestionShape::from(asked),
            verdict: first.verdict,
            entries: entries.filter(|e| seen.insert(*e)).cloned().collect(),
            live: first.live.clone(),
            counts: Counts::from([("networks", Count::from(&networks))]),
            networks: (!summary).then_some(Networks(networks)),
        }
    };
    groups.into_iter().map(answer).collect()
}

impl Report for Explanation {
    fn exit(&self) -> Exit {
        let gets_in = |verdict| matches!(verdict, "accept" | "limit");
        let all = self.results.iter().all(|a| gets_in(a.verdict) && a.live.as_ref().is_none_or(|l| gets_in(l.verdict)));
        Exit::finding(!all)
    }

    fn page(self) -> Page {
        let mut page = Page::new();
        for told in &self.told {
            page.gap();
            page.line(told.heading());
            if self.lists.all {
                told.parts.iter().for_each(|p| p.whole(&mut page));
                continue;
            }
            page.table(told.parts.iter().take(SHOWN).map(|p| p.row(self.lists.summary)).collect());
            if told.parts.len() > SHOWN {
                let more = told.parts.len() - SHOWN;
                page.line(Line::new().dim(format!("and {more} more parts; --all shows them")));
                for (verdict, set) in told.totals() {
                    page.line(Line::new().plain("in all: ").with(role(verdict), verdict).plain(format!("  {}", shape::size(&set))));
                }
            }
        }
        page
    }
}

/// So many parts of one network are shown without `--all`.
const SHOWN: usize = 40;

impl Told {
    /// What becomes of all parts together, by verdict.
    fn totals(&self) -> Vec<(&'static str, AddrSet)> {
        let verdicts: BTreeSet<&'static str> = self.parts.iter().map(|p| p.verdict).collect();
        let set = |verdict| {
            let of = || self.parts.iter().filter(move |p| p.verdict == verdict);
            AddrSet {
                v4: of().flat_map(|p| p.networks.v4.spans()).copied().collect(),
                v6: of().flat_map(|p| p.networks.v6.spans()).copied().collect(),
            }
        };
        verdicts.into_iter().map(|verdict| (verdict, set(verdict))).collect()
    }

    fn heading(&self) -> Line {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        let ports = format!("{} {}", if ports.len() == 1 { "port" } else { "ports" }, ports.join(", "));
        let named: Vec<&str> = self.interfaces.iter().flatten().map(String::as_str).collect();
        let by = if named.is_empty() { String::new() } else { format!(" by {}", named.join(", ")) };
        let to = self.to.as_ref().map_or_else(String::new, |to| format!(" of {}", to.join(", ")));
        let forwarded = if self.path == Path::Forwarded { ", forwarded" } else { "" };
        Line::new().strong(&self.query).plain(format!(" to {ports}{to}{by}{forwarded}"))
    }
}

fn role(verdict: &str) -> Role {
    match verdict {
        "accept" => Role::Good,
        "limit" => Role::Warn,
        _ => Role::Bad,
    }
}

impl Part {
    fn verdict(&self) -> Line {
        Line::new().with(role(self.verdict), self.verdict)
    }

    fn reason(&self) -> String {
        match &self.limit {
            Some(limit) => format!("{}; at most {limit}", self.reason),
            None => self.reason.to_string(),
        }
    }

    /// The part in one row, its first networks only.
    fn row(&self, summary: bool) -> Vec<Line> {
        let networks = if summary { shape::size(&self.networks) } else { self.first_networks() };
        let mut row = vec![self.verdict(), Line::from(networks), Line::from(self.reason())];
        row.extend(self.live.as_ref().map(Line::from));
        row
    }

    /// The first networks of the part, and how many more there are.
    fn first_networks(&self) -> String {
        let (mut v4, mut v6) = (self.networks.v4.prefixes(), self.networks.v6.prefixes());
        let mut networks: Vec<String> = v4.by_ref().take(3).map(|p| p.to_string()).collect();
        networks.extend(v6.by_ref().take(3 - networks.len()).map(|p| p.to_string()));
        match v4.count() + v6.count() {
            0 => {}
            more => networks.push(format!("and {more} more")),
        }
        networks.join(", ")
    }

    /// The part with each of its networks on a line.
    fn whole(&self, page: &mut Page) {
        page.line(self.verdict().plain("  ").plain(self.reason()));
        if let Some(live) = &self.live {
            page.line(Line::new().plain("  ").plain(live));
        }
        let mut text = String::new();
        for network in self.networks.to_cidrs() {
            text.push_str("  ");
            text.push_str(&network);
            text.push('\n');
        }
        page.blocks.push(super::Block::Verbatim(text));
    }
}
