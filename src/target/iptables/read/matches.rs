//! The tests of a rule, option by option.

use std::collections::BTreeSet;

use crate::access::{Bucket, Pattern, Rate};
use crate::net::Family;
use crate::ruleset::{CtState, Mark, Match, Ports, Within};

use super::super::rates;
use super::addresses::{prefix_test, range_test};
use super::marks;
use super::ports::ports;
use super::rule::{Context, Reader};
use super::targets::{limit_bucket, printable};

/// A rate that all sources share.
pub(super) fn log_limit() -> Match {
    Match::Unknown("it depends on a rate that all sources share".to_owned())
}

/// What is collected of a rule's tests.
pub(super) struct Tests<'a> {
    context: &'a Context<'a>,
    module: String,
    matches: Vec<Match>,
    /// The rate that all sources share.
    pub(super) limit: Option<Bucket>,
    limit_rate: Option<Rate>,
    limit_burst: Option<u32>,
    meter: Meter,
    count: Count,
    pub(super) comment: Option<String>,
    tracking: Tracking,
}

/// What one use of `conntrack` tests.
#[derive(Default)]
struct Tracking {
    /// A state that packets without a connection may be in.
    loose: bool,
    /// Something of the connection.
    connection: bool,
}

/// The options of `hashlimit`.
#[derive(Default)]
struct Meter {
    used: bool,
    above: bool,
    rate: Option<Rate>,
    burst: Option<u32>,
    mode: String,
    name: String,
    prefix: Option<u8>,
    expire: Option<u64>,
    other: bool,
}

/// The options of `connlimit`.
#[derive(Default)]
struct Count {
    used: bool,
    above: bool,
    limit: Option<u32>,
    prefix: Option<u8>,
    other: bool,
}

