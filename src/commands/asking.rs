//! Which connections a command asks about.

use clap::{Args, ValueEnum};

use crate::access::{Interface, Path};
use crate::change::Scope;
use crate::net::AddrSet;
use crate::policy::Policy;

use super::{Code, Failure};

/// Which connections.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which connections")]
pub(super) struct Asking {
    /// The port that clients dial; without it, the profile's ports, else 993
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// The interface that they come in by; without it, each that is guarded
    #[arg(long, value_name = "IF")]
    interface: Option<String>,

    /// The destination, an address or network; without it, this host's addresses
    #[arg(long, value_name = "ADDR")]
    to: Option<String>,

    /// One path alone; without it, the one that the ruleset sends them along
    #[arg(long, value_name = "PATH", value_enum)]
    path: Option<Way>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Way {
    /// To this host
    Input,
    /// Through this host
    Forwarded,
}

impl Asking {
    /// The connections of a policy, or of a port of which no policy is known, narrowed to what was asked.
    pub(super) fn scope(&self, policy: Option<&Policy>) -> Result<Scope, Failure> {
        let mut scope = policy.map_or_else(|| Scope::of_port(self.port.unwrap_or(993)), Scope::of_policy);
        if let Some(port) = self.port {
            scope.ports = vec![port];
        }
        scope.interface = self.interface.as_deref().map(Interface::parse);
        scope.path = self.path.map(|way| match way {
            Way::Input => Path::Input,
            Way::Forwarded => Path::Forwarded,
        });
        if let Some(to) = &self.to {
            scope.to = Some(address("--to", to)?);
        }
        Ok(scope)
    }
}

/// An address or network of an option.
pub(super) fn address(option: &str, text: &str) -> Result<AddrSet, Failure> {
    text.parse().map_err(|e| {
        Failure::wrong(Code::Argument, format!("{option} {}: {e}", text.escape_debug()))
            .help("write an address, a prefix or a range, such as 198.51.100.0/24")
    })
}
