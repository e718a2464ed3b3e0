//! The options of `keep state`.

use crate::access::{Bucket, Per, Rate};
use crate::target::ReadError;

use super::cursor::Parser;

impl Parser<'_, '_, '_> {
    /// `( … )` behind `keep state`.
    pub(super) fn state_options(&mut self) -> Result<(), ReadError> {
        if !self.take_mark("(") {
            return Ok(());
        }
        loop {
            if self.take_mark(",") {
                continue;
            }
            if self.take_mark(")") {
                return Ok(());
            }
            let word = self.word().ok_or_else(|| self.cut("an option of `keep state`"))?;
            match word {
                "max-src-conn-rate" => {
                    let text = self.word().ok_or_else(|| self.cut("a rate"))?;
                    self.rule.rate = bucket(text);
                    if self.rule.rate.is_none() {
                        self.at -= 1;
                        return Err(self.cut("a rate, such as 30/60,"));
                    }
                }
                "max-src-conn" | "max-src-states" => {
                    let count = self.word().and_then(|n| n.parse::<u32>().ok()).ok_or_else(|| self.cut("a number"))?;
                    self.rule.concurrent = Some(self.rule.concurrent.map_or(count, |c| c.min(count)));
                }
                "max" | "max-src-nodes" => {
                    self.word();
                    self.rule.effect.get_or_insert_with(|| format!("`{word}` limits all sources together"));
                }
                "source-track" => {
                    if self.take("global") {
                        let because = "`source-track global` counts over several rules".to_owned();
                        self.rule.effect.get_or_insert(because);
                    } else {
                        self.take("rule");
                    }
                }
                "overload" => {
                    self.next();
                    if self.take("flush") {
                        self.take("global");
                    }
                }
                "no-sync" | "sloppy" | "pflow" | "if-bound" | "floating" | "group-bound" | "allow-related" => {}
                word if word.contains('.') || word == "interval" || word == "frag" => {
                    // A timeout.
                    self.word();
                }
                word => {
                    let because = format!("the state option `{}` is not known", word.escape_default());
                    self.rule.effect.get_or_insert(because);
                    self.word();
                }
            }
        }
    }
}

/// `N/S`: N at once, and N in S seconds for ever.
fn bucket(text: &str) -> Option<Bucket> {
    let (count, seconds) = text.split_once('/')?;
    let (count, seconds) = (count.parse::<u32>().ok()?, seconds.parse::<u32>().ok()?);
    if count == 0 || seconds == 0 {
        return None;
    }
    let whole = |per: Per| {
        let n = u64::from(count) * u64::from(per.seconds());
        n.is_multiple_of(seconds.into())
            .then(|| u32::try_from(n / u64::from(seconds)).ok().map(|n| Rate::new(n, per)))?
    };
    let rate = [Per::Second, Per::Minute, Per::Hour, Per::Day].into_iter().find_map(whole);
    // No unit makes it a whole number: the nearest below in events a day, which differs by less than one a day.
    let rate = rate.or_else(|| {
        let a_day = u64::from(count) * 86_400 / u64::from(seconds);
        Some(Rate::new(u32::try_from(a_day).ok()?.max(1), Per::Day))
    })?;
    Some(Bucket { rate, burst: count })
}
