//! The `hansom` binary.

use std::process::ExitCode;

/// Runs live and die by the thousand, a few small things each: a third of a lane's time went to
/// the allocator of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Two libraries bring TLS; without a choice made here the first connection would panic.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no provider was installed before the first line");
    hansom::cli::main()
}
