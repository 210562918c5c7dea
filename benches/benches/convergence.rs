//! The convergence bench: see [`convoke_benches::convergence`].

use std::process::ExitCode;

fn main() -> ExitCode {
    convoke_benches::convergence::main()
}
