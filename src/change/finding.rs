//! Findings: what an administrator must know about a host beside the change itself, each with a code that stays.

use std::net::IpAddr;

use crate::access::{Outcome, Path, Verdict};
use crate::net::{Addr as _, AddrSet};
use crate::policy::{Forwarded, Policy};
use crate::ruleset::{Change, Evaluator, Ruleset, Then};
use crate::target::{ALL, Platform};

use super::{Answer, Asked, Scope, Verified, ask};

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It may hurt somebody.
    Warning,
    /// The host does not do what the profile says.
    Error,
}

impl Severity {
    /// The word of reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// A name that stays: `missing`, `excess`, `unknown`, `published-unguarded`, `two-targets`, `untracked`, `remark`,
    /// `caller`, `drift`, `unconfirmed`, `cut-off`, `moved`, `elsewhere`, `unexpected`, `max-cut`, `outcome`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What was found, as a sentence without a full stop.
    pub message: String,
    /// The rule that it is about.
    pub rule: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Finding {
    /// That what is loaded is not what was confirmed.
    pub fn drift(message: &str) -> Self {
        Self {
            code: "drift",
            severity: Severity::Error,
            message: message.to_owned(),
            rule: None,
            help: Some("`harden993 restore` loads them again".to_owned()),
        }
    }

    /// That our rules are loaded, but not in the firewall, or the variant of it, that they are confirmed for.
    pub fn elsewhere(loaded: &str, confirmed: &str, help: String) -> Self {
        Self {
            code: "elsewhere",
            severity: Severity::Error,
            message: format!("our rules are loaded in {loaded}, and are confirmed for {confirmed}"),
            rule: None,
            help: Some(help),
        }
    }

    /// That rules of ours are loaded of which nothing is confirmed.
    pub fn unconfirmed() -> Self {
        Self {
            code: "unconfirmed",
            severity: Severity::Warning,
            message: "our rules are loaded, but a reboot will not load them: nothing is confirmed".to_owned(),
            rule: None,
            help: Some("`harden993 apply` confirms what the profile says".to_owned()),
        }
    }

    /// That our rules go from one variant of the firewall to another.
    pub fn moved(from: &str, to: &str) -> Self {
        Self {
            code: "moved",
            severity: Severity::Note,
            message: format!("our rules are loaded in the variant {to}, and then taken away from {from}"),
            rule: None,
            help: None,
        }
    }

    /// What somebody asked to be stopped by: an effect that is not the expected one, too many connections that would end, an
    /// outcome that is not the profile's.
    pub fn stop(code: &'static str, message: String) -> Self {
        Self { code, severity: Severity::Error, message, rule: None, help: None }
    }

    /// That an apply was cut off in the middle.
    pub fn cut_off(id: &str) -> Self {
        Self {
            code: "cut-off",
            severity: Severity::Error,
            message: format!("the apply {id} was cut off while it was loaded"),
            rule: None,
            help: Some("`harden993 restore` finishes or undoes it".to_owned()),
        }
    }
}

/// The targets of a platform of which a ruleset holds objects of ours.
pub fn holders(platform: Platform, ruleset: &Ruleset) -> Vec<&'static str> {
    let targets = ALL.iter().filter(|t| t.platform() == platform && t.has_ours(ruleset));
    targets.map(|t| t.spec().name).collect()
}

