//! A look at the chains that a small change names, so that nobody lists a hundred thousand rules to see one.

use std::collections::BTreeSet;

use crate::target::{Listing, Section, Step};

/// How many chains are looked at one by one; with more, one listing of all is no dearer.
const CHAINS: usize = 24;

/// The commands that list the chains that a restore changes; none where one listing of everything is needed: if it does more
/// than that, and in the legacy variant, which copies the whole table to show a chain.
pub(super) fn looks(restore: &str, chains: Option<&[String]>) -> Option<Vec<Step>> {
    let tool = restore.strip_suffix("-restore").filter(|t| t.ends_with("-nft"))?;
    let chains = chains.filter(|c| c.len() <= CHAINS)?;
    Some(chains.iter().map(|chain| Step::new(tool, &["-w", super::load::WAIT, "-S", chain], "")).collect())
}

/// The tables of iptables as they were listed, with what the looks show in the place of what was in those chains.
pub(super) fn looked(before: &Listing, looks: &[(Step, String)]) -> Option<Listing> {
    let mut out = Listing::default();
    for section in &before.sections {
        let tool = section.command.split(' ').next()?.strip_suffix("-save").unwrap_or_default();
        if !tool.contains("tables") {
            continue;
        }
        let of_it = looks.iter().filter(|(step, _)| step.program == tool);
        let chains: Vec<(&str, &str)> =
            of_it.map(|(step, text)| Some((step.args.last()?.as_str(), text.as_str()))).collect::<Option<_>>()?;
        let text = if chains.is_empty() { section.text.clone() } else { replaced(&section.text, &chains)? };
        out.sections.push(Section { text, command: section.command.clone(), before: section.before });
    }
    Some(out)
}

/// A listing with other rules in some chains of the table `filter`; none if that is not there.
fn replaced(text: &str, chains: &[(&str, &str)]) -> Option<String> {
    let names: BTreeSet<&str> = chains.iter().map(|(name, _)| *name).collect();
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut done) = (false, false);
    for line in text.split_inclusive('\n') {
        if line.starts_with('*') {
            inside = line.trim_end() == "*filter";
        }
        if inside && line.trim_end() == "COMMIT" {
            for (name, shown) in chains {
                out.extend([":", name, " - [0:0]\n"]);
                for rule in shown.lines().filter(|l| l.starts_with("-A ")) {
                    out.extend([rule, "\n"]);
                }
            }
            (inside, done) = (false, true);
        }
        // `[3:180] -A CHAIN …`
        let rule = if line.starts_with('[') { line.split_once("] ").map_or(line, |(_, r)| r) } else { line };
        let chain = rule.strip_prefix("-A ").and_then(|r| r.split([' ', '\n']).next());
        if !(inside && chain.is_some_and(|c| names.contains(c))) {
            out.push_str(line);
        }
    }
    done.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::HEADING;

    #[test]
    fn what_was_looked_at_stands_in_its_place() {
        let before = Listing::parse(&format!(
            "{HEADING}nft -a list ruleset\ntable ip filter {{\n}}\n{HEADING}iptables-nft-save -c\n*nat\n[0:0] -A H993-A -j ACCEPT\n\
             COMMIT\n*filter\n:H993-A - [0:0]\n:H993-B - [0:0]\n[1:2] -A H993-A -j DROP\n[0:0] -A H993-B -j DROP\nCOMMIT\n"
        ));
        let looks = looks("iptables-nft-restore", Some(&["H993-A".to_owned(), "H993-C".to_owned()]));
        let shown = ["-N H993-A\n-A H993-A -s 192.0.2.1/32 -j ACCEPT\n-A H993-A -j DROP\n", "-N H993-C\n"];
        let looks: Vec<_> = looks.expect("chains only").into_iter().zip(shown.map(str::to_owned)).collect();
        let after = looked(&before, &looks).expect("the table is there");
        assert_eq!(after.sections.len(), 1);
        assert_eq!(
            after.sections[0].text,
            "*nat\n[0:0] -A H993-A -j ACCEPT\nCOMMIT\n*filter\n:H993-A - [0:0]\n:H993-B - [0:0]\n[0:0] -A H993-B -j DROP\n\
             :H993-A - [0:0]\n-A H993-A -s 192.0.2.1/32 -j ACCEPT\n-A H993-A -j DROP\n:H993-C - [0:0]\nCOMMIT\n"
        );
    }

    #[test]
    fn what_is_more_than_chains_needs_a_listing() {
        assert_eq!(looks("iptables-nft-restore", None), None);
        assert_eq!(looks("iptables-legacy-restore", Some(&["H993-A".to_owned()])), None);
    }
}
