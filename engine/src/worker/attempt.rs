//! One attempt of one activity: within its time, and whatever happens in it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use hansom_core::{ActivityContext, Attempt};

use crate::Registry;
use crate::owner::{Answer, Dispatch};

/// Makes an attempt. Always answers; a panic or a timeout is a failed attempt.
pub(crate) async fn make(registry: Arc<Registry>, dispatch: Dispatch) -> Answer {
    let Dispatch { address, seq, of, direction, attempt, call, limit } = dispatch;
    let cx = ActivityContext {
        workflow_id: address.workflow_id.to_string(),
        run: address.run.to_string(),
        seq: of,
        direction,
        attempt,
    };
    let handled = AssertUnwindSafe(async {
        match registry.handler(&call.activity) {
            Some(handler) => handler.handle(&call.request, cx).await,
            None => Attempt::failed(format!("no handler for {}", call.activity)),
        }
    });
    let ended = match tokio::time::timeout(limit, handled.catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Attempt::failed("the handler panicked"),
        Err(_) => Attempt::failed(format!("no answer within {limit:?}")),
    };
    if let Attempt::Failed { reason, .. } = &ended {
        tracing::warn!(
            workflow_id = %address.workflow_id, run = %address.run, part = address.part,
            activity = %call.activity, attempt, reason, "attempt_failed"
        );
    }
    Answer { run: address.run, seq, attempt, ended }
}
