//! How a host is read and loaded: with `nft`, whose every file is one transaction.

use crate::target::{Listing, LoadError, Loading, Observation, ReadError, Section, Step, Wanted};

use super::{TABLE, delta, look, read};

pub(super) const PROGRAM: &str = "nft";

/// The command that shows everything: others' tables decide as well. `-a` shows handles, by which rules are named.
pub(super) const OBSERVATIONS: &[Observation] =
    &[Observation { program: PROGRAM, args: &["-a", "list", "ruleset"], optional: true, unless: &[] }];

/// Whether rules are better loaded here than through iptables: nft runs, and no legacy tables are in use beside it.
pub(super) fn prefers(live: &Listing) -> bool {
    let legacy = |s: &Section| {
        let legacy =
            s.command.contains("legacy") || s.text.contains("iptables-save v") && !s.text.contains("(nf_tables)");
        // With `-c`, each rule stands behind its counters: `[1:60] -A INPUT …`.
        let rule = |l: &str| l.starts_with("-A ") || l.starts_with('[') && l.contains("] -A ");
        legacy && s.text.lines().any(|l| rule(l) || l.starts_with(':') && l.contains(" DROP "))
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

/// The lines of a listing from the head of our table on.
pub(super) fn own_lines(text: &str) -> impl Iterator<Item = &str> {
    let heading = format!("table {TABLE} {{");
    text.split_inclusive('\n').skip_while(move |l| !l.starts_with(&heading))
}

/// The lines of our table in a listing. Sets that packets fill are kept empty: what is in them belongs to the moment.
fn own_block(text: &str) -> Option<String> {
    let mut out = String::new();
    let (mut dynamic, mut in_elements) = (false, false);
    for line in own_lines(text) {
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
    // JSON shows less than there is, so that only text is compared.
    let small = |goal: &str| {
        let section = live.sections.iter().find(|s| read::is_nft(s) && !read::is_json(&s.text));
        section.map(|s| delta::delta(&s.text, s.before, goal)).transpose().map(Option::flatten)
    };
    let rendered: String;
    let goal = match wanted {
        Wanted::Rendering(_, files) => {
            rendered = files.iter().map(|f| f.content.as_str()).collect();
            rendered.as_str()
        }
        Wanted::Snapshot(text) => text,
        Wanted::Anew(text) => return Ok(whole(text.to_owned())),
        // Declared before it is deleted, so that it is no error if it is gone.
        Wanted::Absent => return Ok(whole(format!("table {TABLE}\ndelete table {TABLE}\n"))),
    };
    Ok(match small(goal)? {
        Some(delta) if delta.there.is_empty() => Loading { delta: true, ..Loading::default() },
        // There and back in one transaction: the firewall says of both that it would take them.
        Some(delta) => Loading {
            check: vec![checked(delta.there.clone() + &delta.back)],
            looks: look::looks(&delta),
            load: vec![loaded(delta.there)],
            delta: true,
        },
        None => whole(goal.to_owned()),
    })
}

fn whole(input: String) -> Loading {
    Loading { check: vec![checked(input.clone())], load: vec![loaded(input)], ..Loading::default() }
}

fn checked(input: String) -> Step {
    Step::new(PROGRAM, &["-c", "-f", "-"], input)
}

fn loaded(input: String) -> Step {
    Step::new(PROGRAM, &["-f", "-"], input)
}

/// The check of a snapshot, without most of its networks.
///
/// What nft or the kernel could refuse is the chains, the rules, and the sets as they are declared; these are checked as
/// they are. The elements of a plain set of addresses are all of one kind: the kernel has listed them, so they are
/// distinct, and each is an address and nothing else. If it takes one it takes them all, and asking about a hundred
/// thousand costs as much as loading them.
pub(super) fn rehearsal(snapshot: &str) -> Step {
    checked(sample(snapshot))
}

/// A snapshot in which the plain sets of addresses hold one element each. Other sets are as they were: intervals could
/// overlap, and what has a size could be full.
fn sample(snapshot: &str) -> String {
    let mut out = String::with_capacity(snapshot.len().min(1 << 16));
    let mut plain = false;
    let mut lines = snapshot.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        let Some(first) = trimmed.strip_prefix("elements = {").filter(|_| plain) else {
            plain = matches!(trimmed, "type ipv4_addr" | "type ipv6_addr");
            out.push_str(line);
            continue;
        };
        // All lines up to the end of the elements, as they are if anything in them is no address.
        let mut elements = line.to_owned();
        let mut addresses = are_addresses(first);
        while !elements.trim_end().ends_with('}') {
            let Some(line) = lines.next() else { break };
            addresses &= are_addresses(line);
            elements.push_str(line);
        }
        match first.split_once(',') {
            Some((one, _)) if addresses => out.extend(["\t\telements = {", one, " }\n"]),
            _ => out.push_str(&elements),
        }
        plain = false;
    }
    out
}

/// Whether a line of elements holds addresses only.
fn are_addresses(line: &str) -> bool {
    line.trim_end().trim_end_matches('}').bytes().all(|b| b.is_ascii_hexdigit() || b".:, \t".contains(&b))
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

    #[test]
    fn a_snapshot_is_checked_with_one_address_of_each_plain_set() {
        let head = "table inet harden993\ndelete table inet harden993\ntable inet harden993 { # handle 3\n";
        let plain = "\tset trusted_v4_32 { # handle 5\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1, 192.0.2.2,\n\t\t\t     192.0.2.3 }\n\t}\n";
        let kept = "\tset trusted_v4 {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 192.0.2.0/24, 203.0.113.0/24 }\n\t}\n\tset odd {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1 comment \"}\",\n\t\t\t     192.0.2.2 }\n\t}\n\tchain c {\n\t\tip saddr 192.0.2.1 accept\n\t}\n}\n";
        let cut = "\tset trusted_v4_32 { # handle 5\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1 }\n\t}\n";
        assert_eq!(sample(&format!("{head}{plain}{kept}")), format!("{head}{cut}{kept}"));
    }

    #[test]
    fn a_check_goes_there_and_back_and_a_load_there() {
        let listed = |networks: &str| {
            format!(
                "table inet harden993 {{\n\tset trusted_v4_32 {{\n\t\ttype ipv4_addr\n\t\telements = {{ {networks} }}\n\t}}\n\tchain rev_{} {{\n\t}}\n}}\n",
                networks.len()
            )
        };
        let (one, two) = (listed("192.0.2.1"), listed("192.0.2.1, 192.0.2.2"));
        let loading = loading(&Listing::of_text(one), Wanted::Snapshot(&two)).expect("both are listings");
        let (there, back) = loading.check[0].input.split_at(loading.load[0].input.len());
        assert_eq!(there, loading.load[0].input);
        assert!(there.starts_with("delete chain inet harden993 rev_9\nadd chain inet harden993 rev_20\n"), "{there}");
        assert!(back.starts_with("delete chain inet harden993 rev_20\nadd chain inet harden993 rev_9\n"), "{back}");
        assert!(back.contains("flush set inet harden993 trusted_v4_32\n") && loading.delta);
    }
}
