//! A look at what a small change names, so that nobody lists a hundred thousand networks to see one.

use std::collections::BTreeMap;

use crate::target::{Listing, Section, Step};

use super::delta::Delta;
use super::load::{PROGRAM, own_lines};
use super::{REVISION, TABLE, read};

/// How many sets are looked at one by one; with more, one listing of all is no dearer.
const SETS: usize = 16;

/// The commands that list the sets that a change names, and the chains by their names, of which one is the revision. To
/// show a single chain nft 1.0.6 reads every set of its table first; to name them all it reads none.
pub(super) fn looks(delta: &Delta) -> Vec<Step> {
    if delta.sets.len() > SETS {
        return Vec::new();
    }
    let (family, table) = TABLE.split_once(' ').unwrap_or(("", TABLE));
    let sets = delta.sets.iter().map(|name| Step::new(PROGRAM, &["-a", "list", "set", family, table, name], ""));
    sets.chain([Step::new(PROGRAM, &["-a", "list", "chains", family], "")]).collect()
}

/// What a definition in a listing is: `set trusted_v4_32`, `chain rev_5fff`. None if the line begins none.
fn definition(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix('\t').filter(|l| !l.starts_with(['\t', '}']))?;
    let mut words = line.split_ascii_whitespace();
    let (kind, name) = (words.next()?, words.next()?);
    (words.next() == Some("{")).then_some((kind, name))
}

/// Our table as it was listed, with what the looks show in the place of what was there.
pub(super) fn looked(before: &Listing, looks: &[(Step, String)]) -> Option<Listing> {
    let mut shown = BTreeMap::new();
    for (_, text) in looks {
        let known = shown.len();
        let mut current = None;
        for line in own_lines(text).skip(1).take_while(|l| !l.starts_with('}')) {
            if let Some(found) = definition(line) {
                // The chains are shown without their rules; of a revision, which is empty, that is all.
                current = (found.0 == "set" || found.1.starts_with(REVISION)).then_some(found);
            }
            if let Some(found) = current {
                shown.entry(found).or_insert_with(String::new).push_str(line);
            }
        }
        if shown.len() == known {
            return None;
        }
    }
    let text = before.sections.iter().find(|s| read::is_nft(s) && !read::is_json(&s.text)).map(|s| s.text.as_str())?;
    let mut out = String::with_capacity(text.len());
    let mut replaced = false;
    for line in own_lines(text) {
        if line.starts_with('}') {
            for lines in shown.values() {
                out.push_str(lines);
            }
            out.push_str(line);
            let section = Section { command: format!("{PROGRAM} list table {TABLE}"), text: out, before: 0 };
            return Some(Listing { sections: vec![section] });
        }
        if let Some(found) = definition(line) {
            // There is one revision, and the looks show the one that is wanted.
            replaced = shown.contains_key(&found) || found.1.starts_with(REVISION);
        }
        if !replaced {
            out.push_str(line);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_stands_in_its_place() {
        let table = |set: &str, rev: &str| {
            format!(
                "table inet harden993 {{ # handle 9\n\tset trusted_v4_32 {{ # handle 2\n\t\ttype ipv4_addr\n\t\telements = {{ {set} }}\n\t}}\n\n\tset trusted_v4_24 {{\n\t\ttype ipv4_addr\n\t}}\n\n\tchain {rev} {{ # handle 3\n\t}}\n\n\tchain in {{\n\t\tip saddr @trusted_v4_32 accept\n\t}}\n}}\n"
            )
        };
        let before = Listing::of_text(format!("table ip a {{\n}}\n{}table ip b {{\n}}\n", table("192.0.2.1", "rev_1")));
        let one =
            |kind: &str, body: &str| (Step::new("nft", &[kind], ""), format!("table inet harden993 {{\n{body}}}\n"));
        let looks = [
            one(
                "set",
                "\tset trusted_v4_32 { # handle 2\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1, 192.0.2.2 }\n\t}\n",
            ),
            one("chains", "\tchain rev_2 { # handle 4\n\t}\n\tchain in { # handle 5\n\t}\n"),
        ];
        let after = looked(&before, &looks).expect("our table is there");
        let read = |listing: &Listing| {
            let ruleset = read::listing(listing).expect("a listing");
            (super::super::print::print(&ruleset), ruleset.digest)
        };
        assert_eq!(read(&after), read(&Listing::of_text(table("192.0.2.1, 192.0.2.2", "rev_2"))));
        assert!(!after.sections[0].text.contains("rev_1") && !after.sections[0].text.contains("table ip"));
        // A look that shows nothing tells nothing.
        assert_eq!(looked(&before, &[(Step::new("nft", &[], ""), String::new())]), None);
        assert_eq!(looked(&Listing::of_text("table ip a {\n}\n"), &looks), None);
    }
}
