//! What every fuzz target does with a text once it is read: all that a command would.

use std::io;
use std::path::Path;

use harden993::access::Interface;
use harden993::change::{Reach, Scope, effect, reach, unified};
use harden993::net::AddrSet;
use harden993::policy::{Feature, TargetSettings};
use harden993::profile::{Options, Origin, load};
use harden993::ruleset::Ruleset;
use harden993::target::{ALL, HEADING, Listing, Platform, Section, adapt, read_host, render};

/// A listing of one host, as the output of a command (empty: it is told by its content), or a capture with headings.
pub fn listing(platform: Platform, command: &str, data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let listing = if text.starts_with(HEADING) {
        Listing::parse(text)
    } else {
        Listing { sections: vec![Section { command: command.to_owned(), text: text.to_owned(), before: 0 }] }
    };
    read(platform, &listing);
}

/// A file of which nothing is known, taken as a listing of every platform.
pub fn capture(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let listing = Listing::parse(text);
    if text.starts_with(HEADING) {
        assert_eq!(
            Listing::parse(&listing.to_text()).to_text(),
            listing.to_text(),
            "a capture is read as it is written"
        );
    }
    for platform in [Platform::Linux, Platform::Bsd, Platform::Windows] {
        read(platform, &listing);
    }
}

/// Reads a listing as `diff`, `reach` and `apply` do.
fn read(platform: Platform, listing: &Listing) {
    let lines = listing.sections.iter().map(|s| s.text.lines().count() + 1).sum::<usize>();
    let rules = match read_host(platform, listing) {
        Ok(rules) => rules.ruleset,
        Err(e) => {
            assert!(e.line >= 1 && e.line as usize <= lines + 1, "an error names a line of the text: {e}");
            return;
        }
    };
    for answer in reach(&rules, &Scope { ports: vec![993, 143], ..Scope::of_port(993) }) {
        is_partition(&answer);
    }
    reach(&rules, &Scope { interface: Some(Interface::parse("eth0")), ..Scope::of_port(993) });
    for target in ALL.iter().filter(|t| t.platform() == platform) {
        let (ours, none) = (target.print(&rules), Ruleset::default());
        unified(&ours, "");
        // A listing that reads may still hold more than can be put back.
        let _ = target.snapshot(listing);
        target.counters(listing);
        let removed = target.replace_ours(&rules, &none);
        assert!(!target.has_ours(&removed), "{}: ours are gone once they are removed", target.spec().name);
        effect(&rules, &removed, &Scope::of_port(993));
    }
}

/// Nobody is in two parts of an answer.
fn is_partition(answer: &Reach) {
    let unknown = answer.unknown.iter().fold(AddrSet::new(), |all, u| all.union(&u.sources.0));
    let parts = [&answer.reachable, &answer.refused, &unknown];
    for (n, a) in parts.iter().enumerate() {
        for b in &parts[n + 1..] {
            assert!(!a.overlaps(b), "{:?}: {} is in two parts", answer.asked, a.intersect(b).brief(3));
        }
    }
    assert!(answer.reachable.contains_all(&answer.limited), "who is limited can connect");
}

/// What stands between the profile and its list file in an input.
pub const LIST: &str = "\n#list\n";

/// A profile, and after [`LIST`] its list file: whatever is valid is rendered for every target, which proves the rendering.
pub fn profile(data: &[u8]) {
    let (profile, list) = match data.windows(LIST.len()).position(|w| w == LIST.as_bytes()) {
        Some(at) => (&data[..at], &data[at + LIST.len()..]),
        None => (data, &[][..]),
    };
    let specs: Vec<_> = ALL.iter().map(|t| t.spec()).collect();
    let options = Options { today: jiff::civil::date(2026, 11, 25), specs: &specs };
    let store = |path: &Path| -> io::Result<Vec<u8>> {
        match path.extension().is_some_and(|e| e == "txt") {
            true => Ok(list.to_vec()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    };
    let loaded = load(&Origin::Text { text: profile.to_vec(), dir: ".".into() }, &options, &store);
    let Some(policy) = &loaded.policy else {
        assert!(loaded.has_errors(), "a profile without a policy has an error");
        return;
    };
    for target in ALL {
        let name = target.spec().name;
        let settings = TargetSettings { degrade: Feature::ALL.into(), ..loaded.target(name) };
        let Ok(adapted) = adapt(*target, policy, &loaded.asked, &settings) else { continue };
        let job = adapted.job(policy.digest(), &loaded.name, &settings);
        if let Err(e) = render(*target, &job) {
            panic!("{name}: {e}");
        }
    }
}
