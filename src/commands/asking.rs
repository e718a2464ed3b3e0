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
    /// Whether the port is given.
    pub(super) fn names_port(&self) -> bool {
        self.port.is_some()
    }

    /// The connections of a policy, or of a port of which no policy is known, narrowed to what was asked.
    pub(super) fn scope(&self, policy: Option<&Policy>) -> Result<Scope, Failure> {
        let mut scope = policy.map_or_else(|| Scope::of_port(self.port.unwrap_or(993)), Scope::of_policy);
        if let Some(port) = self.port {
            scope.ports = vec![port];
        }
        scope.interface = self.interface.as_deref().map(interface).transpose()?;
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

/// The longest name of an interface on any system: `NDIS_IF_MAX_STRING_SIZE` of Windows.
const LONGEST: usize = 256;

/// The interface of an option.
pub(super) fn interface(text: &str) -> Result<Interface, Failure> {
    if text.is_empty() || text.chars().count() > LONGEST || text.chars().any(char::is_control) {
        let message = format!("--interface `{}`: no interface has such a name", text.escape_debug());
        return Err(Failure::wrong(Code::Argument, message).help("write a name such as eth0, or a pattern such as wg*"));
    }
    Ok(Interface::parse(text))
}

/// An address or network of an option.
pub(super) fn address(option: &str, text: &str) -> Result<AddrSet, Failure> {
    text.parse().map_err(|e| {
        Failure::wrong(Code::Argument, format!("{option} {}: {e}", text.escape_debug()))
            .help("write an address, a prefix or a range, such as 198.51.100.0/24")
    })
}
