//! Why a command did not come to a report.

use crate::host::HostError;

use super::Exit;
use super::problems::Problems;

/// What kind of failure, by a name that scripts can rely on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Code {
    /// The command line is wrong.
    Argument,
    /// No profile was named and none is at the usual places.
    NoProfile,
    /// A profile, listing or other input is wrong.
    Input,
    /// The profile has errors; they are in `problems`.
    Profile,
    /// The target cannot do what the profile asks for.
    Unsupported,
    /// A file could not be read or written, or a program did not do its work.
    Host,
    /// Something is there that must not be overwritten.
    Exists,
    /// There is nothing that could be put back.
    Nothing,
    /// A defect of harden993: it refused its own output.
    Defect,
}

impl Code {
    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::NoProfile => "no-profile",
            Self::Input => "input",
            Self::Profile => "profile",
            Self::Unsupported => "unsupported",
            Self::Host => "host",
            Self::Exists => "exists",
            Self::Nothing => "nothing",
            Self::Defect => "defect",
        }
    }
}

/// Why a command did not come to a report: what is wrong, and what to do.
#[derive(Debug)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What kind of failure.
    pub code: Code,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What to do, in the same form.
    pub help: Option<String>,
    /// What is wrong with the profile, if that is the reason.
    pub problems: Option<Box<Problems>>,
}

impl Failure {
    /// A failure that ends with [`Exit::Wrong`].
    pub fn wrong(code: Code, message: impl Into<String>) -> Self {
        Self { exit: Exit::Wrong, code, message: message.into(), help: None, problems: None }
    }

    /// A failure that ends with [`Exit::Host`].
    pub fn host(message: impl Into<String>) -> Self {
        Self { exit: Exit::Host, code: Code::Host, message: message.into(), help: None, problems: None }
    }

    /// The same failure with what is wrong with the profile.
    #[must_use]
    pub fn problems(mut self, problems: Problems) -> Self {
        self.problems = Some(Box::new(problems));
        self
    }

    /// The same failure with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<HostError> for Failure {
    /// A file that could not be written, a program that could not be run: the host's fault. Inputs that cannot be read are
    /// the caller's; commands say so where they read them.
    fn from(error: HostError) -> Self {
        Self::host(error.to_string())
    }
}
