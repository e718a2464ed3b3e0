//! A policy as the values that the templates of our chains show.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use tera::Value;

use crate::access::{Pattern, Refuse};
use crate::net::{Addr, Cuts, Family};
use crate::policy::{Class, ClassId, Forwarded, Limit, Policy};
use crate::target::template::Template;
use crate::target::{File, Job, RenderError, VERSION};

use super::rates;
use super::tree::{Chains, Entry, List, push_base32};

/// The loader of both families.
pub(super) const LOADER: &str = "harden993-iptables.sh";

/// The start of the comment that carries the policy's digest in the loaded rules.
pub(super) const DIGEST: &str = "harden993-";

const CHAINS: Template = Template {
    path: "iptables/chains.rules.tera",
    text: include_str!("../../../templates/iptables/chains.rules.tera"),
};

const SCRIPT: Template =
    Template { path: "iptables/loader.sh.tera", text: include_str!("../../../templates/iptables/loader.sh.tera") };

/// The chain name that a kernel table has room for (`XT_EXTENSION_MAXNAMELEN`).
const NAME: usize = 28;

/// The hash table of a meter: its buckets, and the sources after which new ones are dropped. Only trusted sources enter it.
const METER_TABLE: &str = "--hashlimit-htable-size 32768 --hashlimit-htable-max 524288";

/// The files of a policy: the loader of both families, or the input of `iptables-restore` for the one that is asked for.
pub(super) fn files(job: &Job<'_>) -> Result<Vec<File>, RenderError> {
    let content = if let Some(family) = job.family {
        (file_of(family).to_owned(), chains(job, family, &family_head(job, family))?)
    } else {
        (LOADER.to_owned(), SCRIPT.fill(script_values(job)?)?)
    };
    Ok(vec![File { name: content.0, content: content.1 }])
}

fn file_of(family: Family) -> &'static str {
    match family {
        Family::V4 => "harden993.ipv4.rules",
        Family::V6 => "harden993.ipv6.rules",
    }
}

