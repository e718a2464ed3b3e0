//! The JSON that the capture script prints of a host: every inbound rule of the active store, and the network profiles.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::access::{Pattern, Refuse};
use crate::ruleset::{Match, Origin, Ports, Rule, Ruleset, Then};
use crate::target::ReadError;

use super::address::{self, List};
use super::lower::{NetworkProfile, Selected, lower};
use super::read::{digest, source};
use super::{Action, GROUP, render as rendered};

/// The version of the format.
const SCHEMA: u64 = 1;

/// Whether a text looks like a capture.
pub(super) fn recognises(text: &str) -> bool {
    text.trim_start().starts_with('{') && text.contains("\"policy_store\"")
}

/// The whole capture.
#[derive(Deserialize)]
struct Capture {
    schema: u64,
    policy_store: String,
    /// The ports to which the rules were narrowed; none: all rules are here.
    #[serde(default)]
    ports: Option<Vec<u16>>,
    profiles: Vec<ProfileEntry>,
    rules: Vec<RuleEntry>,
}

/// A network profile, with the cmdlets' words: True, False, `NotConfigured`, Allow, Block.
#[derive(Deserialize)]
struct ProfileEntry {
    name: String,
    #[serde(default)]
    enabled: Words,
    #[serde(default)]
    default_inbound: Words,
    #[serde(default)]
    inbound_rules: Words,
    #[serde(default)]
    local_rules: Words,
    #[serde(default)]
    disabled_interfaces: Words,
}

/// A rule with its filters, in the cmdlets' words. What is absent is Any.
#[derive(Deserialize)]
struct RuleEntry {
    name: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    group: Option<String>,
    enabled: Words,
    action: Words,
    #[serde(default)]
    direction: Words,
    #[serde(default)]
    profile: Words,
    #[serde(default)]
    protocol: Words,
    #[serde(default)]
    local_port: Words,
    #[serde(default)]
    remote_port: Words,
    #[serde(default)]
    dynamic_target: Words,
    #[serde(default)]
    local_address: Words,
    #[serde(default)]
    remote_address: Words,
    #[serde(default)]
    dynamic_keywords: Words,
    #[serde(default)]
    program: Words,
    #[serde(default)]
    package: Words,
    #[serde(default)]
    service: Words,
    #[serde(default)]
    interface: Words,
    #[serde(default)]
    interface_type: Words,
    #[serde(default)]
    authentication: Words,
    #[serde(default)]
    override_block: Words,
    #[serde(default)]
    local_user: Words,
    #[serde(default)]
    remote_user: Words,
    #[serde(default)]
    remote_machine: Words,
    #[serde(default)]
    owner: Words,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    source_type: Words,
    #[serde(default)]
    enforcement: Words,
    #[serde(default)]
    status: Words,
}

/// One or several words. PowerShell makes a text of a list with one element, and a number or truth value of some enums.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Words(Vec<String>);

impl Words {
    /// Whether it is one word, whatever its case.
    fn is(&self, word: &str) -> bool {
        matches!(&self.0[..], [one] if one.eq_ignore_ascii_case(word))
    }

    /// Whether nothing is narrowed: no word, or one that says so.
    fn is_any(&self) -> bool {
        self.0.iter().all(|w| w.is_empty() || w.eq_ignore_ascii_case("any"))
    }

