//! What each arrow costs, from the text of a list to rules that are proved: `cargo bench`.
//!
//! The lists have the same distributions as those of `scripts/bench`, which compares whole programs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use harden993::net::parse_network;
use harden993::policy::TargetSettings;
use harden993::profile::{Loaded, Options, Origin, load};
use harden993::target::{ALL, Target, adapt, render};

fn main() {
    divan::main();
}

/// The lengths of the lists: proportional growth shows from line to line.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

const PROFILE: &str = r#"schema = 1
name = "bench"
service.plaintext_imap = "leave"
[[trusted]]
name = "list"
file = "list.txt"
"#;

/// A list of networks, one a line: IPv4 (/16 to /32) and IPv6 (/32 to /128) by turns, with overlaps.
fn list(count: usize) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut state = 993_u64;
    // SplitMix64 (Steele, Lea, Flood 2014): a few lines, and the same numbers everywhere.
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut text = String::new();
    for i in 0..count {
        if i % 2 == 0 {
            let length = 16 + next() % 17;
            let address = u32::try_from(0x0100_0000 + next() % 0xdf00_0000).expect("below 224.0.0.0");
            let address = if matches!(address >> 24, 10 | 127) { address ^ 0x4000_0000 } else { address };
            let network = std::net::Ipv4Addr::from(address >> (32 - length) << (32 - length));
            writeln!(text, "{network}/{length}").expect("a string takes everything");
        } else {
            let length = 32 + next() % 97;
            let address = (u128::from(next()) << 64 | u128::from(next())) >> 3 | 1 << 125;
            let network = std::net::Ipv6Addr::from(address >> (128 - length) << (128 - length));
            writeln!(text, "{network}/{length}").expect("a string takes everything");
        }
    }
    text.into_bytes()
}

/// A profile that trusts a list, read from memory.
fn loaded(list: &[u8]) -> Loaded {
    let specs: Vec<_> = ALL.iter().map(|t| t.spec()).collect();
    let options = Options { today: jiff::civil::date(2026, 1, 1), specs: &specs };
    let origin = Origin::Text { text: PROFILE.as_bytes().to_vec(), dir: PathBuf::from("/") };
    let loaded = load(&origin, &options, &|_: &Path| Ok::<_, io::Error>(list.to_vec()));
    assert!(loaded.policy.is_some(), "the profile is valid");
    loaded
}

#[divan::bench(args = SIZES)]
fn parse_a_list(bencher: Bencher, count: usize) {
    let text = list(count);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let lines = text.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        lines.filter_map(|l| parse_network(black_box(l)).ok()).count()
    });
}

#[divan::bench(args = SIZES)]
fn profile_to_policy(bencher: Bencher, count: usize) {
    let text = list(count);
    bencher.counter(ItemsCount::new(count)).bench(|| loaded(black_box(&text)));
}

/// A target and the size of a list.
#[derive(Clone, Copy)]
struct Case(&'static dyn Target, usize);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.spec().name, self.1)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    ALL.iter().flat_map(|t| SIZES.map(|size| Case(*t, size)))
}

#[divan::bench(args = cases())]
fn policy_to_proved_rules(bencher: Bencher, Case(target, count): Case) {
    let loaded = loaded(&list(count));
    let policy = loaded.policy.as_ref().expect("checked above");
    let settings = TargetSettings::default();
    let adapted = adapt(target, policy, &loaded.asked, &settings).expect("nothing here is beyond a target");
    let job = adapted.job(policy.digest(), &loaded.name, &settings);
    bencher.counter(ItemsCount::new(count)).bench(|| render(target, black_box(&job)));
}
