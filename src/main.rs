//! The command line of harden993: the world as it is, handed to [`harden993::program::run`].

use std::io;
use std::process::ExitCode;

use harden993::host::Real;
use harden993::program::{World, run};

fn main() -> ExitCode {
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
    let mut world = World { host: &Real, stdout: &mut stdout, stderr: &mut stderr };
    ExitCode::from(run(std::env::args_os(), &mut world))
}
