//! A run of a real server, exported as a test: it compiles here as it was printed, and fails where
//! the body does not agree. `api/tests/process/deploy.rs` holds it to what the command prints.

mod taxisvc_call_1;

use hansom_core::testing::Golden;
use hansom_core::{Activity, ActivityError, Ctx, Never, Workflow};
use hansom_workflows::taxi_call::{Call, CallError, CancelCall, Receipt, RegisterCall, TaxiCall};

/// Another body of the same name: it registers a call, and leaves it at that.
struct Changed;

impl Workflow for Changed {
    const NAME: &'static str = TaxiCall::NAME;
    const ACTIVITIES: &'static [&'static str] = &[RegisterCall::NAME, CancelCall::NAME];
    type Input = Call;
    type Output = Option<Receipt>;
    type Error = ActivityError<Never>;

    async fn run(ctx: Ctx, call: Call) -> Result<Option<Receipt>, ActivityError<Never>> {
        let call_id = call.call_id;
        let registered = ctx.run(RegisterCall { call }).undo(CancelCall { call_id }).await;
        Ok(registered.map_err(CallError::from).ok().and(None))
    }
}

#[test]
#[should_panic(
    expected = "`taxi_call` does not agree with event 3: nondeterminism: at command 1: history has \
                {\"run\":{\"activity\":\"charge_fare\",\"request\":{\"call_id\":1,\"fare\":200000},\
                \"undo\":{\"activity\":\"refund_fare\",\"request\":{\"call_id\":1}}}}, \
                the code asks for {\"complete\":{\"output\":null}}"
)]
fn a_body_that_does_not_agree_fails_with_both_sides() {
    Golden::<Changed>::parse(taxisvc_call_1::HISTORY).replay();
}
