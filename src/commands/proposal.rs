//! A profile that reaches the same addresses as an existing ruleset, with what the old rules said beside each entry.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::access::{Outcome, Pattern, Verdict};
use crate::change::{Answer, Scope, ask};
use crate::net::AddrSet;
use crate::policy::Policy;
use crate::profile::{self, Origin};
use crate::ruleset::{Evaluator, Ruleset};
use crate::target::ALL;

use super::{Code, Failure};

/// A profile that was made from a ruleset.
#[derive(Debug)]
pub(super) struct Proposal {
    /// The profile, as TOML.
    pub(super) profile: String,
    /// What could not be taken over, one sentence each.
    pub(super) left_out: Vec<String>,
}

/// One entry of the profile: who a rule of the old ruleset let in.
struct Granted {
    rule: String,
    sources: AddrSet,
    via: Option<String>,
    limits: Option<crate::access::Limits>,
}

/// Makes a profile of who can open a connection to some ports under a ruleset, and proves that it trusts exactly them.
pub(super) fn propose(ruleset: &Ruleset, scope: &Scope, source: &str) -> Result<Proposal, Failure> {
    let answers = ask(&[ruleset], scope);
    let mut left_out = Vec::new();
    let Some(first) = scope.ports.first() else {
        return Err(Failure::wrong(Code::Argument, "no port was asked about"));
    };
    for port in &scope.ports[1..] {
        let alike = answers.iter().filter(|a| a.asked.port == *port).all(|a| {
            answers
                .iter()
                .any(|b| b.asked.port == *first && b.asked.interface == a.asked.interface && b.accesses == a.accesses)
        });
        if !alike {
            left_out
                .push(format!("port {port} is reached by others than port {first}; the profile follows port {first}"));
        }
    }
    let mut granted: Vec<Granted> = Vec::new();
    let mut everywhere = AddrSet::new();
    for answer in answers.iter().filter(|a| a.asked.port == *first) {
        take(ruleset, answer, &mut everywhere, &mut granted, &mut left_out);
    }
    left_out.extend(ruleset.remarks.iter().cloned());
    let profile = write(scope, source, &granted, &left_out);
    prove(&profile, &answers, *first)?;
    Ok(Proposal { profile, left_out })
}

/// What one answer lets in, by the rule that lets it in.
fn take(
    ruleset: &Ruleset,
    answer: &Answer,
    everywhere: &mut AddrSet,
    granted: &mut Vec<Granted>,
    left_out: &mut Vec<String>,
) {
    let asked = &answer.asked;
    if asked.to.is_some() {
        left_out.push(format!(
            "what depends on the destination ({}) was left out",
            asked.to.clone().unwrap_or_default().join(", ")
        ));
        return;
    }
    let trace = Evaluator::new(ruleset).trace(&answer.question).access;
    let mut by_rule: BTreeMap<(Option<crate::access::Limits>, String), AddrSet> = BTreeMap::new();
    for (outcome, sources) in trace.groups() {
        let sources = sources.intersect(&answer.sources);
        if sources.is_empty() {
            continue;
        }
        let text = |o: &Outcome| {
            o.by.and_then(|r| ruleset.origin_of(r)).map_or_else(|| "no rule refuses it".to_owned(), ToString::to_string)
        };
        let limits = match &outcome.verdict {
            Verdict::Accept => None,
            Verdict::Limit { limits, .. } => Some(*limits),
            Verdict::Refuse(_) => continue,
            Verdict::Unknown { because } => {
                left_out.push(format!("{}: not known ({because}); rule: {}", sources.brief(5), text(&outcome)));
                continue;
            }
        };
        let set = by_rule.entry((limits, text(&outcome))).or_default();
        *set = set.union(&sources);
    }
    let here = by_rule.values().fold(AddrSet::new(), |set, s| set.union(s));
    if asked.interface.is_none() {
        everywhere.clone_from(&here);
    } else {
        let less = everywhere.minus(&here);
        if !less.is_empty() {
            let name = asked.interface.clone().unwrap_or_default();
            left_out.push(format!(
                "by {name} the old rules refuse {}, which a profile that trusts them by other interfaces cannot say",
                less.brief(5)
            ));
        }
    }
    for ((limits, rule), sources) in by_rule {
        let sources = if asked.interface.is_some() { sources.minus(everywhere) } else { sources };
        if !sources.is_empty() {
            granted.push(Granted { rule, sources, via: asked.interface.clone(), limits });
        }
    }
}

