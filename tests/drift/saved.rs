//! Saved listings against profiles, without a kernel: the program as a function, on a machine in memory.

use std::path::Path;

use harden993::host::Recorded;
use harden993::policy::{Draft, Feature};
use harden993::program::{World, run};

use crate::dice::Dice;
use crate::{policies, written};

/// A machine that holds a profile, which lets every target leave out what it cannot do.
pub(crate) struct Desk {
    host: Recorded,
    /// What the profile is, for messages.
    pub(crate) profile: String,
}

/// What a command did: its exit code, what it found, what else it said.
pub(crate) type Done = (u8, String, String);

impl Desk {
    /// The desk with the profile of a draft, and more lines of a target's table.
    pub(crate) fn new(target: &str, draft: &Draft, keys: &str) -> Self {
        let degrade = Feature::ALL.map(|f| format!("\"{}\"", f.word())).join(", ");
        let profile =
            written::profile("generated", draft) + &format!("[target.{target}]\ndegrade = [{degrade}]\n{keys}\n");
        Self::of(&profile)
    }

    /// The desk with a profile.
    pub(crate) fn of(profile: &str) -> Self {
        let host = Recorded::default();
        host.put(Path::new("/srv/harden993.toml"), profile.to_owned());
        Self { host, profile: profile.to_owned() }
    }

    fn run(&self, args: &[&str]) -> Done {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut world = World { host: &self.host, stdout: &mut out, stderr: &mut err };
        let code = run([&["harden993"], args].concat(), &mut world);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what is printed is UTF-8");
        (code, text(out), text(err))
    }

    /// The rendering; none if the target cannot do what the profile asks for.
    pub(crate) fn render(&self, target: &str) -> Option<String> {
        let (code, out, err) = self.run(&["render", "--target", target]);
        assert!(code == 0 || (code == 2 && err.contains("target-cannot")), "{err}\n{}", self.profile);
        (code == 0).then_some(out)
    }

    /// What a command says of listings that belong together.
    pub(crate) fn ask(&self, command: &[&str], listings: &[String]) -> Done {
        let names: Vec<String> = (0..listings.len()).map(|i| format!("listing{i}")).collect();
        for (name, text) in names.iter().zip(listings) {
            self.host.put(Path::new("/srv").join(name), text.clone());
        }
        let current: Vec<&str> = names.iter().flat_map(|n| ["--current", n.as_str()]).collect();
        self.run(&[command, &current].concat())
    }

    /// Asserts that loading would change nothing, and that nothing is printed.
    pub(crate) fn is_unchanged(&self, what: &str, listings: &[String]) {
        let (code, out, err) = self.ask(&["diff"], listings);
        let shown: String = listings.join("\n====\n").chars().take(4000).collect();
        assert!(code == 0 && out.is_empty(), "{what}: exit {code}\n{out}\n{err}\n{}\n====\n{shown}", self.profile);
    }
}

/// The drafts that saved listings are tried with.
pub(crate) fn drafts(count: u64) -> impl Iterator<Item = (Draft, Dice)> {
    (0..count).map(|seed| {
        let mut dice = Dice::new(17_000_000 + seed);
        (policies::draft(&mut dice, seed % 20 == 19), dice)
    })
}

/// Another order.
pub(crate) fn shuffled<T>(mut items: Vec<T>, dice: &mut Dice) -> Vec<T> {
    for i in (1..items.len()).rev() {
        items.swap(i, dice.below(i as u64 + 1) as usize);
    }
    items
}
