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

/// The file that brings our table in a listing to that of a rendering, if they differ in nothing but networks; an empty one
/// if they do not differ. It is refused as a whole if another policy has been loaded meanwhile.
///
/// # Errors
/// The listing cannot be read.
pub(super) fn delta(listed: &str, before: u32, rendered: &str) -> Result<Option<String>, ReadError> {
    let Some(found) = difference(listed, before, rendered)? else { return Ok(None) };
    if found.sets.is_empty() && found.loaded == found.wanted {
        return Ok(Some(String::new()));
    }
    // Deleting the chain fails if it is not there any more, and the whole file with it.
    let mut out = format!("delete chain {TABLE} {}\nadd chain {TABLE} {}\n", found.loaded, found.wanted);
    for set in &found.sets {
        match &set.networks {
            Networks::V4(changed) => change(set, changed, &mut out),
            Networks::V6(changed) => change(set, changed, &mut out),
        }
    }
    Ok(Some(out))
}

/// What is removed stands before what is added: the two may overlap.
fn change<A: Words>(set: &SetDifference, changed: &Changed<A>, out: &mut String) {
    let name = &set.name;
    let refill = set.interval || changed.wanted.len() <= REFILLED_AT_MOST;
    if changed.removed.is_empty() {
        block(set, &changed.added, out);
    } else if refill {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "flush set {TABLE} {name}");
        block(set, &changed.wanted, out);
    } else {
        let _ = write!(out, "delete element {TABLE} {name} {{ ");
        elements(&changed.removed, out);
        out.push_str(" }\n");
        block(set, &changed.added, out);
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
        let text = delta(&trusting(a.clone()), 0, &trusting(b.clone())).expect("both are listings")?;
        // The digests say nothing here.
        Some(text.split_inclusive('\n').skip(2).collect())
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
            assert_eq!(delta(&listed, 0, &text), Ok(Some(String::new())), "{name}");
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