/// The profile as text. Nothing of the old rules leaves its comment: they are cut to what a line of text may hold.
fn write(scope: &Scope, source: &str, granted: &[Granted], left_out: &[String]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# Proposed from {}: it trusts exactly who those rules let in.", comment(source));
    for line in left_out {
        let _ = writeln!(out, "# Not taken over: {}", comment(line));
    }
    let ports = scope.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "\nschema = 1\nname = \"proposed\"\n\n[service]\nports = [{ports}]");
    if granted.is_empty() {
        out.push_str("closed = true  # nobody could connect\n");
    }
    for (number, grant) in granted.iter().enumerate() {
        let _ = writeln!(out, "\n# {}\n[[trusted]]\nname = \"rule-{}\"", comment(&grant.rule), number + 1);
        let everybody = crate::net::no_source().complement();
        if grant.via.is_some() && grant.sources.contains_all(&everybody) {
            // Whoever comes by it: no networks.
        } else {
            let open = |all: bool, v: &str| if all { Some(v.to_owned()) } else { None };
            // A family that is open to all is written as such, not as what is left of it without loopback and multicast.
            let v4 = open(grant.sources.v4.contains_all(&everybody.v4), "0.0.0.0/0");
            let v6 = open(grant.sources.v6.contains_all(&everybody.v6), "::/0");
            let list4 = v4.map_or_else(|| grant.sources.v4.prefixes().map(|p| p.to_string()).collect(), |v| vec![v]);
            let list6 = v6.map_or_else(|| grant.sources.v6.prefixes().map(|p| p.to_string()).collect(), |v| vec![v]);
            out.push_str("networks = [\n");
            for network in list4.iter().chain(&list6) {
                let _ = writeln!(out, "  \"{network}\",");
            }
            out.push_str("]\n");
        }
        if let Some(via) = &grant.via {
            let _ = writeln!(out, "via = [\"{}\"]", Pattern::parse(via));
        }
        if let Some(limits) = grant.limits {
            let rate = limits
                .rate
                .map(|b| format!("new_connections = \"{}/{}\", burst = {}", b.rate.count, b.rate.per.name(), b.burst));
            let concurrent = limits.concurrent.map(|n| format!("concurrent = {n}"));
            let parts: Vec<String> = rate.into_iter().chain(concurrent).collect();
            let _ = writeln!(out, "limits = {{ {} }}", parts.join(", "));
        }
    }
    out
}

/// A text that cannot leave a comment line.
fn comment(text: &str) -> String {
    let short: String = text.chars().take(300).collect();
    profile::harmless(&short)
}

/// The proposal, read as any profile, must trust exactly whom the old rules let in.
fn prove(text: &str, answers: &[Answer], port: u16) -> Result<(), Failure> {
    let specs: Vec<_> = ALL.iter().map(|t| t.spec()).collect();
    let options = profile::Options { today: jiff::civil::Date::constant(2000, 1, 1), specs: &specs };
    let origin = Origin::Text { text: text.as_bytes().to_vec(), dir: std::path::PathBuf::from(".") };
    let none = |_: &std::path::Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let loaded = profile::load(&origin, &options, &none);
    let defect = |why: String| {
        Failure::wrong(Code::Defect, format!("the proposal does not say what the rules say: {why}"))
            .help("this is a defect of harden993; please report it with the ruleset")
    };
    let Some(policy): Option<Policy> = loaded.policy else {
        let first = loaded.problems.iter().find(|p| p.is_error()).map_or_else(String::new, |p| p.message.clone());
        return Err(defect(first));
    };
    for answer in answers.iter().filter(|a| a.asked.port == port && a.asked.to.is_none() && a.asked.interface.is_none())
    {
        let Some(access) = answer.accesses.first() else { continue };
        let question = crate::access::Question { path: crate::access::Path::Input, ..answer.question.clone() };
        let (old, new) = (access.reachable().intersect(&answer.sources), policy.answer(&question).reachable());
        let (old, new) = (old, new.intersect(&answer.sources));
        if old != new {
            return Err(defect(format!("{} differ", old.minus(&new).union(&new.minus(&old)).brief(5))));
        }
    }
    Ok(())
}
