//! The Windows target from outside: the script that it renders, and the captures that it reads.

mod drafts;
mod law;
