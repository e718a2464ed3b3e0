//! Our table as text to be compared: what it means, one line a thing, so that nothing shows that means the same.

use std::fmt::Write as _;

use crate::access::{Bucket, Log, LogClass, Refuse};
use crate::net::{Addr, AddrSet, Family, Ranges};
use crate::ruleset::{
    Chain, ChainId, Change, CtState, Hook, Mark, Match, Mixture, Ports, Rule, Ruleset, Stage, Then, Within,
};

use super::ours::{has_ours, own_name};

/// What the ruleset holds of ours; empty if nothing is.
pub(super) fn print(ruleset: &Ruleset) -> String {
    // The digest of a whole host can be that of another firewall's rules.
    if !has_ours(ruleset) {
        return String::new();
    }
    let mut printer = Printer { ruleset, out: String::new() };
    if let Some(digest) = &ruleset.digest {
        let _ = writeln!(printer.out, "policy {digest}");
    }
    let mut stages: Vec<&Stage> = ruleset.stages.iter().filter(|s| own_name(&s.name).is_some()).collect();
    stages.sort_by_key(|s| (s.hook, s.priority, &s.name));
    for stage in &stages {
        printer.stage(stage);
    }
    for chain in printer.chains(&stages) {
        printer.chain(chain);
    }
    printer.out
}

struct Printer<'r> {
    ruleset: &'r Ruleset,
    out: String,
}

