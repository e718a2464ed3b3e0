//! `explain`: what happens to an address or a network, and which line of which file decides.

mod part;
mod reason;

use clap::Args;
use serde::Serialize;

use crate::access::{Interface, Path};
use crate::change::Asked;
use crate::net::{AddrSet, Network, ParseError, no_source, parse_network};
use crate::policy::Policy;

use super::shape::{Networks, QuestionShape};
use super::profile::{Day, usable};
use super::{Code, Context, Exit, Failure, Line, Page, Report, Role, Verb};

use part::{Part, parts};
use reason::Entry;

/// Say what happens to an address or network, and which line of the profile decides
#[derive(Debug, Args)]
#[command(after_long_help = "\
A network that is not decided as a whole is shown in parts. Where the interface matters, each one is shown.

Exit codes: 0 all that was asked is accepted, within limits or without; 1 something is refused.

Examples:
  harden993 explain 198.51.100.7
  harden993 explain 198.51.100.0/24 2001:db8::/32 --interface wg0
  harden993 explain 203.0.113.16-203.0.113.31 --now 2027-04-01")]
pub struct Explain {
    /// Addresses, networks or ranges
    #[arg(required = true, value_name = "ADDR")]
    addresses: Vec<String>,

    /// The port; without it each guarded port
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// The interface that the connection comes in by; without it each that the profile tells apart
    #[arg(long, value_name = "IF")]
    interface: Option<String>,

    /// Show every part, however many there are
    #[arg(long)]
    all: bool,

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
    all: bool,
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
    live: Option<()>,
    networks: Networks,
}

/// What people are told of one query: by these interfaces, to these ports, it is decided like this.
#[derive(Debug)]
struct Told {
    query: String,
    ports: Vec<u16>,
    /// None stands for every interface that is not named elsewhere.
    interfaces: Vec<Option<String>>,
    parts: Vec<Part>,
}

impl Verb for Explain {
    type Report = Explanation;

    fn run(self, cx: &Context<'_>) -> Result<Explanation, Failure> {
        let queries = self.addresses.iter().map(|text| query(text)).collect::<Result<Vec<_>, _>>()?;
        let profile = usable(cx, self.day.date(cx)?)?;
        let ports = self.port.map_or_else(|| profile.policy.ports.clone(), |p| vec![p]);
        let interfaces = interfaces(&profile.policy, self.interface.as_deref());
        let (mut results, mut told) = (Vec::new(), Vec::<Told>::new());
        for (text, network) in self.addresses.iter().zip(queries) {
            let first = told.len();
            for interface in &interfaces {
                // Every guarded port is decided alike, so the first one stands for all.
                let parts = parts(&profile, network, interface, ports[0]);
                let label = interface.label();
                let alike = told[first..].iter_mut().find(|t| t.parts == parts);
                // What is as by the unnamed interface needs no question of its own.
                if alike.as_ref().is_some_and(|t| t.interfaces.contains(&None)) {
                    continue;
                }
                for port in &ports {
                    let asked = Asked { port: *port, path: Path::Input, interface: label.clone(), to: None };
                    results.extend(answers(text, &asked, &parts));
                }
                match alike {
                    Some(t) => t.interfaces.push(label),
                    None => told.push(Told {
                        query: text.clone(),
                        ports: ports.clone(),
                        interfaces: vec![label],
                        parts,
                    }),
                }
            }
        }
        Ok(Explanation { results, told, all: self.all })
    }
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

/// The interfaces to ask about: the one that was named, else each that is guarded and told apart, the unnamed one first.
fn interfaces(policy: &Policy, named: Option<&str>) -> Vec<Interface> {
    match named {
        Some(name) => vec![Interface::parse(name)],
        None => policy.interface_classes().into_iter().filter(|i| policy.covers(i)).collect(),
    }
}

/// One object for each verdict among the parts, in the order of the addresses.
fn answers(query: &str, asked: &Asked, parts: &[Part]) -> Vec<Answer> {
    let mut out: Vec<Answer> = Vec::new();
    for part in parts {
        let i = out.iter().position(|a| a.verdict == part.verdict).unwrap_or_else(|| {
            out.push(Answer {
                query: query.to_owned(),
                question: QuestionShape::from(asked),
                verdict: part.verdict,
                entries: Vec::new(),
                live: None,
                networks: Networks::default(),
            });
            out.len() - 1
        });
        out[i].networks.0 = out[i].networks.0.union(&part.networks);
        out[i].entries.extend(part.reason.entries().iter().cloned());
    }
    for answer in &mut out {
        let mut seen = std::collections::BTreeSet::new();
        answer.entries.retain(|e| seen.insert(e.clone()));
    }
    out
}

impl Report for Explanation {
    fn exit(&self) -> Exit {
        Exit::finding(self.results.iter().any(|a| !matches!(a.verdict, "accept" | "limit")))
    }

    fn page(self) -> Page {
        let mut page = Page::new();
        for told in &self.told {
            page.gap();
            page.line(told.heading());
            if self.all {
                told.parts.iter().for_each(|p| p.whole(&mut page));
                continue;
            }
            page.table(told.parts.iter().take(SHOWN).map(Part::row).collect());
            if told.parts.len() > SHOWN {
                let more = told.parts.len() - SHOWN;
                page.line(Line::new().dim(format!("and {more} more parts; --all shows them")));
            }
        }
        page
    }
}

/// So many parts of one network are shown without `--all`.
const SHOWN: usize = 40;

impl Told {
    fn heading(&self) -> Line {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        let ports = format!("{} {}", if ports.len() == 1 { "port" } else { "ports" }, ports.join(", "));
        let named: Vec<&str> = self.interfaces.iter().flatten().map(String::as_str).collect();
        let by = if named.is_empty() { String::new() } else { format!(" by {}", named.join(", ")) };
        Line::new().strong(&self.query).plain(format!(" to {ports}{by}"))
    }
}

impl Part {
    fn verdict(&self) -> Line {
        let role = match self.verdict {
            "accept" => Role::Good,
            "limit" => Role::Warn,
            _ => Role::Bad,
        };
        Line::new().with(role, self.verdict)
    }

    fn reason(&self) -> String {
        match &self.limit {
            Some(limit) => format!("{}; at most {limit}", self.reason),
            None => self.reason.to_string(),
        }
    }

    /// The part in one row, its first networks only.
    fn row(&self) -> Vec<Line> {
        let mut networks = self.networks.to_cidrs();
        let count = networks.len();
        if count > 3 {
            networks.truncate(3);
            networks.push(format!("and {} more", count - 3));
        }
        vec![self.verdict(), Line::from(networks.join(", ")), Line::from(self.reason())]
    }

    /// The part with each of its networks on a line.
    fn whole(&self, page: &mut Page) {
        page.line(self.verdict().plain("  ").plain(self.reason()));
        let mut text = String::new();
        for network in self.networks.to_cidrs() {
            text.push_str("  ");
            text.push_str(&network);
            text.push('\n');
        }
        page.blocks.push(super::Block::Verbatim(text));
    }
}
