//! Fills a target's template: the one place that knows the template engine.

use std::collections::BTreeMap;

use tera::{Context, Tera, Value};

use super::RenderError;

/// A template that is compiled in, by its path below `templates/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template {
    /// The path, for messages.
    pub(crate) path: &'static str,
    /// The text.
    pub(crate) text: &'static str,
}

impl Template {
    /// The template filled with values. An undefined variable is an error; nothing is escaped here, so whatever comes from
    /// a profile must be safe for the target before it is inserted.
    pub(crate) fn fill(self, values: BTreeMap<&'static str, Value>) -> Result<String, RenderError> {
        let failed = |e: tera::Error| RenderError::Template { template: self.path, message: e.to_string() };
        // The values are most of a large output, which so hardly has to move while it grows.
        let about = values.values().map(text_len).sum::<usize>();
        let about = self.text.len() + about + about / 8;
        let mut context = Context::new();
        for (name, value) in values {
            context.insert_value(name, value);
        }
        let mut out = Vec::with_capacity(about);
        self.engine().and_then(|e| e.render_to(self.path, &context, &mut out)).map_err(failed)?;
        String::from_utf8(out).map_err(|e| failed(e.into()))
    }

    fn engine(self) -> Result<Tera, tera::Error> {
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<&'static str>::new());
        tera.add_raw_template(self.path, self.text)?;
        Ok(tera)
    }

    /// The variables that the template uses, sorted: a test holds them against what it is given.
    #[cfg(test)]
    pub(crate) fn variables(self) -> Vec<String> {
        let tera = self.engine().expect("the template parses");
        let mut names: Vec<String> = tera
            .get_template_variables(self.path)
            .expect("the template exists")
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }
}

/// How many bytes the texts in a value have.
fn text_len(value: &Value) -> usize {
    let of_list = |list: &[Value]| list.iter().map(text_len).sum();
    let of_map = || value.as_map().map_or(0, |map| map.values().map(text_len).sum());
    value.as_str().map_or_else(|| value.as_array().map_or_else(of_map, of_list), str::len)
}
