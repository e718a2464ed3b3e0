//! A small change of what is loaded as a small file, so that counters, limits and all other elements stay as they are.

use std::fmt::Write as _;

use crate::net::{Addr, Span};
use crate::target::ReadError;

use super::TABLE;
use super::read::{Changed, Networks, SetDifference, difference};
use super::sets::Words;

/// How many elements a hash set holds at most to be filled anew when one is removed. `delete element` makes nft read every
/// interval set of the host first, others' too; filling ten thousand anew costs less than that can.
const REFILLED_AT_MOST: usize = 10_000;

/// A small change as two files: the one that makes it, and the one that takes it back from there. Both are empty if
/// nothing differs. Each is refused as a whole if another policy has been loaded meanwhile.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Delta {
    pub(super) there: String,
    pub(super) back: String,
    /// The sets that it changes.
    pub(super) sets: Vec<String>,
}

/// The files that bring our table in a listing to that of a rendering, and back, if they differ in nothing but networks.
///
/// # Errors
/// The listing cannot be read.
pub(super) fn delta(listed: &str, before: u32, rendered: &str) -> Result<Option<Delta>, ReadError> {
    let Some(found) = difference(listed, before, rendered)? else { return Ok(None) };
    if found.sets.is_empty() && found.loaded == found.wanted {
        return Ok(Some(Delta::default()));
    }
    // Deleting the chain fails if it is not there any more, and the whole file with it.
    let from_to = |a: &str, b: &str| format!("delete chain {TABLE} {a}\nadd chain {TABLE} {b}\n");
    let mut out = Delta {
        there: from_to(&found.loaded, &found.wanted),
        back: from_to(&found.wanted, &found.loaded),
        sets: found.sets.iter().map(|s| s.name.clone()).collect(),
    };
    let refilled = REFILLED_AT_MOST.max(found.intervals);
    for set in &found.sets {
        match &set.networks {
            Networks::V4(changed) => out.set(set, changed, refilled),
            Networks::V6(changed) => out.set(set, changed, refilled),
        }
    }
    Ok(Some(out))
}

impl Delta {
    /// Adds what differs in one set.
    fn set<A: Words>(&mut self, set: &SetDifference, networks: &Changed<A>, refilled: usize) {
        let Changed { removed, added, loaded, wanted } = networks;
        change(set, [removed, added, wanted], refilled, &mut self.there);
        change(set, [added, removed, loaded], refilled, &mut self.back);
    }
}

/// What is removed stands before what is added: the two may overlap. A set of at most `refilled` elements is filled anew.
fn change<A: Words>(set: &SetDifference, spans: [&[Span<A>]; 3], refilled: usize, out: &mut String) {
    let [removed, added, all] = spans;
    let name = &set.name;
    if removed.is_empty() {
        block(set, added, out);
    } else if set.interval || all.len() <= refilled {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "flush set {TABLE} {name}");
        block(set, all, out);
    } else {
        let _ = write!(out, "delete element {TABLE} {name} {{ ");
        elements(removed, out);
        out.push_str(" }\n");
        block(set, added, out);
    }
}

/// Elements in the form of a definition, which makes nft read nothing first.
fn block<A: Words>(set: &SetDifference, spans: &[Span<A>], out: &mut String) {
    if spans.is_empty() {
        return;
    }
    let flags = if set.interval { "\t\tflags interval\n" } else { "" };
    let _ = write!(out, "table {TABLE} {{\n\tset {} {{\n\t\ttype {}\n{flags}\t\telements = {{ ", set.name, A::TYPE);
    elements(spans, out);
    out.push_str(" }\n\t}\n}\n");
}

fn elements<A: Addr>(spans: &[Span<A>], out: &mut String) {
    let mut separator = "";
    for prefix in spans.iter().flat_map(|s| s.prefixes()) {
        out.push_str(separator);
        prefix.write(out);
        separator = ", ";
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::tests::{many, policies, rendered};
    use super::*;
    use crate::net::AddrSet;
    use crate::policy::{Draft, Grant};

    fn trusting(sources: AddrSet) -> String {
        rendered(&Draft { grants: vec![Grant { sources, via: Vec::new(), limit: None }], ..Draft::default() }.lower())
    }

    fn from_to(a: &AddrSet, b: &AddrSet) -> Option<String> {
        let delta = delta(&trusting(a.clone()), 0, &trusting(b.clone())).expect("both are listings")?;
        // The digests say nothing here.
        Some(delta.there.split_inclusive('\n').skip(2).collect())
    }

    #[test]
    fn nothing_to_do_is_an_empty_file() {
        for (name, policy) in policies() {
            let text = rendered(&policy);
            let listed = text
                .replace("tcp flags & (syn | ack) == syn", "tcp flags syn / syn,ack")
                .replace("tcp flags & (syn | ack) != syn", "tcp flags != syn / syn,ack")
                .replace("{ \"eth0\", \"eth1\", \"tun0\" }", "{ \"eth0\", \"tun0\", \"eth1\" }")
                .replace(" burst 5 packets", "");
            assert_eq!(delta(&listed, 0, &text), Ok(Some(Delta::default())), "{name}");
        }
    }

    #[test]
    fn one_network_more_is_one_element() {
        let list = many(3000);
        let with: AddrSet = "8.8.8.8".parse().unwrap();
        let text = from_to(&list, &list.union(&with)).expect("networks only");
        expect![[r"
            table inet harden993 {
            	set trusted_v4_32 {
            		type ipv4_addr
            		elements = { 8.8.8.8 }
            	}
            }
        "]]
        .assert_eq(&text);
        let text = from_to(&list.union(&with), &list).expect("networks only");
        assert!(text.starts_with("flush set inet harden993 trusted_v4_32\n"), "{}", &text[..80]);
    }

    #[test]
    fn what_is_more_than_networks_is_loaded_as_a_whole() {
        let all = policies();
        assert_eq!(delta(&rendered(&all[0].1), 0, &rendered(&all[1].1)), Ok(None));
        assert_eq!(delta("table ip a {\n}\n", 0, &rendered(&all[0].1)), Ok(None));
        // A rule of ours that somebody changed.
        let text = rendered(&all[0].1);
        assert_eq!(delta(&text.replace("goto untrusted", "goto take"), 0, &text), Ok(None));
    }
}
