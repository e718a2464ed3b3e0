//! What our two named counters have counted, from a listing as text.

use crate::target::{Counter, Listing};

use super::TABLE;

/// The counters of our table. A listing in JSON has none here: live listings are text.
pub(super) fn counters(live: &Listing) -> Vec<Counter> {
    let head = format!("table {TABLE} {{");
    let mut out = Vec::new();
    let (mut ours, mut name) = (false, None);
    for line in live.sections.iter().flat_map(|s| s.text.lines()) {
        if line.starts_with("table ") {
            ours = line.starts_with(&head);
        }
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("counter"), Some(word), Some("{"), _) if ours => name = Some(word.to_owned()),
            (Some("packets"), Some(packets), Some("bytes"), Some(bytes)) => {
                if let (Some(name), Ok(packets), Ok(bytes)) = (name.take(), packets.parse(), bytes.parse()) {
                    out.push(Counter { name, packets, bytes });
                }
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ours_are_counted() {
        let text = "table inet other {\n\tcounter refused {\n\t\tpackets 9 bytes 9\n\t}\n}\ntable inet harden993 { # handle 4\n\
                    \tcounter accepted { # handle 1\n\t\tpackets 7 bytes 420\n\t}\n}\n";
        let found = counters(&Listing::of_text(text));
        assert_eq!(found, [Counter { name: "accepted".to_owned(), packets: 7, bytes: 420 }]);
    }
}
