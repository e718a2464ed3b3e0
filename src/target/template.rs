//! Fills a target's template: the one place that knows the template engine.

use tera::{Context, Tera};

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
    pub(crate) fn fill(self, context: &Context) -> Result<String, RenderError> {
        let failed = |e: tera::Error| RenderError::Template { template: self.path, message: e.to_string() };
        self.engine().map_err(failed)?.render(self.path, context).map_err(failed)
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
