//! One attempt of one activity: within its time, and whatever happens in it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use hansom_core::{Attempt, Pulse};

use super::heartbeat::{Heartbeats, Patient};
use crate::Registry;
use crate::owner::{Answer, Dispatch};

/// Makes an attempt. Always answers; a panic or a timeout is a failed attempt.
pub(crate) async fn make(
    registry: Arc<Registry>,
    heartbeats: Heartbeats,
    dispatch: Dispatch,
) -> Answer {
    let cx = dispatch.context();
    let Dispatch { address, seq, attempt, call, first, limit, heartbeat, .. } = dispatch;
    let handle = |pulse: Pulse| {
        let handled = AssertUnwindSafe(async {
            match registry.handler(&call.activity) {
                Some(handler) => handler.handle(&call.request, cx.with_pulse(pulse)).await,
                None => Attempt::failed(format!("no handler for {}", call.activity)),
            }
        });
        handled
            .catch_unwind()
            .map(|ended| ended.unwrap_or_else(|_| Attempt::failed("the handler panicked")))
    };
    let (ended, said) = match heartbeat {
        Some(heartbeat) => {
            let step = (address.part, address.run, seq);
            let patient = Patient { step, attempt, first, heartbeat, limit };
            heartbeats.listen(patient, handle).await
        }
        None => match tokio::time::timeout(limit, handle(Pulse::default())).await {
            Ok(ended) => (ended, false),
            Err(_) => (Attempt::failed(format!("no answer within {limit:?}")), false),
        },
    };
    if let Attempt::Failed { reason, .. } = &ended {
        tracing::warn!(
            workflow_id = %address.workflow_id, run = %address.run, part = address.part,
            activity = %call.activity, attempt, reason, "attempt_failed"
        );
    }
    Answer { run: address.run, seq, attempt, ended, said }
}
