//! What a live host is asked: pf's status, and every anchor with its rules, translations and tables.

use crate::target::Observation;

/// Prints sections of a capture, each headed by its command. A shell does it, because which anchors and tables there are
/// is known only there. Our own anchor is always asked for, so that its absence is seen too.
macro_rules! sections {
    () => {
        "p() { echo \"#harden993-capture: pfctl $*\"; pfctl \"$@\" 2>/dev/null; }; \
         t() { pfctl \"$@\" -sT 2>/dev/null | sed 's/@.*//' | while read -r t; do p \"$@\" -t \"$t\" -T show; done; }; \
         p -vsI; p -vsA; p -vvsr; p -sn; t; \
         { pfctl -vsA 2>/dev/null; echo harden993; } | sort -u | while read -r a; do \
         p -a \"$a\" -vvsr; p -a \"$a\" -sn; t -a \"$a\"; done"
    };
}

/// The commands that show what a host has loaded.
pub(super) const OBSERVATIONS: &[Observation] = &[
    Observation { program: "pfctl", args: &["-si"], optional: false, unless: &[] },
    Observation { program: "sh", args: &["-c", sections!()], optional: false, unless: &[] },
];

/// The same as a script for a host without harden993.
pub(super) const SCRIPT: &str = concat!(
    "#!/bin/sh\n# Prints the rules of this host in the form that `harden993 --current` reads.\n\
     LC_ALL=C; export LC_ALL\nPATH=$PATH:/usr/sbin:/sbin; export PATH\n\
     echo '#harden993-capture: pfctl -si'\npfctl -si || exit 3\n",
    sections!(),
    "\n"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::HEADING;

    #[test]
    fn the_script_heads_its_sections_as_captures_do() {
        assert!(SCRIPT.contains(HEADING));
        assert!(OBSERVATIONS.iter().all(|o| !o.command().contains('\n')));
    }
}