impl<'r> Printer<'r> {
    fn get(&self, id: ChainId) -> Option<&'r Chain> {
        self.ruleset.chains.get(id.0 as usize)
    }

    fn name(&self, id: ChainId) -> &'r str {
        self.get(id).and_then(|c| own_name(&c.name)).unwrap_or("a chain that is not listed")
    }

    /// Our chains: each after the one that leads to it first, then those to which none leads, by name. The order of a listing
    /// is that of loading, which says nothing.
    fn chains(&self, stages: &[&Stage]) -> Vec<&'r Chain> {
        let mut seen = vec![false; self.ruleset.chains.len()];
        let mut out: Vec<&'r Chain> = Vec::new();
        let mut rest: Vec<ChainId> = (0..self.ruleset.chains.len() as u32).map(ChainId).collect();
        rest.retain(|id| self.get(*id).is_some_and(|c| own_name(&c.name).is_some() && !c.rules.is_empty()));
        rest.sort_by_key(|id| std::cmp::Reverse(self.name(*id)));
        // A stack, the first chain on top.
        let mut todo: Vec<ChainId> = rest;
        todo.extend(stages.iter().rev().map(|s| s.chain));
        while let Some(id) = todo.pop() {
            let Some(chain) = self.get(id) else { continue };
            if std::mem::replace(&mut seen[id.0 as usize], true) {
                continue;
            }
            out.push(chain);
            for rule in chain.rules.iter().rev() {
                if let Then::Jump(next) | Then::Goto(next) = rule.then {
                    todo.push(next);
                }
            }
        }
        out
    }

    fn stage(&mut self, stage: &Stage) {
        let hook = match stage.hook {
            Hook::Ingress => "ingress",
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
        };
        let policy = self.then(&stage.policy);
        let chain = self.name(stage.chain);
        let _ = writeln!(self.out, "hook {hook} priority {}: chain {chain}, else {policy}", stage.priority);
    }

    fn chain(&mut self, chain: &'r Chain) {
        let name = own_name(&chain.name).unwrap_or(&chain.name);
        let _ = writeln!(self.out, "\nchain {name}");
        let mut rules = chain.rules.as_slice();
        while let Some((first, rest)) = rules.split_first() {
            // However many sets a list is spread over, and in whatever shape, it is one list.
            let alike = |r: &&Rule| r.then == first.then && sources(r).is_some();
            let more = if sources(first).is_some() { rest.iter().take_while(alike).count() } else { 0 };
            let (these, rest) = rules.split_at(more + 1);
            match sources(first) {
                Some(_) => self.list(these),
                None => self.rule(first),
            }
            rules = rest;
        }
    }

    /// Rules that do one thing to whoever is on a list.
    fn list(&mut self, rules: &[Rule]) {
        let _ = writeln!(self.out, "\tfrom");
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for set in rules.iter().filter_map(sources) {
            v4.extend_from_slice(set.v4.spans());
            v6.extend_from_slice(set.v6.spans());
        }
        self.networks(&Ranges::from_spans(v4));
        self.networks(&Ranges::from_spans(v6));
        if let Some(rule) = rules.first() {
            let then = self.then(&rule.then);
            let _ = writeln!(self.out, "\t{then}");
        }
    }

    fn networks<A: Addr>(&mut self, ranges: &Ranges<A>) {
        for prefix in ranges.prefixes() {
            self.out.push_str("\t\t");
            prefix.write(&mut self.out);
            self.out.push('\n');
        }
    }

    fn rule(&mut self, rule: &Rule) {
        let mut words: Vec<String> =
            rule.matches.iter().map(|m| self.test(m, rule)).filter(|w| !w.is_empty()).collect();
        words.extend(rule.log.map(log));
        if rule.then != Then::Continue {
            words.push(self.then(&rule.then));
        }
        let _ = writeln!(self.out, "\t{}", words.join(" "));
    }

    fn then(&self, then: &Then) -> String {
        match then {
            Then::Continue => "continue".to_owned(),
            Then::Accept => "accept".to_owned(),
            Then::Refuse(Refuse::Drop) => "drop".to_owned(),
            Then::Refuse(Refuse::Reset) => "reject with tcp reset".to_owned(),
            Then::Refuse(_) => "reject".to_owned(),
            Then::Jump(id) => format!("jump {}", self.name(*id)),
            Then::Goto(id) => format!("goto {}", self.name(*id)),
            Then::Return => "return".to_owned(),
            Then::Rewrite(rewrite) => {
                let to = rewrite.to.as_ref().map_or_else(|| "this host".to_owned(), AddrSet::to_string);
                let port = rewrite.port.map(|p| format!(" port {p}")).unwrap_or_default();
                format!("translate to {to}{port}")
            }
            Then::Change(Change::NoTrack) => "notrack".to_owned(),
            Then::Change(Change::Mark { mark, to: Some(to) }) => {
                let Mixture { packet, connection, bits } = to;
                let marks = (self::mark(Mark::Packet), self::mark(Mark::Connection));
                format!(
                    "{} set {} & {packet:#x} ^ {} & {connection:#x} ^ {bits:#x}",
                    self::mark(*mark),
                    marks.0,
                    marks.1
                )
            }
            Then::Change(Change::Mark { mark, to: None }) => format!("{} set to what is not known", self::mark(*mark)),
            Then::Unknown(because) => format!("unknown ({because})"),
        }
    }

    fn test(&self, m: &Match, rule: &Rule) -> String {
        let all = |ms: &[Match], by: &str| {
            ms.iter().map(|m| self.test(m, rule)).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(by)
        };
        match m {
            // The second goes without saying where something of the connection is tested.
            Match::Always | Match::Connection => String::new(),
            Match::Never => "never".to_owned(),
            Match::Source(set) => format!("saddr {{ {set} }}"),
            Match::Destination(set) => format!("daddr {{ {set} }}"),
            Match::DestinationLocal => "daddr local".to_owned(),
            Match::Interface(patterns) => {
                let mut names: Vec<String> = patterns.iter().map(|p| format!("\"{p}\"")).collect();
                names.sort();
                format!("iifname {}", names.join(", "))
            }
            Match::Family(Family::V4) => "ipv4".to_owned(),
            Match::Family(Family::V6) => "ipv6".to_owned(),
            Match::Port(ports) => format!("dport {}", port_list(ports)),
            Match::OriginalPort(ports) => format!("original dport {}", port_list(ports)),
            Match::SourcePort(ports) => format!("sport {}", port_list(ports)),
            Match::Flags { mask, value } => format!("tcp flags {} / {}", flags(*value), flags(*mask)),
            Match::State(states) => {
                let names: Vec<&str> = states.iter().map(|s| state(*s)).collect();
                format!("ct state {}", names.join(","))
            }
            Match::DirectionOriginal => "ct direction original".to_owned(),
            Match::Translated => "ct status dnat".to_owned(),
            Match::Mark { mark, mask, value } => format!("{} & {mask:#x} == {value:#x}", self::mark(*mark)),
            Match::Within(Within::Rate { bucket: b, prefix }) => {
                format!("within {} per /{prefix} and port", bucket(*b))
            }
            Match::Within(Within::Concurrent { count, prefix }) => {
                format!("within {count} at once per /{prefix} and port")
            }
            Match::Not(inner) => format!("not ({})", self.test(inner, rule)),
            Match::All(inner) => all(inner, " "),
            Match::Any(inner) => format!("any of ({})", all(inner, " | ")),
            Match::Unknown(because) => {
                let text = self.ruleset.origin_of(rule.origin).map_or(because.as_str(), |o| o.text.as_str());
                format!("unknown `{text}`")
            }
        }
    }
}

