//! Policy: who may reach the guarded ports, validated, order-free and minimal. It knows neither TOML nor firewall syntax.

mod build;
mod digest;
mod feature;
mod model;
mod provenance;
mod questions;

pub use build::{Draft, Grant};
pub use digest::Digest;
pub use feature::{Asked, Feature, TargetSettings, TargetSpec};
pub use model::{Class, ClassId, Forwarded, Limit, LogPolicy, Partition, Policy, Zone};
pub use provenance::{Line, Provenance, ProvenanceDraft, Source, SourceKind};
