//! The exit codes, as in diff(1), in one place.

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Exit {
    /// 0: nothing to report.
    Clean = 0,
    /// 1: a difference or a finding.
    Finding = 1,
    /// 2: the profile, an argument or an input is wrong.
    Wrong = 2,
    /// 3: the host could not do it; nothing was changed.
    Host = 3,
    /// 4: it was changed and has been put back.
    PutBack = 4,
    /// 5: it was changed and could not be put back.
    Broken = 5,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// [`Exit::Finding`] if there is something to report.
    pub fn finding(found: bool) -> Self {
        if found { Self::Finding } else { Self::Clean }
    }
}
