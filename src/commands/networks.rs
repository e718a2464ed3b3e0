//! `networks`: who is trusted, as the fewest networks, for other systems.

use clap::Args;
use serde::Serialize;

use crate::access::Interface;
use crate::net::AddrSet;

use super::asking::interface;
use super::shape::{self, Count, Counts};
use super::profile::{Day, usable};
use super::{Code, Context, Exit, Failure, Page, Report, Verb};

/// Print the networks that are trusted, for cloud groups, ban lists and other systems
#[derive(Debug, Args)]
#[command(after_long_help = "\
The networks are what is left after `except`, `expires` and [[blocked]]: sorted, none overlaps another, as few as can be, \
IPv4 before IPv6. What is trusted only by an interface (`via`) is in it only with --interface.

Examples:
  harden993 networks > /etc/fail2ban/ignore.txt
  harden993 networks --interface wg0 --format json")]
pub struct Networks {
    /// Those that may connect by this interface, what only `via` lets in included
    #[arg(long, value_name = "IF")]
    interface: Option<String>,

    /// Say only how many addresses they are
    #[arg(long)]
    summary: bool,

    #[command(flatten)]
    day: Day,
}

/// Who is trusted.
#[derive(Debug, Serialize)]
pub struct Trusted {
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<shape::Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    #[serde(skip)]
    size: String,
}

impl Verb for Networks {
    type Report = Trusted;

    fn run(self, cx: &Context<'_>) -> Result<Trusted, Failure> {
        let policy = usable(cx, self.day.date(cx)?)?.policy;
        let interface = match &self.interface {
            None => Interface::Fresh(String::new()),
            Some(name) => {
                let interface = interface(name)?;
                if !policy.covers(&interface) {
                    return Err(Failure::wrong(Code::Argument, format!("the profile does not guard `{name}`"))
                        .help("everybody may connect by it; name one that `interfaces` guards"));
                }
                interface
            }
        };
        let partition = &policy.zone(&interface).partition;
        let networks = policy
            .trusted_classes()
            .fold(AddrSet::new(), |set, (class, _)| set.union(&partition.members(class)));
        let counts = self.summary.then(|| Counts::from([("networks", Count::from(&networks))]));
        let size = shape::size(&networks);
        Ok(Trusted { networks: (!self.summary).then_some(shape::Networks(networks)), counts, size })
    }
}

impl Report for Trusted {
    fn exit(&self) -> Exit {
        Exit::Clean
    }

    fn page(self) -> Page {
        let Some(shape::Networks(set)) = self.networks else {
            let mut page = Page::new();
            page.line(self.size);
            return page;
        };
        let mut text = String::with_capacity(20 * (set.v4.spans().len() + set.v6.spans().len()));
        set.v4.prefixes().for_each(|p| {
            p.write(&mut text);
            text.push('\n');
        });
        set.v6.prefixes().for_each(|p| {
            p.write(&mut text);
            text.push('\n');
        });
        Page::verbatim(text)
    }
}
