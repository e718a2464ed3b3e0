//! A policy as the rules of a Windows Firewall: Allow rules for who is trusted, Block rules for everybody else.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tera::Value;

use crate::access::Pattern;
use crate::net::{Addr, Ranges, Span};
use crate::policy::Policy;
use crate::target::{File, Job, RenderError, VERSION};

use super::address::{self, Nameable};
use super::chunk::chunks;
use super::literal::{list, literal};
use super::{Action, script};

/// The name of the rendered file.
const FILE: &str = "harden993.ps1";

/// What stands before the addresses on a line.
const INDENT: &str = "            ";

/// The list that is every address.
pub(super) const ANY: &str = "            'Any'";

/// From this length on no address is added to a line.
const WIDTH: usize = 70;

/// One rule, as the script's data has it.
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) description: String,
    pub(super) enabled: bool,
    pub(super) action: Action,
    pub(super) ports: Vec<u16>,
    /// The entries as literals, separated by commas, over several lines.
    pub(super) addresses: String,
}

/// The script of a policy.
pub(super) fn render(job: &Job<'_>) -> Result<Vec<File>, RenderError> {
    let interfaces: Vec<&str> = job.policy.interfaces.iter().map(Pattern::text).collect();
    let content = fill(job.name, &job.digest.to_string(), job.deviations, &interfaces, rules(job))?;
    Ok(vec![File { name: FILE.to_owned(), content }])
}

/// The script that brings a host to these rules.
pub(super) fn fill(
    name: &str,
    digest: &str,
    deviations: &[String],
    interfaces: &[&str],
    rules: Vec<Rule>,
) -> Result<String, RenderError> {
    let values = BTreeMap::from([
        ("version", Value::from(VERSION)),
        ("name", name.into()),
        ("digest", digest.into()),
        ("deviations", deviations.to_vec().into()),
        ("name_literal", literal(name).into()),
        ("digest_literal", literal(digest).into()),
        ("interfaces_literal", list(interfaces.iter().copied()).into()),
        ("rules", rules.into_iter().map(to_value).collect::<Vec<_>>().into()),
    ]);
    Ok(script::TEMPLATE.fill(values)?.replace('\n', "\r\n"))
}

fn to_value(rule: Rule) -> Value {
    let ports: Vec<String> = rule.ports.iter().map(u16::to_string).collect();
    let fields = [
        ("name", literal(&rule.name)),
        ("display_name", literal(&rule.display_name)),
        ("description", literal(&rule.description)),
        ("enabled", literal(if rule.enabled { "True" } else { "False" })),
        ("action", literal(rule.action.word())),
        ("ports", list(ports.iter().map(String::as_str))),
        ("addresses", rule.addresses),
    ];
    let map: tera::Map = fields.into_iter().map(|(k, v)| (k.into(), Value::from(v))).collect();
    Value::from(map)
}

/// Every rule, in the order in which the script creates them: first what allows, then what blocks, last the rule that
/// names the policy.
fn rules(job: &Job<'_>) -> Vec<Rule> {
    let policy = job.policy;
    let trusted = policy.trusted();
    let mut out = Vec::new();
    let ports = &policy.ports;
    family::<u32>(job, Action::Allow, ports, &trusted.v4, &mut out);
    family::<u128>(job, Action::Allow, ports, &trusted.v6, &mut out);
    family::<u32>(job, Action::Block, ports, &trusted.v4.complement(), &mut out);
    family::<u128>(job, Action::Block, ports, &trusted.v6.complement(), &mut out);
    if policy.close_plaintext {
        let name = name(job, Action::Block, "any", &[IMAP], "Any");
        out.push(rule(job, Action::Block, "all", &[IMAP], name, ANY.to_owned()));
    }
    out.push(marker(job));
    out
}

/// The port of plaintext IMAP (RFC 3501).
const IMAP: u16 = 143;

/// The rules of one action and family.
fn family<A: Nameable>(job: &Job<'_>, action: Action, ports: &[u16], set: &Ranges<A>, out: &mut Vec<Rule>) {
    let set = set.intersect(&A::nameable());
    let (kind, shown) = if A::BITS == 32 { ("v4", "IPv4") } else { ("v6", "IPv6") };
    for chunk in chunks(set.spans()) {
        let addresses = addresses(chunk);
        let name = name(job, action, kind, ports, &addresses);
        out.push(rule(job, action, shown, ports, name, addresses));
    }
}

