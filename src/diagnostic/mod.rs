//! A problem as data: its code, where it is, what is wrong and the way out; and the catalogue of every code.
//!
//! Nothing here prints. The report room turns problems into text or JSON.

mod catalogue;
mod files;
mod problem;

pub use catalogue::{CATALOGUE, Code, Severity, code, codes};
pub use files::{FileId, Files, Position, SourceFile};
pub use problem::{Label, Place, Problem};
