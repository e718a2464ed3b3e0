//! `schema`: the JSON Schema of the profile, for editors.

use clap::Args;
use serde::Serialize;

use crate::policy::TargetSpec;
use crate::profile;
use crate::target::ALL;

use super::{Context, Exit, Failure, Page, Report, Verb};

/// Print the JSON Schema of the profile, for editors
#[derive(Debug, Args)]
#[command(after_long_help = "\
An editor that knows the schema completes keys and marks wrong values while you type. `harden993 check` looks closer.

Example:
  harden993 schema > harden993.schema.json
  and as the first line of the profile:  #:schema ./harden993.schema.json")]
pub struct Schema {}

/// The JSON Schema.
#[derive(Debug, Serialize)]
pub struct ProfileSchema {
    #[serde(flatten)]
    schema: serde_json::Map<String, serde_json::Value>,
}

impl Verb for Schema {
    type Report = ProfileSchema;

    fn run(self, _: &Context<'_>) -> Result<ProfileSchema, Failure> {
        let specs: Vec<TargetSpec> = ALL.iter().map(|t| t.spec()).collect();
        let schema = profile::schema(&specs).as_object().cloned().unwrap_or_default();
        Ok(ProfileSchema { schema })
    }
}

impl Report for ProfileSchema {
    fn exit(&self) -> Exit {
        Exit::Clean
    }

    fn page(self) -> Page {
        Page::verbatim(format!("{:#}\n", serde_json::Value::Object(self.schema)))
    }
}