impl<'a> Tests<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Self {
        Self {
            context,
            module: String::new(),
            matches: Vec::new(),
            limit: None,
            limit_rate: None,
            limit_burst: None,
            meter: Meter::default(),
            count: Count::default(),
            comment: None,
            tracking: Tracking::default(),
        }
    }

    fn push(&mut self, test: Match, negated: bool) {
        let test = if negated { test.negate() } else { test };
        if test != Match::Always {
            self.matches.push(test);
        }
    }

    fn unknown(&mut self, because: impl Into<String>) {
        self.push(Match::Unknown(because.into()), false);
    }

    /// Takes one option with its values.
    pub(super) fn option(&mut self, option: &str, mut negated: bool, reader: &mut Reader<'_>) {
        let family = self.context.family;
        match option {
            "-m" | "--match" => {
                let module = reader.value(&mut negated);
                self.module(&module);
                self.module = module;
            }
            "-p" | "--protocol" | "--proto" => {
                let name = reader.value(&mut negated);
                self.push(protocol(&name), negated);
                self.module = name;
            }
            "-s" | "--source" | "--src" => {
                let text = reader.value(&mut negated);
                self.push(prefix_test(&text, true, family), negated);
            }
            "-d" | "--destination" | "--dst" => {
                let text = reader.value(&mut negated);
                self.push(prefix_test(&text, false, family), negated);
            }
            "-i" | "--in-interface" => {
                let name = reader.value(&mut negated);
                self.push(interface(&name), negated);
            }
            "-o" | "--out-interface" => {
                let name = reader.value(&mut negated);
                let test = if name == "+" {
                    Match::Always
                } else {
                    Match::Unknown("it depends on the interface that the packet leaves by".to_owned())
                };
                self.push(test, negated);
            }
            // Tracking puts fragments together before any rule that is read here.
            "-f" | "--fragment" => self.push(Match::Never, negated),
            "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
                let text = reader.value(&mut negated);
                self.push(port_test(&text, Match::Port), negated);
            }
            "--sport" | "--source-port" | "--sports" | "--source-ports" => {
                let text = reader.value(&mut negated);
                self.push(port_test(&text, Match::SourcePort), negated);
            }
            "--ports" => {
                let text = reader.value(&mut negated);
                let either = vec![port_test(&text, Match::Port), port_test(&text, Match::SourcePort)];
                self.push(Match::Any(either), negated);
            }
            "--syn" => self.push(Match::Flags { mask: 0x17, value: 0x02 }, negated),
            "--tcp-flags" => {
                let (mask, value) = (reader.value(&mut negated), reader.next().unwrap_or_default().to_owned());
                self.push(flags(&mask, &value), negated);
            }
            "--src-range" | "--dst-range" => {
                let text = reader.value(&mut negated);
                self.push(range_test(&text, option == "--src-range", family), negated);
            }
            "--comment" => self.comment = Some(reader.value(&mut negated)),
            _ => self.module_option(option, negated, reader),
        }
    }

    /// What a module tests by being named.
    fn module(&mut self, name: &str) {
        self.tracking = Tracking::default();
        match name {
            "tcp" | "multiport" | "iprange" | "addrtype" | "state" | "conntrack" | "set" | "mark" | "connmark"
            | "comment" => {}
            "limit" => self.push(log_limit(), false),
            "hashlimit" => self.meter.used = true,
            "connlimit" => self.count.used = true,
            // Other protocols, and headers of IPv6 that a packet of an ordinary connection does not have: without one no test
            // of it is true.
            "udp" | "udplite" | "sctp" | "dccp" | "icmp" | "icmp6" | "ah" | "esp" | "rt" | "frag" | "hbh" | "dst"
            | "mh" => self.push(Match::Never, false),
            name => self.unknown(format!("what `-m {}` tests is not modelled", printable(name))),
        }
    }

    /// Tests of a connection are false for what has none, unless a state is asked for as well: then that alone counts.
    fn connected(&mut self) {
        if !self.tracking.connection {
            return;
        }
        if self.tracking.loose {
            let because = "it depends on whether the connection is tracked".to_owned();
            self.push(Match::Any(vec![Match::Connection, Match::Unknown(because)]), false);
        } else if !self.matches.contains(&Match::Connection) {
            self.push(Match::Connection, false);
        }
    }

    fn module_option(&mut self, option: &str, mut negated: bool, reader: &mut Reader<'_>) {
        match (self.module.as_str(), option) {
            ("state", "--state") | ("conntrack", "--ctstate") => {
                let text = reader.value(&mut negated);
                let states = states(&text);
                let missing = |s: &BTreeSet<_>| s.contains(&CtState::Untracked) || s.contains(&CtState::Invalid);
                self.tracking.loose |= negated || states.any(&|m| matches!(m, Match::State(s) if missing(s)));
                self.push(states, negated);
                self.connected();
            }
            ("conntrack", "--ctdir") => {
                self.tracking.connection = true;
                self.connected();
                let reply = reader.value(&mut negated).eq_ignore_ascii_case("reply");
                self.push(Match::DirectionOriginal, negated != reply);
            }
            ("conntrack", "--ctorigdstport") => {
                self.tracking.connection = true;
                self.connected();
                let text = reader.value(&mut negated);
                self.push(port_test(&text, Match::OriginalPort), negated);
            }
            ("conntrack", "--ctproto") => {
                self.tracking.connection = true;
                self.connected();
                let name = reader.value(&mut negated);
                self.push(protocol(&name), negated);
            }
            ("addrtype", "--dst-type") => {
                let text = reader.value(&mut negated);
                self.push(destination_type(&text), negated);
            }
            ("set", "--match-set" | "--set") => {
                let name = reader.value(&mut negated);
                let directions = reader.next().unwrap_or_default().to_owned();
                self.push(self.context.sets.test(&name, &directions, self.context.family), negated);
            }
            ("mark", "--mark") => {
                let text = reader.value(&mut negated);
                self.push(marks::test(&text, Mark::Packet), negated);
            }
            ("connmark", "--mark") => {
                let text = reader.value(&mut negated);
                self.push(Match::Connection, false);
                self.push(marks::test(&text, Mark::Connection), negated);
            }
            ("limit", "--limit") => {
                self.limit_rate = rates::parse(&reader.value(&mut negated));
                self.limit = limit_bucket(self.limit_rate, self.limit_burst);
            }
            ("limit", "--limit-burst") => {
                self.limit_burst = reader.value(&mut negated).parse().ok();
                self.limit = limit_bucket(self.limit_rate, self.limit_burst);
            }
            ("hashlimit", _) => self.meter.option(option, &reader.value(&mut negated)),
            ("connlimit", _) => {
                let value = if matches!(option, "--connlimit-saddr" | "--connlimit-daddr") {
                    String::new()
                } else {
                    reader.value(&mut negated)
                };
                self.count.option(option, &value, negated);
            }
            // An unknown module is unknown as a whole already.
            (
                "tcp" | "multiport" | "iprange" | "addrtype" | "state" | "conntrack" | "set" | "mark" | "connmark" | "",
                _,
            ) => {
                reader.skip_values();
                self.unknown(format!("what `{}` tests is not modelled", printable(option)));
            }
            _ => reader.skip_values(),
        }
    }

    /// The tests, in the order in which they are made.
    pub(super) fn finish(mut self) -> Vec<Match> {
        let bits = if self.context.family == Family::V4 { 32 } else { 128 };
        if self.meter.used {
            let test = self.meter.test(self.context.family, bits);
            self.matches.push(test);
        }
        if self.count.used {
            let test = self.count.test(&self.matches, bits);
            self.matches.push(test);
        }
        self.matches
    }
}

