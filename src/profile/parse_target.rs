//! The `[target.NAME]` tables of one file.

use crate::diagnostic::codes;
use crate::policy::{Feature, TargetSpec};

use super::keys;
use super::reader::{Reader, Value, either};
use super::sheet::{TargetKeys, Values};
use super::words::{nearest, quoted};

/// Reads `[target]` with all its tables.
pub(super) fn targets(r: &mut Reader<'_>, value: &Value<'_>, specs: &[TargetSpec], values: &mut Values) {
    let Some(table) = r.table("target", value, "[target.nftables]") else { return };
    for (key, value) in table {
        let names: Vec<&'static str> = specs.iter().map(|s| s.name).collect();
        match specs.iter().find(|s| s.name == key.get_ref().as_ref()) {
            Some(spec) => {
                let keys = target(r, spec, value);
                values.targets.insert(spec.name, keys);
            }
            None => r.unknown(key, &names, "under `target`"),
        }
    }
}

fn target(r: &mut Reader<'_>, spec: &TargetSpec, value: &Value<'_>) -> TargetKeys {
    let mut out = TargetKeys::default();
    let place = format!("under `[target.{}]`", spec.name);
    let Some(table) = r.table(spec.name, value, &format!("[target.{}]", spec.name)) else { return out };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "degrade" => out.degrade = degrade(r, value),
            "interfaces" => out.interfaces = r.interfaces("interfaces", value, spec.name == "windows"),
            name => {
                if let Some((own, words)) = spec.keys.iter().find(|(k, _)| *k == name) {
                    out.choices.extend(r.choice(own, value, words).map(|word| (*own, word.value)));
                } else {
                    let own = spec.keys.iter().map(|(k, _)| *k);
                    let known: Vec<&'static str> = keys::TARGET.iter().copied().chain(own).collect();
                    r.unknown(key, &known, &place);
                }
            }
        }
    }
    out
}

fn degrade(r: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<Feature>> {
    let words = Feature::ALL.map(Feature::word);
    let list = r.list("degrade", value, "degrade = [\"ipv6_prefix\"]")?;
    let mut out = Vec::new();
    for item in list {
        let Some((text, span)) = r.string("degrade", item, "degrade = [\"ipv6_prefix\"]") else { continue };
        if let Some(feature) = Feature::parse(text) {
            out.push(feature);
            continue;
        }
        r.report(&codes::INVALID_VALUE, span, |p| {
            let p = p.say(format!("{} cannot be left out", quoted(text)));
            match nearest(text, words) {
                Some(near) => p.help(format!("did you mean `{near}`?")).fix(near),
                None => p.help(format!("`degrade` knows {}", either(&words))),
            }
        });
    }
    Some(out)
}
