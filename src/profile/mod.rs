//! Profile: the TOML file as people write it, checked as a whole and lowered to a policy.

mod load;
mod store;

pub use load::{Loaded, Options, Origin, load};
pub use store::{Disk, MAX_FILE, Store};
