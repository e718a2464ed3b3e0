//! Profile: the TOML file as people write it, checked as a whole and lowered to a policy.
//!
//! [`load`] reads the file and everything that it names. A file becomes a sheet of typed values with their places
//! (`parse`, `reader`, `entry`); sheets are put in order and merged (`include`, `merge`); entries become addresses with the
//! lines that they come from (`roster`, `list`, `networks`); the whole is checked (`checks`, `overlap`) and lowered
//! (`draft`). Every step notes what is wrong and goes on, so that one run names all problems.

mod checks;
mod draft;
mod entry;
mod include;
mod keys;
mod list;
mod load;
mod merge;
mod networks;
mod overlap;
mod parse;
mod parse_target;
mod reader;
mod roster;
mod schema;
mod sheet;
mod sink;
mod store;
mod words;

pub use load::{Loaded, Options, Origin, load};
pub use parse::MAX_TOML;
pub use schema::schema;
pub use store::{Disk, MAX_FILE, Store};
pub use words::harmless;
