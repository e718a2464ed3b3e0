//! Reports: how what a command says looks, for people and for programs. Only this room prints, and only it knows colour.

mod human;
mod json;
mod printer;
mod problems;

pub use printer::{Look, Printer};