    /// The words, separated by commas.
    fn joined(&self) -> String {
        self.0.join(", ")
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWords;
        impl<'de> Visitor<'de> for AsWords {
            type Value = Words;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E>(self, v: &str) -> Result<Words, E> {
                Ok(Words(vec![v.to_owned()]))
            }
            fn visit_bool<E>(self, v: bool) -> Result<Words, E> {
                Ok(Words(vec![if v { "True" } else { "False" }.to_owned()]))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Words, E> {
                Ok(Words(vec![v.to_string()]))
            }
            fn visit_unit<E>(self) -> Result<Words, E> {
                Ok(Words::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Words, A::Error> {
                let mut out = Vec::new();
                while let Some(Words(words)) = seq.next_element()? {
                    out.extend(words);
                }
                Ok(Words(out))
            }
        }
        deserializer.deserialize_any(AsWords)
    }
}

/// The object itself.
fn parse(text: &str) -> Result<Capture, ReadError> {
    let capture: Capture = serde_json::from_str(text).map_err(|e| {
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        ReadError {
            line: (e.line() as u32).max(1),
            column: e.column() as u32,
            message: format!("this is no capture of a Windows host: {message}"),
        }
    })?;
    if capture.schema != SCHEMA {
        let message = format!("the capture has the schema {}; this version reads {SCHEMA}", capture.schema);
        return Err(ReadError::line(1, message));
    }
    Ok(capture)
}

/// Reads a capture.
///
/// # Errors
/// A text that is cut off, that is no such object, or that is of another version.
pub(super) fn read(text: &str) -> Result<Ruleset, ReadError> {
    let capture = parse(text)?;
    let mut remarks = Vec::new();
    if !capture.policy_store.eq_ignore_ascii_case("ActiveStore") {
        remarks.push(format!(
            "the capture is of the store {}; only the active store says which rules are in force",
            capture.policy_store
        ));
    }
    let profiles: Vec<NetworkProfile> = capture.profiles.iter().map(profile).collect();
    if profiles.is_empty() {
        return Err(ReadError::line(1, "the capture has no network profile, so nothing says what happens by default"));
    }
    let rules = capture.rules.iter().filter_map(|r| rule(r, &mut remarks)).collect();
    let mut ruleset = lower(&profiles, rules, false);
    if let Some(ports) = &capture.ports {
        only(&mut ruleset, ports);
    }
    let ours = capture.rules.iter().filter(|r| is_ours(r));
    ruleset.digest = digest(ours.filter_map(|r| r.description.as_deref()));
    ruleset.remarks = remarks;
    Ok(ruleset)
}

/// Says of all other ports that the capture does not know their rules.
fn only(ruleset: &mut Ruleset, ports: &[u16]) {
    let because = "the capture was made for other ports".to_owned();
    let origin = ruleset.origin(Origin { place: "capture".into(), text: because.clone(), ..Origin::default() });
    let matches = vec![Match::Port(Ports(ports.iter().map(|p| (*p, *p)).collect())).negate()];
    let rule = Rule { matches, log: None, then: Then::Unknown(because), origin };
    if let Some(chain) = ruleset.stages.first().and_then(|s| ruleset.chains.get_mut(s.chain.0 as usize)) {
        // After the first rule, which is about loopback.
        chain.rules.insert(chain.rules.len().min(1), rule);
    }
}

fn profile(entry: &ProfileEntry) -> NetworkProfile {
    NetworkProfile {
        name: entry.name.clone(),
        filters: !entry.enabled.is("False"),
        ignores_rules: entry.inbound_rules.is("False"),
        ignores_local: entry.local_rules.is("False"),
        undecided: Vec::new(),
        default: if entry.default_inbound.is("Allow") { Then::Accept } else { Then::Refuse(Refuse::Drop) },
        unfiltered: entry
            .disabled_interfaces
            .0
            .iter()
            .filter(|a| !a.is_empty() && *a != "NotConfigured")
            .map(Pattern::name)
            .collect(),
    }
}

fn is_ours(entry: &RuleEntry) -> bool {
    entry.group.as_deref() == Some(GROUP)
}

/// How Windows says that a stored rule is not in force (`FW_ENFORCEMENT_STATE`, MS-FASP 2.2.27): as a word, which differs
/// among versions, or as a number.
fn in_force(entry: &RuleEntry) -> Result<(), &str> {
    for word in &entry.enforcement.0 {
        let lower = word.to_ascii_lowercase().replace('_', "");
        if lower.contains("disallowed") || ["14", "15", "16"].contains(&&*lower) {
            return Err("group policy keeps local rules from being in force");
        }
        if lower.contains("platform") || lower == "18" {
            return Err("it is for another version of Windows");
        }
    }
    if entry.status.is("Error") {
        return Err("Windows could not make sense of it");
    }
    Ok(())
}

/// A rule that is in force for inbound TCP; none for the others.
fn rule(entry: &RuleEntry, remarks: &mut Vec<String>) -> Option<Selected> {
    let tcp = entry.protocol.is_any() || entry.protocol.is("TCP") || entry.protocol.is("6");
    let outbound = entry.direction.is("Outbound") || entry.direction.is("2");
    let enabled = entry.enabled.is("True") || entry.enabled.is("1");
    if !tcp || outbound || !enabled {
        return None;
    }
    if let Err(because) = in_force(entry) {
        remarks.push(format!("the rule {} is stored and not in force: {because}", shown(entry)));
        return None;
    }
    let mut scope = Vec::new();
    let action = action(entry, &mut scope)?;
    scope.extend(ports(&entry.local_port).map(Match::Port));
    scope.extend(ports(&entry.remote_port).map(Match::SourcePort));
    keyword_ports(&entry.local_port, Match::Port, &mut scope);
    keyword_ports(&entry.remote_port, Match::SourcePort, &mut scope);
    if !entry.local_address.is_any() {
        let list = address::read_list(entry.local_address.0.iter().map(String::as_str));
        let known = Match::Destination(std::sync::Arc::new(list.known));
        scope.push(any_of(known, list.unknown));
    }
    interfaces(&entry.interface, &mut scope);
    for (words, what) in [
        (&entry.program, "the program"),
        (&entry.package, "the package"),
        (&entry.service, "the service"),
        (&entry.interface_type, "interfaces of the type"),
        (&entry.local_user, "the local user"),
        (&entry.remote_user, "the remote user"),
        (&entry.remote_machine, "the remote machine"),
        (&entry.owner, "the owner"),
        (&entry.dynamic_target, "the target"),
    ] {
        if !words.is_any() {
            scope.push(Match::Unknown(format!("it applies only to {what} {}", words.joined())));
        }
    }
    if !(entry.authentication.is_any() || entry.authentication.is("NotRequired")) {
        scope.push(Match::Unknown("it applies only to peers that IPsec has authenticated".to_owned()));
    }
    let source_type = &entry.source_type;
    Some(Selected {
        action,
        ours: is_ours(entry),
        local: source_type.is_any() || source_type.is("Local") || source_type.is("1"),
        profiles: profiles(&entry.profile),
        scope,
        source: source(remote(entry)),
        origin: Origin {
            place: match &entry.group {
                Some(group) if is_ours(entry) => format!("group {group}"),
                _ => entry.source.clone().unwrap_or_else(|| "local rules".to_owned()),
            }
            .into(),
            text: shown(entry),
            ..Origin::default()
        },
    })
}

fn shown(entry: &RuleEntry) -> String {
    if entry.display_name.is_empty() { entry.name.clone() } else { format!("{} ({})", entry.display_name, entry.name) }
}

/// What a rule does; none for an action that is not configured.
fn action(entry: &RuleEntry, scope: &mut Vec<Match>) -> Option<Action> {
    let pierces = entry.override_block.is("True") || entry.action.is("AllowBypass") || entry.action.is("3");
    if pierces {
        scope.push(Match::Unknown("it lets in peers that IPsec has authenticated, whatever blocks them".to_owned()));
        return Some(Action::Bypass);
    }
    if entry.action.is("Allow") || entry.action.is("2") {
        Some(Action::Allow)
    } else if entry.action.is("Block") || entry.action.is("4") {
        Some(Action::Block)
    } else {
        None
    }
}

/// The network profiles that a rule names; none: all, also those to come.
fn profiles(words: &Words) -> Option<Vec<String>> {
    let names: Vec<String> =
        words.0.iter().flat_map(|w| w.split(',')).map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect();
    let any = names.iter().any(|n| ["any", "0", "all"].contains(&&*n.to_ascii_lowercase()));
    (!any && !names.is_empty()).then_some(names)
}

/// The ports of a list that are numbers and ranges; none: every port, or none that is a number.
fn ports(words: &Words) -> Option<Ports> {
    if words.is_any() || words.0.iter().any(|w| parse_port(w).is_none()) {
        return None;
    }
    Some(Ports(words.0.iter().filter_map(|w| parse_port(w)).collect()))
}

/// `993`, `5000-5020`, or a keyword whose port is fixed.
fn parse_port(word: &str) -> Option<(u16, u16)> {
    if word.eq_ignore_ascii_case("RPCEPMap") {
        return Some((135, 135));
    }
    match word.split_once('-') {
        Some((a, b)) => Some((a.trim().parse().ok()?, b.trim().parse().ok()?)),
        None => word.trim().parse().ok().map(|p| (p, p)),
    }
}

/// A list with keywords such as `RPC`: which ports they are is known on the host alone.
fn keyword_ports(words: &Words, test: fn(Ports) -> Match, scope: &mut Vec<Match>) {
    if words.is_any() {
        return;
    }
    if let Some(word) = words.0.iter().find(|w| parse_port(w).is_none()) {
        let known = Ports(words.0.iter().filter_map(|w| parse_port(w)).collect());
        scope.push(any_of(test(known), vec![format!("it depends on the ports that {word} stands for")]));
    }
}

/// Aliases; one that is a pattern is resolved by Windows.
fn interfaces(words: &Words, scope: &mut Vec<Match>) {
    if words.is_any() {
        return;
    }
    let pattern = words.0.iter().find(|w| w.contains(['*', '?', '[', ']']));
    scope.push(match pattern {
        Some(alias) => Match::Unknown(format!("it applies only to interfaces that fit {alias}")),
        None => Match::Interface(words.0.iter().map(Pattern::name).collect()),
    });
}

/// The remote addresses.
fn remote(entry: &RuleEntry) -> List {
    let mut list = address::read_list(entry.remote_address.0.iter().map(String::as_str));
    if !entry.dynamic_keywords.is_any() {
        list.any = false;
        list.unknown.push("it depends on dynamic keyword addresses".to_owned());
    }
    list
}

fn any_of(known: Match, unknown: Vec<String>) -> Match {
    if unknown.is_empty() {
        return known;
    }
    Match::Any(std::iter::once(known).chain(unknown.into_iter().map(Match::Unknown)).collect())
}

/// Our own rules as the script can make them again.
pub(super) struct Ours {
    /// The rules.
    pub(super) rules: Vec<rendered::Rule>,
    /// The interfaces of all of them.
    pub(super) interfaces: Vec<String>,
    /// The digest of the policy that they say they are.
    pub(super) digest: Option<String>,
}

/// Our own rules of a capture, in the order in which the script creates them.
///
/// # Errors
/// What [`read`] does not take, and a rule of ours that tests what we never test: somebody changed it.
pub(super) fn ours(text: &str) -> Result<Ours, ReadError> {
    let capture = parse(text)?;
    let mut ours: Vec<&RuleEntry> = capture.rules.iter().filter(|r| is_ours(r)).collect();
    ours.sort_by_key(|r| (!r.enabled.is("True"), !r.action.is("Allow")));
    let interfaces = ours.first().map_or_else(Words::default, |r| r.interface.clone());
    let rules: Option<Vec<rendered::Rule>> =
        ours.iter().map(|r| (r.interface == interfaces).then(|| plain(r)).flatten()).collect();
    let message = "a rule of the group harden993 was changed by somebody, so it could not be put back as it is";
    Ok(Ours {
        rules: rules.ok_or_else(|| ReadError::line(1, message))?,
        interfaces: if interfaces.is_any() { Vec::new() } else { interfaces.0 },
        digest: digest(ours.iter().filter_map(|r| r.description.as_deref())),
    })
}

/// A rule that tests nothing but TCP, ports, interfaces and known addresses.
fn plain(entry: &RuleEntry) -> Option<rendered::Rule> {
    let mut scope = Vec::new();
    let list = remote(entry);
    let narrowed = [
        &entry.remote_port,
        &entry.dynamic_target,
        &entry.local_address,
        &entry.program,
        &entry.package,
        &entry.service,
        &entry.interface_type,
        &entry.local_user,
        &entry.remote_user,
        &entry.remote_machine,
        &entry.owner,
    ];
    let authenticated = !(entry.authentication.is_any() || entry.authentication.is("NotRequired"));
    if narrowed.iter().any(|w| !w.is_any())
        || authenticated
        || profiles(&entry.profile).is_some()
        || !(entry.protocol.is("TCP") || entry.protocol.is("6"))
        || !list.unknown.is_empty()
    {
        return None;
    }
    Some(rendered::Rule {
        name: entry.name.clone(),
        display_name: entry.display_name.clone(),
        description: entry.description.clone().unwrap_or_default(),
        enabled: entry.enabled.is("True"),
        action: action(entry, &mut scope).filter(|a| *a != Action::Bypass)?,
        ports: entry.local_port.0.iter().map(|w| w.parse().ok()).collect::<Option<Vec<u16>>>()?,
        addresses: match (list.any, list.known.v4.is_empty(), list.known.v6.is_empty()) {
            (true, _, _) => rendered::ANY.to_owned(),
            (_, false, true) => rendered::addresses(list.known.v4.spans()),
            (_, true, false) => rendered::addresses(list.known.v6.spans()),
            _ => return None,
        },
    })
}
