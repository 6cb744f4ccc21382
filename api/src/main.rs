//! The `hansom` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two libraries bring TLS; without a choice made here the first connection would panic.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no provider was installed before the first line");
    hansom::cli::main()
}
