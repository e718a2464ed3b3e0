//! harden993 decides who may reach IMAPS, and makes certain that the firewall says so.
//!
//! Four nouns carry everything: a [`profile`] is lowered to a [`policy`], which a [`target`] renders as text; the text is
//! read back into a [`ruleset`], whose evaluation is an [`access`]. The law that holds them together:
//! `access(read(render(policy)), q) == access(policy, q)`, for every target, every policy and every question q.

pub mod access;
pub mod change;
pub mod commands;
pub mod diagnostic;
pub mod host;
pub mod net;
pub mod policy;
pub mod profile;
pub mod program;
pub mod report;
pub mod ruleset;
pub mod target;
