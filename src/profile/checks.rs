//! What can only be said of the profile as a whole: whom it trusts in the end, and what it leaves open.

use jiff::civil::Date;

use crate::diagnostic::{FileId, Place, codes};
use crate::net::Span;

use super::Options;
use super::merge::Merged;
use super::roster::Roster;
use super::sheet::Kind;
use super::sink::Sink;

/// How many interfaces can be named.
const INTERFACES_MAX: usize = 256;
/// How many days before its end an entry is warned about.
const SOON: i64 = 14;
/// From this port up Linux starts outgoing connections (`net.ipv4.ip_local_port_range`).
const OUTGOING: u16 = 32768;

/// Reports everything about the profile as a whole. `complete`: no file is missing and none was read in part.
pub(super) fn checks(merged: &Merged, roster: &Roster, options: &Options<'_>, complete: bool, sink: &mut Sink) {
    names(roster, sink);
    ports(merged, complete, sink);
    interfaces(merged, roster, sink);
    for member in &roster.members {
        if let Some(expires) = &member.entry.expires {
            expiry(member.entry.label(), expires.value, &expires.place, options.today, sink);
        }
    }
    trust(merged, roster, complete, sink);
}

/// Two entries of one name.
fn names(roster: &Roster, sink: &mut Sink) {
    let mut first = std::collections::HashMap::new();
    for name in roster.members.iter().filter_map(|m| m.entry.name.as_ref()) {
        let earlier = first.entry(name.value.as_str()).or_insert(&name.place);
        if **earlier != name.place {
            sink.report(&codes::DUPLICATE_NAME, name.place.file, name.place.span.clone(), |p| {
                p.say(format!("there is another entry named `{}`", name.value))
                    .label(earlier.file, earlier.span.clone(), "here")
                    .help("give it another name, or put the two together")
            });
        }
    }
}

fn ports(merged: &Merged, complete: bool, sink: &mut Sink) {
    let values = &merged.values;
    let written = values.ports.as_ref();
    let plaintext = written.and_then(|p| p.value.iter().find(|p| p.value == 143));
    match (&values.close_plaintext, plaintext) {
        (Some(value), Some(port)) => {
            sink.report(&codes::PLAINTEXT_CONFLICT, value.place.file, value.place.span.clone(), |p| {
                p.say("`plaintext_imap` has nothing to say while 143 is one of the guarded ports")
                    .label(port.place.file, port.place.span.clone(), "guarded here")
                    .help("take one of the two away")
            });
        }
        (None, None) if complete && written.is_none_or(|p| p.value.iter().any(|p| p.value == 993)) => {
            let place = written.map(|p| &p.place).or(values.service.as_ref()).cloned();
            let Place { file, span } = place.unwrap_or(Place::new(FileId(0), 0..0));
            sink.report(&codes::PLAINTEXT_UNDECIDED, file, span, |p| {
                p.say("993 is guarded, and nothing is said about plaintext IMAP on port 143").help(
                    "write `plaintext_imap = \"close\"` under `[service]`, or `\"leave\"` if 143 is closed or meant to be open",
                )
            });
        }
        _ => {}
    }
    for port in written.map(|p| p.value.as_slice()).unwrap_or_default() {
        let (n, Place { file, span }) = (port.value, port.place.clone());
        if n == 22 || n == 25 {
            sink.report(&codes::OTHER_SERVICE, file, span, |p| {
                let (what, whom) =
                    if n == 22 { ("SSH", "administrators") } else { ("mail from other servers", "the world") };
                p.say(format!("port {n} is for {what}, and {whom} will be refused unless trusted here"))
                    .help("guard it by a firewall rule of its own")
            });
        } else if n >= OUTGOING {
            sink.report(&codes::OUTGOING_PORT, file, span, |p| {
                p.say(format!("outgoing connections can start from port {n}, and then get no answers"))
                    .help("let the service listen on a port below 32768")
            });
        }
    }
}

fn interfaces(merged: &Merged, roster: &Roster, sink: &mut Sink) {
    let service = merged.values.interfaces.as_ref();
    // Windows cannot tie an entry to an interface at all, and says so itself.
    let targets = merged.values.targets.iter().filter(|(name, _)| **name != "windows");
    let guarded: Vec<_> = service.into_iter().chain(targets.filter_map(|(_, t)| t.interfaces.as_ref())).collect();
    for list in &guarded {
        if let Some(one) = list.value.get(INTERFACES_MAX) {
            sink.report(&codes::TOO_MANY_INTERFACES, one.place.file, one.place.span.clone(), |p| {
                p.say(format!("more than {INTERFACES_MAX} interfaces are named"))
                    .help("let a `*` at the end of a name stand for many")
            });
        }
    }
    let mut different = std::collections::BTreeSet::new();
    for via in roster.members.iter().filter_map(|m| m.entry.via.as_ref()).flat_map(|v| &v.value) {
        let Place { file, span } = via.place.clone();
        if different.len() <= INTERFACES_MAX && different.insert(&via.value) && different.len() > INTERFACES_MAX {
            sink.report(&codes::TOO_MANY_INTERFACES, file, span.clone(), |p| {
                p.say(format!("`via` names more than {INTERFACES_MAX} different interfaces"))
                    .help("let a `*` at the end of a name stand for many")
            });
        }
        for list in guarded.iter().filter(|l| l.value.len() <= INTERFACES_MAX) {
            if !list.value.iter().any(|p| p.value.covers(&via.value)) {
                sink.report(&codes::VIA_NOT_COVERED, file, span.clone(), |p| {
                    p.say(format!("`{}` is not among the guarded interfaces", via.value))
                        .label(list.place.file, list.place.span.clone(), "these are guarded")
                        .help(format!("add `\"{}\"` to them, or take it away here", via.value))
                });
            }
        }
    }
}