impl Meter {
    fn option(&mut self, option: &str, value: &str) {
        match option {
            "--hashlimit-above" | "--hashlimit-upto" | "--hashlimit" => {
                self.above = option == "--hashlimit-above";
                self.rate = rates::parse(value);
            }
            "--hashlimit-burst" => self.burst = value.parse().ok(),
            "--hashlimit-mode" => value.clone_into(&mut self.mode),
            "--hashlimit-name" => value.clone_into(&mut self.name),
            "--hashlimit-srcmask" => match value.parse() {
                Ok(prefix) => self.prefix = Some(prefix),
                Err(_) => self.other = true,
            },
            "--hashlimit-htable-expire" => self.expire = value.parse().ok(),
            "--hashlimit-htable-size" | "--hashlimit-htable-max" | "--hashlimit-htable-gcinterval" => {}
            _ => self.other = true,
        }
    }

    /// A limit for each source and port, if it is exactly of our shape. Of others it is not known whom a table counts: a
    /// table is shared by all rules that name it, and keeps the limit of the first.
    fn test(&self, family: Family, bits: u8) -> Match {
        let unknown = || Match::Unknown("it depends on how often the source has connected before".to_owned());
        let (Some(rate), false) = (self.rate, self.other) else { return unknown() };
        let bucket = Bucket { rate, burst: self.burst.unwrap_or(rates::DEFAULT_BURST) };
        let prefix = self.prefix.unwrap_or(bits);
        let named = rates::meter_name(family, bucket, prefix).is_some_and(|n| n == self.name);
        let kept = self.expire.unwrap_or(rates::default_expire(rate).into());
        let lasting = rates::expire(bucket).is_some_and(|ms| kept >= ms.into());
        if self.mode != "srcip,dstport" || !named || !lasting {
            return unknown();
        }
        let within = Match::Within(Within::Rate { bucket, prefix });
        if self.above { within.negate() } else { within }
    }
}