/// The networks of a rule that tests nothing else, and only decides.
fn sources(rule: &Rule) -> Option<&AddrSet> {
    match &rule.matches[..] {
        [Match::Source(set)] if rule.log.is_none() => Some(set),
        _ => None,
    }
}

fn log(log: Log) -> String {
    let class = if log.class == LogClass::Foreign { "another prefix" } else { log.class.prefix().trim_end() };
    let rate = log.rate.map(|b| format!(" at most {}", bucket(b))).unwrap_or_default();
    format!("log \"{class}\"{rate}")
}

/// A bucket in the smallest unit, so that 60/minute and 1/second are one.
fn bucket(bucket: Bucket) -> String {
    Bucket { rate: bucket.rate.reduced(), ..bucket }.to_string()
}

fn port_list(ports: &Ports) -> String {
    let one = |(a, b): &(u16, u16)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    ports.0.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn flags(bits: u8) -> String {
    const NAMES: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
    let names: Vec<&str> = (0..8).filter(|i| bits >> i & 1 == 1).map(|i| NAMES[i]).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Packet => "meta mark",
        Mark::Connection => "ct mark",
    }
}

fn state(state: CtState) -> &'static str {
    match state {
        CtState::New => "new",
        CtState::Established => "established",
        CtState::Related => "related",
        CtState::Invalid => "invalid",
        CtState::Untracked => "untracked",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::tests::{policies, read, rendered};
    use super::*;

    fn printed(text: &str) -> String {
        print(&read(text))
    }

    #[test]
    fn a_table_as_it_is_compared() {
        expect![[r#"
            policy b00db01579076b7c4e68ff423d1fb068a96385554b264d430f1a8dd155622164
            hook input priority -10: chain input, else accept

            chain input
            	dport 993, 995, 4190 jump guarded

            chain guarded
            	iifname "lo" accept
            	not (tcp flags syn / syn,ack) ct state established ct direction original accept
            	ipv4 jump guarded_v4
            	ipv6 jump guarded_v6
            	goto untrusted

            chain guarded_v4
            	from
            		203.0.113.128/25
            	goto take
            	from
            		198.51.100.0/24
            	goto limit1_v4
            	from
            		192.0.2.0/25
            	goto limit2_v4
            	from
            		203.0.113.0/25
            	goto limit3_v4

            chain take
            	accept

            chain limit1_v4
            	not (tcp flags syn / syn,ack) goto take
            	ipv4 within 100 at once per /24 and port ipv4 within 1/second, burst 30 per /24 and port goto take
            	goto limited

            chain limited
            	tcp flags syn / syn,ack log "harden993 limited:"
            	goto refuse

            chain refuse
            	reject with tcp reset

            chain limit2_v4
            	not (tcp flags syn / syn,ack) goto take
            	ipv4 within 10/hour, burst 7 per /24 and port goto take
            	goto limited

            chain limit3_v4
            	not (tcp flags syn / syn,ack) goto take
            	ipv4 within 5 at once per /24 and port goto take
            	goto limited

            chain guarded_v6
            	from
            		2001:db8:10::/48
            	goto limit1_v6
            	from
            		2001:db8:20::/48
            	goto limit2_v6

            chain limit1_v6
            	not (tcp flags syn / syn,ack) goto take
            	ipv6 within 100 at once per /64 and port ipv6 within 1/second, burst 30 per /64 and port goto take
            	goto limited

            chain limit2_v6
            	not (tcp flags syn / syn,ack) goto take
            	ipv6 within 10/hour, burst 7 per /64 and port goto take
            	goto limited

            chain untrusted
            	tcp flags syn / syn,ack log "harden993 refused:"
            	goto refuse
        "#]]
        .assert_eq(&printed(&rendered(&policies()[1].1)));
    }

    #[test]
    fn what_means_the_same_prints_the_same() {
        let text = rendered(&policies()[0].1);
        let spelled = text
            .replace("tcp flags & (syn | ack) == syn", "tcp flags syn / syn,ack")
            .replace("tcp flags & (syn | ack) != syn", "tcp flags != syn / syn,ack")
            .replace("198.51.100.0/25, 203.0.113.7", "203.0.113.7, 198.51.100.64/26, 198.51.100.0/26")
            .replace("packets 0 bytes 0", "packets 17 bytes 4711")
            .replace("goto take", "goto take # handle 12");
        assert_ne!(text, spelled);
        assert_eq!(printed(&text), printed(&spelled));
        assert_eq!(printed("table ip other {\n}\n"), "");
    }
}
