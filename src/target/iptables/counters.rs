//! What our chains have refused, from listings with counters.

use std::collections::BTreeMap;

use crate::target::{Counter, Listing};

/// The rule that counts each kind of refusal, by the chain that it ends.
const ENDS: [(&str, &str, &str); 3] = [
    ("-A H993-REFUSE ", " -j ", "refused"),
    ("-A H993-BLOCK ", "-g H993-REFUSE", "blocked"),
    ("-A H993-OVER ", "-g H993-REFUSE", "limited"),
];

/// The counters of both families and variants together: `refused` holds all that is refused.
pub(super) fn counters(live: &Listing) -> Vec<Counter> {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for line in live.sections.iter().flat_map(|s| s.text.lines()) {
        let Some((counts, rule)) = line.strip_prefix('[').and_then(|l| l.split_once("] ")) else { continue };
        let Some((packets, bytes)) = counts.split_once(':') else { continue };
        for (chain, end, name) in ENDS {
            if let (true, true, Ok(p), Ok(b)) =
                (rule.starts_with(chain), rule.contains(end), packets.parse::<u64>(), bytes.parse::<u64>())
            {
                let sum = sums.entry(name).or_default();
                *sum = (sum.0.saturating_add(p), sum.1.saturating_add(b));
            }
        }
    }
    sums.into_iter().map(|(name, (packets, bytes))| Counter { name: name.to_owned(), packets, bytes }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_added_up() {
        let text = "[3:180] -A H993-REFUSE -j DROP\n[1:60] -A H993-OVER -g H993-REFUSE\n\
                    [2:160] -A H993-REFUSE -j DROP\n-A H993-BLOCK -g H993-REFUSE\n";
        let found: Vec<_> = counters(&Listing::of_text(text)).into_iter().map(|c| (c.name, c.packets)).collect();
        assert_eq!(found, [("limited".to_owned(), 1), ("refused".to_owned(), 5)]);
    }
}