fn script_values(job: &Job<'_>) -> Result<BTreeMap<&'static str, Value>, RenderError> {
    Ok(BTreeMap::from([
        ("head", head(job).into()),
        ("file", LOADER.into()),
        ("forwarded", (job.policy.forwarded != Forwarded::No).into()),
        ("ipv4", chains(job, Family::V4, "")?.into()),
        ("ipv6", chains(job, Family::V6, "")?.into()),
    ]))
}

/// What every output says first. Nothing of the profile is in it but the name and the digest.
fn head(job: &Job<'_>) -> String {
    let ports: Vec<String> = job.policy.ports.iter().map(u16::to_string).collect();
    let mut out = format!(
        "# harden993 {VERSION}: who may reach TCP {}, from the profile \"{}\".\n# Policy {}\n",
        ports.join(", "),
        job.name,
        job.digest
    );
    for deviation in job.deviations {
        comment(&format!("Otherwise than asked: {deviation}."), &mut out);
    }
    out
}

fn family_head(job: &Job<'_>, family: Family) -> String {
    let (word, tool) = match family {
        Family::V4 => ("ipv4", "iptables"),
        Family::V6 => ("ipv6", "ip6tables"),
    };
    let jump =
        |chain: &str, to: &str| format!("#   {tool} -C {chain} -p tcp -j {to} || {tool} -I {chain} 1 -p tcp -j {to}\n");
    let mut out = head(job);
    out.extend([super::read::FAMILY, word, "\n#\n"]);
    let _ = writeln!(out, "# Load by hand, as root:\n#   {tool}-restore --noflush < {}", file_of(family));
    out.push_str(&jump("INPUT", "H993-IN"));
    if job.policy.forwarded != Forwarded::No {
        out.push_str("# and in FORWARD, or in DOCKER-USER where Docker is:\n");
        out.push_str(&jump("FORWARD", "H993-FWD"));
    }
    out
}

/// Appends a comment in lines of a readable length (iptables-restore takes what follows 10,239 bytes of a line for a new
/// line), with nothing in it that is not printable ASCII.
fn comment(text: &str, out: &mut String) {
    let mut width = 0;
    for word in text.split_ascii_whitespace() {
        let word: String = word.chars().filter(char::is_ascii_graphic).take(200).collect();
        if width == 0 || width + word.len() > 118 {
            out.push_str(if width == 0 { "#" } else { "\n#  " });
            width = 3;
        }
        out.extend([" ", &word]);
        width += word.len() + 1;
    }
    out.push('\n');
}

/// The chains of one family as the input of `iptables-restore --noflush`, spelled as `iptables-save` prints them back.
fn chains(job: &Job<'_>, family: Family, head: &str) -> Result<String, RenderError> {
    CHAINS.fill(match family {
        Family::V4 => values::<u32>(job, head, |p| &p.v4)?,
        Family::V6 => values::<u128>(job, head, |p| &p.v6)?,
    })
}

fn values<A: Addr>(
    job: &Job<'_>,
    head: &str,
    cuts: impl Fn(&crate::policy::Partition) -> &Cuts<A, ClassId>,
) -> Result<BTreeMap<&'static str, Value>, RenderError> {
    let policy = job.policy;
    let take = super::take(job.settings);
    let mut trees = Chains::default();
    // A block holds whatever the interface, so every zone says the same.
    let everywhere = policy.zones.last().map(|z| cuts(&z.partition));
    let blocked = everywhere.map(|c| entries(c, |class| (class == Policy::BLOCKED).then_some(0))).unwrap_or_default();
    let blocked_rules = trees.add(&List {
        id: "blocked",
        root: "H993-BLOCKED",
        entries: &blocked,
        actions: &["-g H993-BLOCK".to_owned()],
        miss: None,
    })?;
    // What becomes of each class, by its number.
    let actions: Vec<String> = policy
        .classes
        .iter()
        .map(|class| match class {
            Class::Trusted(Some(limit)) => format!("-g {}", limit_chain(*limit)),
            _ => format!("-j {take}"),
        })
        .collect();
    let trusted = |class: ClassId| matches!(policy.class(class), Class::Trusted(_)).then_some(usize::from(class.0));
    let (mut vias, mut via_chains, mut trusted_rules) = (Vec::new(), Vec::new(), String::new());
    let mut used = vec![false; policy.classes.len()];
    for (number, zone) in policy.zones.iter().enumerate() {
        // Blocked sources do not come here.
        let entries = entries(&cuts(&zone.partition).bridged(Policy::BLOCKED), trusted);
        for entry in &entries {
            used[entry.action] = true;
        }
        let names: Vec<String> = zone.patterns.iter().map(Pattern::to_string).collect();
        let (id, chain) = match names[..] {
            [] => ("trusted".to_owned(), "H993-TRUSTED".to_owned()),
            _ => (format!("via {}", names.join(" ")), format!("H993-VIA-{}", number + 1)),
        };
        let list = List { id: &id, root: &chain, entries: &entries, actions: &actions, miss: Some("-g H993-REST") };
        let rules = trees.add(&list)?;
        if names.is_empty() {
            trusted_rules = rules;
            continue;
        }
        vias.extend(
            zone.patterns.iter().map(|p| record([("iif", interface(p).into()), ("chain", chain.as_str().into())])),
        );
        via_chains.push((chain, rules));
    }
    via_chains.sort();
    let mut limits: Vec<Limit> = policy
        .trusted_classes()
        .filter(|(class, _)| used[usize::from(class.0)])
        .filter_map(|(_, limit)| limit)
        .collect();
    limits.sort_by_key(|l| limit_chain(*l));
    let prefix = if A::FAMILY == Family::V4 { policy.ipv4_prefix } else { policy.ipv6_prefix };
    let limits = limits.into_iter().map(|l| limit_value::<A>(l, prefix)).collect::<Result<Vec<_>, _>>()?;
    let routed = match &policy.forwarded {
        Forwarded::Routed(nets) => nets.ranges::<A>().prefixes().map(destination).collect(),
        _ => Vec::new(),
    };
    let interfaces: Vec<Value> = match &policy.interfaces[..] {
        [] => vec!["".into()],
        patterns => patterns.iter().map(|p| interface(p).into()).collect(),
    };
    let ports: Vec<String> = policy.ports.iter().map(u16::to_string).collect();
    let (tree_chains, tree_rules) = trees.finish();
    Ok(BTreeMap::from([
        ("head", head.into()),
        ("take", take.into()),
        ("digest", job.digest.to_string().into()),
        ("ports", ports.join(",").into()),
        ("port_list", ports.into_iter().map(Value::from).collect::<Vec<_>>().into()),
        ("plaintext", policy.close_plaintext.into()),
        ("interfaces", interfaces.into()),
        ("forwarded", (policy.forwarded != Forwarded::No).into()),
        ("routed", routed.into()),
        ("blocked", (!blocked.is_empty()).into()),
        ("blocked_rules", blocked_rules.into()),
        ("vias", vias.into()),
        (
            "via_chains",
            via_chains
                .into_iter()
                .map(|(chain, rules)| record([("chain", chain.into()), ("rules", rules.into())]))
                .collect::<Vec<_>>()
                .into(),
        ),
        ("trusted_rules", trusted_rules.into()),
        ("tree_chains", tree_chains.into()),
        ("tree_rules", tree_rules.into()),
        ("limits", limits.into()),
        ("log", policy.log.is_some().into()),
        ("log_rate", log_rate(policy)?.into()),
        ("reset", (policy.action == Refuse::Reset).into()),
    ]))
}

