//! Failures as objects for programs.

use serde::Serialize;

use crate::commands::{Failure, Problems};

#[derive(Serialize)]
struct Object<'a> {
    schema: u8,
    error: Error<'a>,
    problems: &'a Problems,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'static str,
    message: &'a str,
    help: Option<&'a str>,
}

/// Why a command did not come to a report.
pub(super) fn failure(failure: &Failure) -> String {
    let error = Error { code: failure.code.name(), message: &failure.message, help: failure.help.as_deref() };
    let none = Problems::default();
    let problems = failure.problems.as_deref().unwrap_or(&none);
    serde_json::to_string(&Object { schema: 1, error, problems }).unwrap_or_default()
}

/// A text that was asked for instead of a report, such as the help.
pub(super) fn text(text: &str) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        schema: u8,
        text: &'a str,
    }
    serde_json::to_string(&Object { schema: 1, text }).unwrap_or_default()
}
