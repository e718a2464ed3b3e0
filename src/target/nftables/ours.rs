//! Our own part of a host's ruleset: whether there is any, and what the host would be with another one.

use crate::ruleset::{ChainId, Ruleset, Then};

use super::TABLE;

/// The name of one of our chains inside of our table; none if the chain is somebody else's.
pub(super) fn own_name(chain: &str) -> Option<&str> {
    chain.strip_prefix(TABLE)?.strip_prefix(' ')
}

/// Whether the ruleset holds anything of ours.
pub(super) fn has_ours(ruleset: &Ruleset) -> bool {
    ruleset.chains.iter().any(|c| own_name(&c.name).is_some())
}

/// The host's ruleset with our table replaced by that of a rendering, as loading it would: at our hooks it is registered
/// last, and of base chains with one priority that one runs first.
pub(super) fn replace_ours(current: &Ruleset, rendered: &Ruleset) -> Ruleset {
    let mut out = Ruleset { origins: current.origins.clone(), remarks: current.remarks.clone(), ..Ruleset::default() };
    let mut kept: Vec<Option<ChainId>> = Vec::with_capacity(current.chains.len());
    for chain in &current.chains {
        if own_name(&chain.name).is_some() {
            kept.push(None);
        } else {
            kept.push(Some(ChainId(out.chains.len() as u32)));
            out.chains.push(chain.clone());
        }
    }
    let at = |id: ChainId| kept.get(id.0 as usize).copied().flatten();
    for rule in out.chains.iter_mut().flat_map(|c| &mut c.rules) {
        // No chain of one table leads into another, so nothing of others leads into ours.
        match &mut rule.then {
            Then::Jump(id) | Then::Goto(id) => *id = at(*id).unwrap_or(ChainId(u32::MAX)),
            _ => {}
        }
    }
    out.stages.extend(current.stages.iter().filter_map(|s| {
        let chain = at(s.chain)?;
        Some(crate::ruleset::Stage { chain, ..s.clone() })
    }));
    let others = out.stages.len();
    out.join(rendered.clone());
    out.stages.rotate_left(others);
    out.digest.clone_from(&rendered.digest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{policies, read, rendered};
    use super::*;
    use crate::access::Question;
    use crate::net::AddrSet;
    use crate::ruleset::evaluate;

    #[test]
    fn our_table_is_replaced_and_nothing_else() {
        let foreign = "table ip filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tip saddr 198.51.100.0/24 jump more\n\t}\n\n\tchain more {\n\t\ttcp dport 993 accept\n\t}\n}\n";
        let all = policies();
        let (office, closed) = (rendered(&all[0].1), rendered(&all[6].1));
        let before = read(&format!("{closed}{foreign}"));
        assert!(has_ours(&before) && !has_ours(&read(foreign)));
        let after = replace_ours(&before, &read(&office));
        assert_eq!(after.digest, Some(all[0].1.digest().to_string()));
        let q = Question::opening(993);
        assert!(evaluate(&before, &q).reachable().is_empty());
        let in_both: AddrSet = "198.51.100.0/25".parse().unwrap();
        assert_eq!(evaluate(&after, &q).reachable().v4, in_both.v4);
        let gone = replace_ours(&after, &Ruleset::default());
        assert!(!has_ours(&gone));
        assert_eq!(evaluate(&gone, &q), evaluate(&read(foreign), &q));
    }
}
