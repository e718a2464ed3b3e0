//! The Windows target from outside: the script that it renders, and the captures that it reads.

mod captures;
mod drafts;
mod host;
mod law;
mod order;
mod powershell;
mod rules;
mod syntax;
