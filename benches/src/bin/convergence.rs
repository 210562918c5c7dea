//! The convergence bench, as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    convoke_benches::convergence::main()
}
