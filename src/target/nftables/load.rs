//! How a host is read and loaded: with `nft`, whose every file is one transaction.

use crate::target::{Listing, LoadError, Loading, Observation, ReadError, Section, Step, Wanted};

use super::{TABLE, delta, read};

const PROGRAM: &str = "nft";

/// The command that shows everything: others' tables decide as well. `-a` shows handles, by which rules are named.
pub(super) const OBSERVATIONS: &[Observation] =
    &[Observation { program: PROGRAM, args: &["-a", "list", "ruleset"], optional: true }];

/// Whether rules are better loaded here than through iptables: nft runs, and no legacy tables are in use beside it.
pub(super) fn prefers(live: &Listing) -> bool {
    let legacy = |s: &Section| {
        let legacy =
            s.command.contains("legacy") || s.text.contains("iptables-save v") && !s.text.contains("(nf_tables)");
        legacy && s.text.lines().any(|l| l.starts_with("-A ") || l.starts_with(':') && l.contains(" DROP "))
    };
    live.sections.iter().any(read::is_nft) && !live.sections.iter().any(legacy)
}

/// Our table as a listing has it, without what packets put into it, so that it loads again.
///
/// # Errors
/// A listing in JSON, which nft does not load as it prints it.
pub(super) fn snapshot(live: &Listing) -> Result<Option<String>, ReadError> {
    for section in live.sections.iter().filter(|s| read::is_nft(s)) {
        if read::is_json(&section.text) {
            return Err(ReadError::line(
                section.before + 1,
                "what is loaded is kept from a text listing; run `nft -a list ruleset` without -j",
            ));
        }
        if let Some(block) = own_block(&section.text) {
            return Ok(Some(format!("table {TABLE}\ndelete table {TABLE}\n{block}")));
        }
    }
    Ok(None)
}

/// The lines of our table in a listing. Sets that packets fill are kept empty: what is in them belongs to the moment.
fn own_block(text: &str) -> Option<String> {
    let heading = format!("table {TABLE} {{");
    let mut lines = text.split_inclusive('\n').skip_while(|l| !l.starts_with(&heading));
    let mut out = String::new();
    let (mut dynamic, mut in_elements) = (false, false);
    out.push_str(lines.next()?);
    for line in lines {
        let trimmed = line.trim();
        if trimmed.starts_with("set ") || trimmed.starts_with("chain ") {
            dynamic = false;
        }
        dynamic |= trimmed.starts_with("flags ") && (trimmed.contains("dynamic") || trimmed.contains("timeout"));
        in_elements |= dynamic && trimmed.starts_with("elements = {");
        if in_elements {
            in_elements = !trimmed.ends_with('}');
            continue;
        }
        out.push_str(line);
        if line.starts_with('}') {
            return Some(out);
        }
    }
    None
}

/// One file that is checked and loaded, or nothing where nothing would change.
pub(super) fn loading(live: &Listing, wanted: Wanted<'_>) -> Result<Loading, LoadError> {
    let whole = |input: String| steps(input, false);
    Ok(match wanted {
        Wanted::Rendering(_, files) => {
            let rendered: String = files.iter().map(|f| f.content.as_str()).collect();
            // JSON shows less than there is, so that only text is compared.
            let section = live.sections.iter().find(|s| read::is_nft(s) && !read::is_json(&s.text));
            match section.map(|s| delta::delta(&s.text, s.before, &rendered)).transpose()?.flatten() {
                Some(delta) if delta.is_empty() => Loading { delta: true, ..Loading::default() },
                Some(delta) => steps(delta, true),
                None => whole(rendered),
            }
        }
        Wanted::Snapshot(text) => whole(text.to_owned()),
        // Declared before it is deleted, so that it is no error if it is gone.
        Wanted::Absent => whole(format!("table {TABLE}\ndelete table {TABLE}\n")),
    })
}

fn steps(input: String, delta: bool) -> Loading {
    Loading {
        check: vec![Step::new(PROGRAM, &["-c", "-f", "-"], input.clone())],
        load: vec![Step::new(PROGRAM, &["-f", "-"], input)],
        delta,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_our_table_without_what_packets_put_there() {
        let text = "table ip a {\n}\ntable inet harden993 { # handle 3\n\tset rate1_v4 {\n\t\ttype ipv4_addr . inet_service\n\t\tsize 65535\n\t\tflags dynamic,timeout\n\t\ttimeout 1m\n\t\telements = { 192.0.2.1 . 993 limit rate 1/minute burst 5 packets expires 50s,\n\t\t\t     192.0.2.2 . 993 expires 4s }\n\t}\n\n\tset trusted_v4 {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 192.0.2.0/24 }\n\t}\n}\ntable ip b {\n}\n";
        let kept = snapshot(&Listing::of_text(text)).expect("a listing").expect("ours is there");
        assert!(
            kept.starts_with("table inet harden993\ndelete table inet harden993\ntable inet harden993 { # handle 3\n")
        );
        assert!(!kept.contains("expires") && kept.contains("192.0.2.0/24") && kept.ends_with("\n}\n"));
        assert!(!kept.contains("table ip"));
        assert_eq!(snapshot(&Listing::of_text("table ip a {\n}\n")), Ok(None));
    }
}
