//! How long sagas try, as several contracts have it.

use std::time::Duration;

use hansom_core::{ActivityOptions, RetryPolicy, WhenUnavailable};

/// Retries without end, from half a second up to ten: somebody waits for what comes of it.
pub(crate) fn persistent() -> ActivityOptions {
    let retry = RetryPolicy {
        initial_interval: Duration::from_millis(500),
        maximum_interval: Duration::from_secs(10),
        ..RetryPolicy::default()
    };
    ActivityOptions {
        retry: retry.unlimited(),
        start_to_close: Duration::from_secs(5),
        ..ActivityOptions::default()
    }
}

/// Five quick attempts: nothing has happened yet, so whoever asked may as well ask again.
pub(crate) fn quick() -> ActivityOptions {
    let retry = RetryPolicy {
        initial_interval: Duration::from_millis(200),
        maximum_interval: Duration::from_secs(1),
        maximum_attempts: 5,
        ..RetryPolicy::default()
    };
    ActivityOptions {
        retry,
        start_to_close: Duration::from_secs(2),
        when_unavailable: WhenUnavailable::Fail,
        ..ActivityOptions::default()
    }
}

/// Two attempts of 610 ms and no more, and none where it cannot even be sent: somebody waits for
/// the answer itself.
pub(crate) fn synchronous() -> ActivityOptions {
    let retry = RetryPolicy {
        initial_interval: Duration::from_millis(200),
        maximum_attempts: 2,
        ..RetryPolicy::default()
    };
    ActivityOptions {
        retry,
        start_to_close: Duration::from_millis(610),
        when_unavailable: WhenUnavailable::Fail,
        ..ActivityOptions::default()
    }
}