/// What is to be said of a host as it is (or will be) for a policy, with what was verified of it.
pub fn findings(policy: &Policy, platform: Platform, ruleset: &Ruleset, verified: &[Verified]) -> Vec<Finding> {
    let mut out = Vec::new();
    let asked = answers(policy, ruleset);
    for v in verified {
        let answer = asked.iter().find(|a| a.asked == v.asked);
        let rule = |set: &AddrSet, wanted: fn(&Outcome) -> bool| answer.and_then(|a| deciding(ruleset, a, set, wanted));
        if !v.missing.is_empty() {
            let rule = rule(&v.missing, |o| matches!(o.verdict, Verdict::Refuse(_)));
            let help = match rule {
                Some(_) => "let the port through in that rule, or take it away",
                None => "no rule lets them in, and the policy of a chain refuses: let the port through there",
            };
            out.push(Finding {
                code: "missing",
                severity: Severity::Error,
                message: format!("{}: trusted, but refused: {}", place(&v.asked), v.missing.brief(3)),
                rule,
                help: Some(help.to_owned()),
            });
        }
        let published = v.asked.path == Path::Forwarded && policy.forwarded == Forwarded::No;
        if published && answer.is_some_and(|a| a.accesses.iter().any(|x| !x.reachable().is_empty())) {
            out.push(Finding {
                code: "published-unguarded",
                severity: Severity::Error,
                message: format!(
                    "{}: a rule sends the port to another address, past what the profile guards",
                    place(&v.asked)
                ),
                rule: answer.and_then(|a| sending(ruleset, a)),
                help: Some("write `forwarded = true` under `[service]`".to_owned()),
            });
        }
        if !v.excess.is_empty() {
            out.push(Finding {
                code: "excess",
                severity: Severity::Error,
                message: format!("{}: not trusted, but reachable: {}", place(&v.asked), v.excess.brief(3)),
                rule: rule(&v.excess, |o| matches!(o.verdict, Verdict::Accept | Verdict::Limit { .. })),
                help: None,
            });
        }
        for unknown in &v.unknown {
            out.push(Finding {
                code: "unknown",
                severity: Severity::Warning,
                message: format!(
                    "{}: cannot be told for {}: {}",
                    place(&v.asked),
                    unknown.sources.0.brief(3),
                    unknown.because
                ),
                rule: unknown.rule.clone(),
                help: None,
            });
        }
    }
    out.extend(of_host(platform, ruleset));
    if policy.has_limits() {
        let notrack = ruleset.chains.iter().flat_map(|c| &c.rules).find(|r| r.then == Then::Change(Change::NoTrack));
        out.extend(notrack.map(|rule| Finding {
            code: "untracked",
            severity: Severity::Warning,
            message: "a rule exempts connections from tracking; those are not counted by limits".to_owned(),
            rule: ruleset.origin_of(rule.origin).map(ToString::to_string),
            help: None,
        }));
    }
    out
}

/// What is to be said of a host whatever the policy.
pub fn of_host(platform: Platform, ruleset: &Ruleset) -> Vec<Finding> {
    let mut out = Vec::new();
    let holders = holders(platform, ruleset);
    if holders.len() > 1 {
        out.push(Finding {
            code: "two-targets",
            severity: Severity::Warning,
            message: format!("objects of harden993 are loaded in {}; all of them count", holders.join(" and ")),
            rule: None,
            help: Some("run `harden993 remove --target NAME` for the one that is not wanted".to_owned()),
        });
    }
    out.extend(ruleset.remarks.iter().map(|remark| Finding {
        code: "remark",
        severity: Severity::Note,
        message: remark.clone(),
        rule: None,
        help: None,
    }));
    out
}

/// What is to be said to whoever is connected from an address and would lose it by a change.
pub fn caller(ip: IpAddr, port: u16, loses: bool) -> Option<Finding> {
    loses.then(|| Finding {
        code: "caller",
        severity: Severity::Warning,
        message: format!("you are connected from {ip}, which can open no new connection to port {port} afterwards"),
        rule: None,
        help: Some("use `--confirm SECONDS`, so that the old rules come back by themselves".to_owned()),
    })
}

fn answers(policy: &Policy, ruleset: &Ruleset) -> Vec<Answer> {
    ask(&[ruleset], &Scope::of_policy(policy))
}

/// The rule that sends what is asked about to another address.
fn sending(ruleset: &Ruleset, answer: &Answer) -> Option<String> {
    let (_, rewrites) = Evaluator::new(ruleset).ask_with_rewrites(&answer.question);
    let sends =
        |then: &Then| rewrites.iter().any(|(r, _)| r.to.is_some() && matches!(then, Then::Rewrite(to) if **to == *r));
    let rule = ruleset.chains.iter().flat_map(|c| &c.rules).find(|r| sends(&r.then))?;
    ruleset.origin_of(rule.origin).map(ToString::to_string)
}

/// The rule that decides for the first of some sources.
fn deciding(ruleset: &Ruleset, answer: &Answer, set: &AddrSet, wanted: fn(&Outcome) -> bool) -> Option<String> {
    let first = set.v4.spans().first().map(|s| s.first.ip());
    let ip = first.or_else(|| set.v6.spans().first().map(|s| s.first.ip()))?;
    let evaluation = Evaluator::new(ruleset).trace(&answer.question);
    let outcome = evaluation.access.at(ip);
    let by = outcome.by.filter(|_| wanted(outcome))?;
    ruleset.origin_of(by).map(ToString::to_string)
}

/// How a message names a question.
fn place(asked: &Asked) -> String {
    let forwarded = if asked.path == Path::Forwarded { " (forwarded)" } else { "" };
    let by = asked.interface.as_ref().map(|i| format!(" by {i}")).unwrap_or_default();
    let to = asked.to.as_ref().map(|t| format!(" to {}", t.join(", "))).unwrap_or_default();
    format!("port {}{forwarded}{by}{to}", asked.port)
}
