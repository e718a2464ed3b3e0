//! Many sheets to one: tables merge key by key, the nearer file wins, and entries add up.

use crate::diagnostic::Code;

use super::sheet::{Entry, LimitKeys, LogKeys, Sheet, Switch, TargetKeys, Values};

/// All files together.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) values: Values,
    /// In the order in which the files were read, and of one file in its own.
    pub(super) entries: Vec<Entry>,
    pub(super) allow: Vec<&'static Code>,
}

/// Merges sheets, the nearest first.
pub(super) fn merge(sheets: Vec<Sheet>) -> Merged {
    let mut merged = Merged::default();
    let (mut logs, mut limits) = (Vec::new(), Vec::new());
    for sheet in sheets {
        let mut far = sheet.values;
        logs.extend(far.log.take());
        limits.extend(far.limits.take());
        fill_values(&mut merged.values, far);
        merged.entries.extend(sheet.entries);
        merged.allow.extend(sheet.allow);
    }
    merged.values.log = layers(logs, fill_log);
    merged.values.limits = layers(limits, fill_limits);
    merged.entries.sort_by_key(|e| (e.header.file, e.header.span.start));
    merged
}

/// Takes the far value where the near file says nothing.
fn fill<T>(near: &mut Option<T>, far: Option<T>) {
    if near.is_none() {
        *near = far;
    }
}

fn fill_values(near: &mut Values, far: Values) {
    fill(&mut near.name, far.name);
    fill(&mut near.description, far.description);
    fill(&mut near.service, far.service);
    fill(&mut near.ports, far.ports);
    fill(&mut near.interfaces, far.interfaces);
    fill(&mut near.close_plaintext, far.close_plaintext);
    fill(&mut near.forwarded, far.forwarded);
    fill(&mut near.closed, far.closed);
    fill(&mut near.action, far.action);
    for (name, far) in far.targets {
        let near: &mut TargetKeys = near.targets.entry(name).or_default();
        fill(&mut near.degrade, far.degrade);
        fill(&mut near.interfaces, far.interfaces);
        for (key, word) in far.choices {
            near.choices.entry(key).or_insert(word);
        }
    }
}

/// Tables that can also be `false`, the nearest first: keys are filled from farther tables, down to the first `false`.
fn layers<T>(all: Vec<Switch<T>>, fill: impl Fn(&mut T, T)) -> Option<Switch<T>> {
    let mut all = all.into_iter();
    let Switch::On(mut near) = all.next()? else { return Some(Switch::Off) };
    for layer in all {
        match layer {
            Switch::On(far) => fill(&mut near, far),
            Switch::Off => break,
        }
    }
    Some(Switch::On(near))
}

fn fill_log(near: &mut LogKeys, far: LogKeys) {
    fill(&mut near.rate, far.rate);
    fill(&mut near.burst, far.burst);
}

fn fill_limits(near: &mut LimitKeys, far: LimitKeys) {
    fill(&mut near.rate, far.rate);
    fill(&mut near.burst, far.burst);
    fill(&mut near.concurrent, far.concurrent);
    fill(&mut near.ipv4_prefix, far.ipv4_prefix);
    fill(&mut near.ipv6_prefix, far.ipv6_prefix);
}
