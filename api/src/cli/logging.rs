//! Logs: events with fields, to stderr.

use std::io::stderr;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Logging};

/// From now on what happens is logged.
pub(crate) fn init(settings: &Logging) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&settings.filter))
        .with_writer(stderr);
    // A second call, as in a test, finds a logger in place and leaves it.
    let _ = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
}