impl Count {
    fn option(&mut self, option: &str, value: &str, negated: bool) {
        match option {
            "--connlimit-above" | "--connlimit-upto" => {
                self.above = (option == "--connlimit-above") != negated;
                self.limit = value.parse().ok();
            }
            "--connlimit-mask" => match value.parse() {
                Ok(prefix) => self.prefix = Some(prefix),
                Err(_) => self.other = true,
            },
            "--connlimit-saddr" => {}
            _ => self.other = true,
        }
    }

    /// A limit for each source and port, if packets of one port only come to it: a rule counts whatever reaches its test.
    fn test(&self, before: &[Match], bits: u8) -> Match {
        let unknown = || Match::Unknown("it depends on how many connections the source has open".to_owned());
        let one = |m: &Match| match m {
            Match::Port(Ports(p)) | Match::OriginalPort(Ports(p)) => matches!(p[..], [(a, b)] if a == b),
            _ => false,
        };
        let (Some(count), false, true) = (self.limit, self.other, before.iter().any(one)) else { return unknown() };
        let within = Match::Within(Within::Concurrent { count, prefix: self.prefix.unwrap_or(bits) });
        if self.above { within.negate() } else { within }
    }
}

/// Everything that is asked about is TCP.
fn protocol(name: &str) -> Match {
    match name.to_ascii_lowercase().as_str() {
        "tcp" | "6" | "all" | "0" => Match::Always,
        _ => Match::Never,
    }
}

fn interface(name: &str) -> Match {
    match name.strip_suffix('+') {
        Some("") => Match::Always,
        Some(start) => Match::Interface(vec![Pattern::prefix(start)]),
        None => Match::Interface(vec![Pattern::name(name)]),
    }
}

fn port_test(text: &str, test: fn(Ports) -> Match) -> Match {
    ports(text).map_or_else(|| Match::Unknown(format!("the service {} is not known", printable(text))), test)
}

/// The flags of `--tcp-flags` in the bits of a TCP header.
fn flags(mask: &str, value: &str) -> Match {
    let bits = |text: &str| {
        text.split(',').try_fold(0u8, |bits, flag| {
            Some(
                bits | match flag.to_ascii_uppercase().as_str() {
                    "FIN" => 0x01,
                    "SYN" => 0x02,
                    "RST" => 0x04,
                    "PSH" => 0x08,
                    "ACK" => 0x10,
                    "URG" => 0x20,
                    "ALL" => 0x3f,
                    "NONE" => 0,
                    _ => return None,
                },
            )
        })
    };
    match (bits(mask), bits(value)) {
        (Some(mask), Some(value)) => Match::Flags { mask, value },
        _ => Match::Unknown("it depends on TCP flags that are not known".to_owned()),
    }
}

fn states(text: &str) -> Match {
    let mut states = BTreeSet::new();
    let mut any = Vec::new();
    for word in text.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "NEW" => drop(states.insert(CtState::New)),
            "ESTABLISHED" => drop(states.insert(CtState::Established)),
            "RELATED" => drop(states.insert(CtState::Related)),
            "INVALID" => drop(states.insert(CtState::Invalid)),
            "UNTRACKED" => drop(states.insert(CtState::Untracked)),
            "DNAT" => any.push(Match::Translated),
            other => any.push(Match::Unknown(format!("the state {} is not modelled", printable(other)))),
        }
    }
    if !states.is_empty() || any.is_empty() {
        any.insert(0, Match::State(states));
    }
    if any.len() == 1 { any.remove(0) } else { Match::Any(any) }
}

/// Types of the destination: a connection goes to an address of the host or is routed on; nothing else can be connected to.
fn destination_type(text: &str) -> Match {
    let mut any: Vec<Match> = text
        .split(',')
        .filter_map(|word| match word.to_ascii_uppercase().as_str() {
            "LOCAL" => Some(Match::DestinationLocal),
            "UNICAST" => Some(Match::DestinationLocal.negate()),
            _ => None,
        })
        .collect();
    match any.len() {
        0 => Match::Never,
        1 => any.remove(0),
        _ => Match::Any(any),
    }
}
