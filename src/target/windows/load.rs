//! How a Windows host is read and loaded: by scripts that PowerShell runs.

use std::sync::LazyLock;

use crate::target::{Listing, LoadError, Loading, Observation, ReadError, Step, Wanted};

use super::render::fill;
use super::{capture, read};

/// PowerShell as every supported Windows has it.
const PROGRAM: &str = "powershell.exe";

/// The script that prints a capture.
pub(super) const CAPTURE: &str = include_str!("../../../templates/windows/capture.ps1");

/// Runs the script that stands on the standard input. A command line holds 32767 characters, and our scripts are longer.
const RUN: &str = "& ([scriptblock]::Create([Console]::In.ReadToEnd()))";

/// The one command that shows what a host has loaded. The script is handed over in base64 of UTF-16LE, which no quoting
/// between here and PowerShell can change.
pub(super) fn observations() -> &'static [Observation] {
    static LIVE: LazyLock<[Observation; 1]> = LazyLock::new(|| {
        let script: Vec<u8> = CAPTURE.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // Once in the life of the program: an observation holds constants.
        let encoded: &'static str = base64(&script).leak();
        let args: &'static [&'static str] =
            vec!["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-EncodedCommand", encoded].leak();
        [Observation { program: PROGRAM, args, optional: false, unless: &[] }]
    });
    &*LIVE
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Our rules of a live host as the script that makes them again; none if there are none.
///
/// # Errors
/// A rule of ours that was changed to what the script cannot say.
pub(super) fn snapshot(live: &Listing) -> Result<Option<String>, ReadError> {
    let Some(section) = live.sections.iter().find(|s| read::recognises(&s.text)) else { return Ok(None) };
    let ours = capture::ours(read::unmarked(&section.text))?;
    if ours.rules.is_empty() {
        return Ok(None);
    }
    let interfaces: Vec<&str> = ours.interfaces.iter().map(String::as_str).collect();
    fill("snapshot", &ours.digest.unwrap_or_default(), &[], &interfaces, ours.rules)
        .map(Some)
        .map_err(|e| ReadError::line(1, e.to_string()))
}

/// The script itself brings a host to what it holds, with the fewest changes and in the safe order; `-WhatIf` is its check.
pub(super) fn loading(wanted: Wanted<'_>) -> Result<Loading, LoadError> {
    let (script, arguments) = match wanted {
        Wanted::Rendering(_, files) => (files.iter().map(|f| f.content.as_str()).collect::<String>(), ""),
        Wanted::Snapshot(script) | Wanted::Anew(script) => (script.to_owned(), ""),
        Wanted::Absent => {
            let script = fill("absent", "", &[], &[], Vec::new());
            (script.map_err(|e| LoadError::Read(ReadError::line(1, e.to_string())))?, " -State Absent")
        }
    };
    let step = |extra: &str| {
        let command = format!("{RUN}{arguments}{extra}");
        let args = ["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command", &command];
        Step::new(PROGRAM, &args, script.clone())
    };
    Ok(Loading { check: vec![step(" -WhatIf")], load: vec![step("")], delta: true, looks: Vec::new() })
}