/// The networks of the wanted classes, in order.
fn entries<A: Addr>(cuts: &Cuts<A, ClassId>, wanted: impl Fn(ClassId) -> Option<usize>) -> Vec<Entry<A>> {
    let mut out = Vec::with_capacity(cuts.len());
    for cut in cuts.iter() {
        if let Some(action) = wanted(cut.class) {
            out.extend(cut.span.prefixes().map(|prefix| Entry { prefix, action }));
        }
    }
    out
}

/// The chain of a limit, named by what it allows so that it keeps its name while other limits come and go.
fn limit_chain(limit: Limit) -> String {
    let mut parts = vec!["H993-LIMIT".to_owned()];
    if let Some(bucket) = limit.rate {
        parts.push(rates::short(rates::meter_rate(bucket.rate).unwrap_or(bucket.rate)));
        parts.push(bucket.burst.to_string());
    }
    parts.extend(limit.concurrent.map(|n| format!("c{n}")));
    let name = parts.join("-");
    if name.len() <= NAME {
        return name;
    }
    let mut short = "H993-LIMIT-".to_owned();
    push_base32(&Sha256::digest(&name), &mut short);
    short
}

fn limit_value<A: Addr>(limit: Limit, prefix: u8) -> Result<Value, RenderError> {
    let rate = match limit.rate {
        None => String::new(),
        Some(bucket) => {
            let parts = rates::meter_rate(bucket.rate).zip(rates::expire(bucket)).zip(rates::meter_name(
                A::FAMILY,
                bucket,
                prefix,
            ));
            let ((rate, expire), name) = parts
                .ok_or_else(|| RenderError::TooLarge { what: format!("iptables cannot keep a limit of {bucket}") })?;
            let mut text = format!(
                "--hashlimit-above {} --hashlimit-burst {} --hashlimit-mode srcip,dstport --hashlimit-name {name} {METER_TABLE}",
                rates::text(rate),
                bucket.burst,
            );
            if expire != rates::default_expire(rate) {
                let _ = write!(text, " --hashlimit-htable-expire {expire}");
            }
            if prefix < A::BITS {
                let _ = write!(text, " --hashlimit-srcmask {prefix}");
            }
            text
        }
    };
    let concurrent = limit
        .concurrent
        .map(|n| format!("--connlimit-above {n} --connlimit-mask {prefix} --connlimit-saddr"))
        .unwrap_or_default();
    Ok(record([("chain", limit_chain(limit).into()), ("rate", rate.into()), ("concurrent", concurrent.into())]))
}

fn log_rate(policy: &Policy) -> Result<String, RenderError> {
    let Some(bucket) = policy.log.and_then(|l| l.rate) else { return Ok(String::new()) };
    let rate = rates::log_rate(bucket)
        .ok_or_else(|| RenderError::TooLarge { what: format!("iptables cannot keep a log rate of {bucket}") })?;
    let burst = match bucket.burst {
        rates::DEFAULT_BURST => String::new(),
        burst => format!("--limit-burst {burst} "),
    };
    Ok(format!("-m limit --limit {} {burst}", rates::text(rate)))
}

/// The test of an interface, with a blank at its end: `wg*` is `wg+` here, and any interface at all is no test.
fn interface(pattern: &Pattern) -> String {
    match (pattern.text(), pattern.is_wildcard()) {
        ("", true) => String::new(),
        (text, true) => format!("-i {text}+ "),
        (text, false) => format!("-i {text} "),
    }
}

fn destination<A: Addr>(prefix: crate::net::Prefix<A>) -> Value {
    let mut text = String::new();
    if prefix.len > 0 {
        text.push_str("-d ");
        prefix.write_full(&mut text);
        text.push(' ');
    }
    text.into()
}

fn record<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
    Value::from(BTreeMap::from(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Draft, TargetSettings};

    #[test]
    fn the_templates_use_exactly_what_they_are_given() {
        let policy = Draft::default().lower();
        let settings = TargetSettings::default();
        let job = Job {
            policy: &policy,
            digest: policy.digest(),
            name: "office",
            settings: &settings,
            deviations: &[],
            family: None,
        };
        let given: Vec<&str> = values::<u32>(&job, "", |p| &p.v4).unwrap().into_keys().collect();
        assert_eq!(CHAINS.variables(), given);
        let given: Vec<&str> = script_values(&job).unwrap().into_keys().collect();
        assert_eq!(SCRIPT.variables(), given);
    }

    #[test]
    fn comments_are_short_lines_of_plain_text() {
        let mut out = String::new();
        comment(&format!("\u{202e}one\ntwo {}", "three ".repeat(100)), &mut out);
        assert!(out.starts_with("# one two three"));
        assert!(out.lines().all(|l| l.starts_with('#') && l.len() < 130 && l.is_ascii()));
    }
}
