//! The checked profile as a draft of a policy, with the defaults of the format, and what of it was asked for in writing.

use std::collections::BTreeSet;

use crate::access::{Bucket, Refuse};
use crate::diagnostic::{Place, codes};
use crate::policy::{Asked, Draft, Feature, Forwarded, Grant, Limit, LogPolicy, Provenance};

use super::merge::Merged;
use super::roster::{Member, Roster};
use super::sheet::{Forward, Kind, LimitKeys, Spot, Switch, Values};
use super::sink::Sink;

/// How many different limits a profile can have. Each limit of an address is the largest of its entries', so this many can
/// become their cube of classes, which must fit the 16 bits of a class's number.
const LIMITS_MAX: usize = 32;
/// Below this many connections ordinary mail programs are refused: three accounts of five connections each.
const TIGHT: u32 = 15;

/// Makes the draft. Limits are checked here, because whether they are well formed shows only after merging.
pub(super) fn draft(merged: &Merged, roster: Roster, sink: &mut Sink) -> (Draft, Asked, Provenance) {
    let values = &merged.values;
    let mut draft = Draft::default();
    let mut asked = Asked::new();
    if let Some(ports) = &values.ports {
        draft.ports = ports.value.iter().map(|p| p.value).collect();
    }
    draft.close_plaintext = values.close_plaintext.as_ref().is_some_and(|c| c.value);
    draft.interfaces = values.interfaces.iter().flat_map(|i| i.value.iter().map(|p| p.value.clone())).collect();
    if let Some(action) = &values.action {
        draft.action = action.value;
        if action.value == Refuse::Reset {
            asked.insert(Feature::Reject);
        }
    }
    match values.forwarded.as_ref().map(|f| &f.value) {
        None | Some(Forward::No) => {}
        Some(Forward::Translated) => draft.forwarded = Forwarded::Translated,
        Some(Forward::Routed(nets)) => draft.forwarded = Forwarded::Routed(nets.clone()),
    }
    if draft.forwarded != Forwarded::No {
        asked.insert(Feature::Forwarded);
    }
    log(values, &mut draft, &mut asked);
    let general = match &values.limits {
        Some(Switch::On(keys)) => {
            draft.ipv4_prefix = keys.ipv4_prefix.as_ref().map_or(draft.ipv4_prefix, |p| p.value);
            draft.ipv6_prefix = keys.ipv6_prefix.as_ref().map_or(draft.ipv6_prefix, |p| p.value);
            limit(keys, &mut asked, sink)
        }
        _ => None,
    };
    draft.blocked = roster.union(|m| m.entry.kind == Kind::Blocked).into_owned();
    grants(values, roster.members, general, &mut draft, &mut asked, sink);
    if asked.contains(&Feature::Limits) {
        // A limit per single address is none where a source has a whole network, so what counts as one source always
        // belongs to what was asked for.
        asked.extend([Feature::Ipv4Prefix, Feature::Ipv6Prefix]);
    }
    (draft, asked, roster.provenance)
}

fn log(values: &Values, draft: &mut Draft, asked: &mut Asked) {
    match &values.log {
        None => {}
        Some(Switch::Off) => draft.log = None,
        Some(Switch::On(keys)) => {
            asked.insert(Feature::Log);
            let Some(LogPolicy { rate: Some(bucket) }) = &mut draft.log else { return };
            if let Some(rate) = &keys.rate {
                bucket.rate = rate.value;
                asked.insert(Feature::LogRate);
            }
            if let Some(burst) = &keys.burst {
                bucket.burst = burst.value;
                asked.insert(Feature::LogRate);
            }
        }
    }
}

fn grants(
    values: &Values,
    members: Vec<Member>,
    general: Option<Limit>,
    draft: &mut Draft,
    asked: &mut Asked,
    sink: &mut Sink,
) {
    let closed = values.closed.as_ref().is_some_and(|c| c.value);
    let mut different = BTreeSet::new();
    for member in members.into_iter().filter(|m| m.entry.kind == Kind::Trusted) {
        let own = match &member.entry.limits {
            None => general,
            Some(Switch::Off) => None,
            Some(Switch::On(keys)) => limit(keys, asked, sink),
        };
        if let Some(limit) = own
            && different.len() <= LIMITS_MAX
            && different.insert(limit)
            && different.len() > LIMITS_MAX
        {
            let Place { file, span } = member.entry.place().clone();
            sink.report(&codes::TOO_MANY_LIMITS, file, span, |p| {
                p.say(format!("with this entry there are more than {LIMITS_MAX} different limits"))
                    .help("let entries share their limits")
            });
        }
        if member.in_force && !closed {
            let via = member.via();
            draft.grants.push(Grant { sources: member.sources, via, limit: own });
        }
    }
}

/// The limit that keys describe; none if they limit nothing.
fn limit(keys: &LimitKeys, asked: &mut Asked, sink: &mut Sink) -> Option<Limit> {
    if let (None, Some(burst)) = (&keys.rate, &keys.burst) {
        sink.report(&codes::BURST_WITHOUT_RATE, burst.place.file, burst.place.span.clone(), |p| {
            p.say("`burst` belongs to `new_connections`, which is not written")
                .help("add `new_connections = \"60/minute\"`, or take `burst` away")
        });
    }
    let rate = keys
        .rate
        .as_ref()
        .map(|rate| Bucket { rate: rate.value, burst: keys.burst.as_ref().map_or(rate.value.count, |b| b.value) });
    if let (Some(bucket), Some(rate)) = (rate, &keys.rate) {
        match &keys.burst {
            Some(burst) => {
                asked.insert(Feature::Burst);
                tight(burst, "new connections at once", sink);
            }
            None => tight(&rate.clone().map(|_| bucket.burst), "new connections at once", sink),
        }
    }
    if let Some(concurrent) = &keys.concurrent {
        tight(concurrent, "open connections", sink);
    }
    let concurrent = keys.concurrent.as_ref().map(|c| c.value);
    let limit = (rate.is_some() || concurrent.is_some()).then_some(Limit { rate, concurrent });
    if limit.is_some() {
        asked.insert(Feature::Limits);
    }
    limit
}

fn tight(value: &Spot<u32>, what: &str, sink: &mut Sink) {
    if value.value < TIGHT {
        sink.report(&codes::TIGHT_LIMIT, value.place.file, value.place.span.clone(), |p| {
            p.say(format!("{} {what} are few: one mail program opens five for each account", value.value))
                .help(format!("allow {TIGHT} or more, and more still where several people share one address"))
        });
    }
}