fn rule(job: &Job<'_>, action: Action, of: &str, ports: &[u16], name: String, addresses: String) -> Rule {
    let verb = if action == Action::Allow { "allow" } else { "block" };
    let shown: Vec<String> = ports.iter().map(u16::to_string).collect();
    Rule {
        display_name: format!("harden993 {} {verb} {of} ({})", job.name, shown.join(", ")),
        description: format!("Made by harden993 from the profile {}. Edit the profile, not the rule.", job.name),
        name,
        enabled: true,
        action,
        ports: ports.to_vec(),
        addresses,
    }
}

/// A rule that does nothing (it is disabled, and loopback traffic is never filtered) and says which policy is loaded. It is
/// one rule of its own, so that a new policy does not touch the rules that stay the same.
fn marker(job: &Job<'_>) -> Rule {
    let digest = job.digest.to_string();
    Rule {
        name: format!("harden993-{}-policy-{}", job.name, &digest[..16]),
        display_name: format!("harden993 {} policy (does nothing)", job.name),
        description: format!("{POLICY}{digest}"),
        enabled: false,
        action: Action::Block,
        ports: job.policy.ports.clone(),
        addresses: "            '127.0.0.1'".to_owned(),
    }
}

/// What the digest follows in the description of the rule that names the policy.
pub(super) const POLICY: &str = "harden993 policy ";

/// The name of a rule, which its content decides: a rule that has the name has the content, or was changed by somebody.
fn name(job: &Job<'_>, action: Action, kind: &str, ports: &[u16], addresses: &str) -> String {
    let mut hash = Sha256::new();
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    hash.update(ports.join(","));
    for interface in &job.policy.interfaces {
        hash.update([0]);
        hash.update(interface.text());
    }
    hash.update([0, 0]);
    hash.update(addresses);
    let hash = hash.finalize();
    // 64 bits: with 32, two of a few thousand rules would have one name in every few hundred profiles.
    let (bits, _) = hash.split_at(8);
    let hex = bits.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    format!("harden993-{}-{}-{kind}-{hex:016x}", job.name, action.word().to_ascii_lowercase())
}

/// The entries of a rule as literals, several a line.
pub(super) fn addresses<A: Addr>(spans: &[Span<A>]) -> String {
    let mut out = String::with_capacity(spans.len() * 32);
    let mut line = 0;
    for (i, span) in spans.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if i == 0 || out.len() - line > WIDTH {
            if i > 0 {
                out.push('\n');
            }
            line = out.len();
            out.push_str(INDENT);
        } else {
            out.push(' ');
        }
        out.push('\'');
        address::write(*span, &mut out);
        out.push('\'');
    }
    out
}

/// What is done otherwise than the decision table says, in fixed words.
pub(super) fn deviations(policy: &Policy) -> Vec<String> {
    let mut out = vec![
        "Windows asks its rules about every packet, so the open connections of a source end when it is no longer trusted"
            .to_owned(),
    ];
    if !policy.interfaces.is_empty() {
        out.push("interfaces are matched by the alias that they have when the rules are created".to_owned());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Draft, TargetSettings};

    #[test]
    fn the_template_uses_what_it_is_given() {
        let used = script::TEMPLATE.variables();
        let mut given = [
            "version",
            "name",
            "digest",
            "deviations",
            "name_literal",
            "digest_literal",
            "interfaces_literal",
            "rules",
        ];
        given.sort_unstable();
        assert_eq!(used, given);
    }

    #[test]
    fn names_follow_the_content() {
        let render = |draft: Draft| {
            let policy = draft.lower();
            let settings = TargetSettings::default();
            let (digest, deviations) = (policy.digest(), []);
            let job =
                Job { policy: &policy, digest, name: "m", settings: &settings, deviations: &deviations, family: None };
            rules(&job).into_iter().map(|r| r.name).collect::<Vec<_>>()
        };
        let plain = render(Draft::default());
        assert_eq!(plain.len(), 3, "two Blocks over everything, and the rule that names the policy");
        // Another log is another policy and the same rules.
        let quiet = render(Draft { log: None, ..Draft::default() });
        assert_eq!(plain[..2], quiet[..2]);
        assert_ne!(plain[2], quiet[2]);
        let ports = render(Draft { ports: vec![993, 995], ..Draft::default() });
        assert!(plain.iter().all(|n| !ports.contains(n)));
        for name in plain {
            assert!(name.starts_with("harden993-m-") && name.len() < 128, "{name}");
        }
    }
}