fn expiry(entry: &str, expires: Date, place: &Place, today: Date, sink: &mut Sink) {
    // Both are days, so the difference is a whole number of them.
    let days = today.duration_until(expires).as_hours() / 24;
    let Place { file, span } = place.clone();
    if days < 0 {
        sink.report(&codes::EXPIRED, file, span, |p| {
            p.say(format!("`{entry}` is expired since {expires}, and no longer counts"))
                .help("take the entry away, or give it a later day")
        });
    } else if days <= SOON {
        sink.report(&codes::EXPIRES_SOON, file, span, |p| {
            p.say(match days {
                0 => format!("`{entry}` expires today"),
                1 => format!("`{entry}` expires tomorrow"),
                _ => format!("`{entry}` expires in {days} days"),
            })
            .help("give it a later day if it is still needed")
        });
    }
}

/// Whom the profile trusts in the end.
fn trust(merged: &Merged, roster: &Roster, complete: bool, sink: &mut Sink) {
    let closed = merged.values.closed.as_ref().filter(|c| c.value);
    let first = roster.members.iter().find(|m| m.entry.kind == Kind::Trusted).map(|m| m.entry.place().clone());
    if let Some(closed) = closed {
        if let Some(first) = first {
            sink.report(&codes::CLOSED_WITH_ENTRIES, closed.place.file, closed.place.span.clone(), |p| {
                p.say("the port is closed to everybody, and the trusted entries mean nothing")
                    .label(first.file, first.span, "the first of them")
                    .help("take `closed` away to let them in")
            });
        }
        return;
    }
    let Some(Place { file, span }) = first else {
        // What a file that could not be read holds is not known.
        if complete {
            sink.report(&codes::NO_TRUSTED, FileId(0), 0..0, |p| {
                p.say("the profile trusts nobody")
                    .help("add a `[[trusted]]` entry, or write `closed = true` under `[service]`")
            });
        }
        return;
    };
    if !complete || sink.has_errors() {
        // The sets are not what was meant, so nothing sure can be said about them.
        return;
    }
    let trusted = roster.union(|m| m.entry.kind == Kind::Trusted);
    for member in roster.in_force(Kind::Blocked).filter(|m| !m.sources.overlaps(&trusted)) {
        let Place { file, span } = member.entry.place().clone();
        sink.report(&codes::BLOCKED_NOTHING, file, span, |p| {
            p.say(format!("nothing of `{}` is trusted, so blocking it changes nothing", member.entry.label()))
                .help("correct its networks, or take it away; who is not trusted is refused anyway")
        });
    }
    let blocked = roster.union(|m| m.entry.kind == Kind::Blocked);
    match (blocked.v4.contains_all(&trusted.v4), blocked.v6.contains_all(&trusted.v6)) {
        (true, true) => sink.report(&codes::NOBODY_LEFT, file, span.clone(), |p| {
            p.say("nobody is trusted today: the port is closed").help("look at `expires`, `except` and `[[blocked]]`")
        }),
        (false, false) => {}
        (v4, _) => sink.report(&codes::FAMILY_MISSING, file, span.clone(), |p| {
            p.say(format!("no {} address is trusted", if v4 { "IPv4" } else { "IPv6" }))
                .help("name the networks of both families that your users come from, or allow `family-missing`")
        }),
    }
    open(roster, file, span, sink);
}

/// Everybody, named in pieces: `0.0.0.0/1` and `128.0.0.0/1`. In one piece it has been reported where it stands.
fn open(roster: &Roster, file: FileId, span: std::ops::Range<usize>, sink: &mut Sink) {
    let all = roster.union(|m| m.entry.kind == Kind::Trusted && !m.by_interface);
    let v4 = all.v4.is_all() && !roster.provenance.v4().iter().any(|l| l.span == Span::all());
    let v6 = all.v6.is_all() && !roster.provenance.v6().iter().any(|l| l.span == Span::all());
    if v4 || v6 {
        sink.report(&codes::OPEN_TO_WORLD, file, span, |p| {
            p.say("the trusted networks together are every address of a family")
                .help("name the networks that your users come from")
        });
    }
}
