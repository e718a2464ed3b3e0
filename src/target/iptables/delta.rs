//! A chain of networks that is loaded, brought to what is wanted rule by rule, so that all other rules keep their counters.

use std::collections::HashMap;

use super::read::RawChain;

/// How the rules of a chain of networks begin.
const NETWORK: &str = "-s ";

/// The lines of a restore that make one chain the other; none if they differ in more than rules that name a network.
///
/// What both begin and end with stays as it is. Rules are deleted by what they say, so that the whole load is refused if
/// somebody took one away meanwhile.
pub(super) fn edits(loaded: &RawChain<'_>, wanted: &RawChain<'_>) -> Option<String> {
    let (old, new) = (&loaded.rules[..], &wanted.rules[..]);
    let alike = |pairs: &mut dyn Iterator<Item = (&str, &str)>| pairs.take_while(|(a, b)| a == b).count();
    let first = alike(&mut old.iter().map(|r| r.text).zip(new.iter().map(|r| r.text)));
    let (old_rest, new_rest) = (&old[first..], &new[first..]);
    let last = alike(&mut old_rest.iter().rev().map(|r| r.text).zip(new_rest.iter().rev().map(|r| r.text)));
    let (gone, come) = (&old_rest[..old_rest.len() - last], &new_rest[..new_rest.len() - last]);
    if !gone.iter().chain(come).all(|r| r.text.starts_with(NETWORK)) {
        return None;
    }
    let mut out = String::new();
    if !gone.is_empty() {
        let mut times: HashMap<&str, usize> = HashMap::with_capacity(old.len());
        for rule in old {
            *times.entry(rule.text).or_default() += 1;
        }
        // Of two that say the same, the wrong one could go.
        if gone.iter().any(|r| times.get(r.text) != Some(&1)) {
            return None;
        }
        for rule in gone {
            out.extend(["-D ", loaded.name, " ", rule.text, "\n"]);
        }
    }
    for (place, rule) in (first + 1..).zip(come) {
        if last == 0 {
            out.extend(["-A ", loaded.name, " ", rule.text, "\n"]);
        } else {
            out.extend(["-I ", loaded.name, " ", &place.to_string(), " ", rule.text, "\n"]);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::read::Line;
    use super::*;

    fn chain<'t>(rules: &[&'t str]) -> RawChain<'t> {
        let rules = rules.iter().map(|text| Line { text, number: 0 }).collect();
        RawChain { name: "H993-TRUSTED", policy: "-", rules }
    }

    #[test]
    fn one_network_more_is_one_rule() {
        let (a, b, end) = ("-s 192.0.2.0/24 -j ACCEPT", "-s 198.51.100.7/32 -j ACCEPT", "-g H993-REST");
        let one = chain(&[a, end]);
        let two = chain(&[a, b, end]);
        assert_eq!(edits(&one, &two).as_deref(), Some("-I H993-TRUSTED 2 -s 198.51.100.7/32 -j ACCEPT\n"));
        assert_eq!(edits(&two, &one).as_deref(), Some("-D H993-TRUSTED -s 198.51.100.7/32 -j ACCEPT\n"));
        assert_eq!(
            edits(&chain(&[a]), &chain(&[a, b])).as_deref(),
            Some("-A H993-TRUSTED -s 198.51.100.7/32 -j ACCEPT\n")
        );
        assert_eq!(
            edits(&chain(&[a, end]), &chain(&[b, end])).as_deref(),
            Some("-D H993-TRUSTED -s 192.0.2.0/24 -j ACCEPT\n-I H993-TRUSTED 1 -s 198.51.100.7/32 -j ACCEPT\n")
        );
    }

    #[test]
    fn what_is_no_network_is_written_anew() {
        let (a, end) = ("-s 192.0.2.0/24 -j ACCEPT", "-g H993-REST");
        assert_eq!(edits(&chain(&[a, end]), &chain(&[a])), None);
        assert_eq!(edits(&chain(&["-i lo -j ACCEPT", a]), &chain(&[a])), None);
        // Somebody has put the same rule there twice.
        assert_eq!(edits(&chain(&[a, a, end]), &chain(&[a, end])), None);
    }
}
