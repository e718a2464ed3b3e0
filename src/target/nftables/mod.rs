//! nftables: one file for `nft -f` that replaces our table, `inet harden993`, and touches nothing else.

mod render;
mod sets;
#[cfg(test)]
mod tests;

use super::{File, Job, RenderError};

/// The packet filter of Linux, spoken to with `nft`.
#[derive(Clone, Copy, Debug)]
pub struct Nftables;

impl Nftables {
    /// The files of a policy.
    pub fn files(self, job: &Job<'_>) -> Result<Vec<File>, RenderError> {
        render::files(job)
    }
}
