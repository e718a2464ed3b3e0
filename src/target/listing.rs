//! What a host printed, in sections, each headed by the command that printed it.

use super::Observation;

/// The output of one command.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Section {
    /// The command line that printed it, such as `nft list ruleset`; empty for a file whose command is not known.
    pub command: String,
    /// What it printed.
    pub text: String,
    /// The number of lines of the file before this text, so that errors name the right line.
    pub before: u32,
}

/// All that is known of a host's rules.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// The sections, in the order in which they were read.
    pub sections: Vec<Section>,
}

/// What heads a section in a capture: a line of its own, followed by the command.
pub const HEADING: &str = "#harden993-capture: ";

/// The sh script that takes these observations, each under its heading. It fails if a command fails that a host must have.
pub fn capture_script(observations: &[&Observation]) -> String {
    let mut out = String::from(
        "#!/bin/sh\n# Prints the rules of this host in the form that `harden993 --current` reads.\n\
         set -u\nLC_ALL=C; export LC_ALL\nPATH=$PATH:/usr/sbin:/sbin; export PATH\n",
    );
    for observation in observations {
        // Programs and arguments are constants of this source: letters, digits, dashes and blanks.
        let command = observation.command();
        let head = format!("echo '{HEADING}{command}'");
        let program = observation.program;
        let lines = if observation.optional {
            let has = |program: &str| format!("command -v {program} >/dev/null 2>&1");
            let others = observation.unless.iter().map(|p| has(p)).collect::<Vec<_>>().join(" && ");
            let unless = if others.is_empty() { others } else { format!(" && ! {{ {others}; }}") };
            let there = has(program) + &unless;
            // A tool that fails has no section, so that its rules are not taken for none; and it is said.
            format!(
                "if {there}; then\n\tif rules=$({command}); then\n\t\t{head}\n\t\t\
                 printf '%s\\n' \"$rules\"\n\telse\n\t\techo 'left out: {command}' >&2\n\tfi\nfi\n"
            )
        } else {
            format!("{head}\n{command} || exit 3\n")
        };
        out.push_str(&lines);
    }
    out
}

impl Listing {
    /// One text whose command is not known.
    pub fn of_text(text: impl Into<String>) -> Self {
        Self { sections: vec![Section { command: String::new(), text: text.into(), before: 0 }] }
    }

    /// Splits a capture into its sections; a text without headings is one section.
    pub fn parse(text: &str) -> Self {
        if !text.starts_with(HEADING) {
            return Self::of_text(text);
        }
        let mut sections: Vec<Section> = Vec::new();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            if let Some(command) = line.strip_prefix(HEADING) {
                sections.push(Section {
                    command: command.trim_end().to_owned(),
                    text: String::new(),
                    before: number as u32 + 1,
                });
            } else if let Some(section) = sections.last_mut() {
                section.text.push_str(line);
            }
        }
        Self { sections }
    }

    /// The capture that [`Self::parse`] reads.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for section in &self.sections {
            out.push_str(HEADING);
            out.push_str(&section.command);
            out.push('\n');
            out.push_str(&section.text);
            if !section.text.is_empty() && !section.text.ends_with('\n') {
                out.push('\n');
            }
        }
        out
    }

    /// The sections whose command starts with these words.
    pub fn of<'a>(&'a self, command: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |s| s.command.starts_with(command))
    }
}
