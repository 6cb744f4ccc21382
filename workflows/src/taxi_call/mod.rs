//! A prepaid taxi call: charge, find a driver, drive, complete.
//!
//! What has to be undone comes out last in, first out: the driver is let go,
//! the call is marked cancelled, the fare goes back.

mod contract;
mod fare;
mod view;

use hansom_core::{Activity, ActivityError, Ctx, Fingerprint, SignalType, Workflow};

pub use contract::{
    Call, CallError, CallId, CallStatus, CallTaken, CancelCall, ChargeFare, CompleteDrive, Drive,
    DriveId, DriveNotAvailable, EndDrive, MarkCall, PayId, PaymentDeclined, Receipt, RefundFare,
    RegisterCall, ReleaseDrive, RequestDrive,
};
pub use fare::{Distance, DistanceError, Fare};
pub use view::CallViews;

/// The saga. Its workflow id is [`CallId::workflow_id`].
pub struct TaxiCall;

impl Workflow for TaxiCall {
    const NAME: &'static str = "taxi_call";
    const ACTIVITIES: &'static [&'static str] = &[
        RegisterCall::NAME,
        ChargeFare::NAME,
        RefundFare::NAME,
        MarkCall::NAME,
        CancelCall::NAME,
        RequestDrive::NAME,
        ReleaseDrive::NAME,
        CompleteDrive::NAME,
    ];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<EndDrive>()];
    const CODE: Option<Fingerprint> = Some(Fingerprint::of(&[
        include_bytes!("mod.rs"),
        include_bytes!("contract.rs"),
        include_bytes!("fare.rs"),
    ]));
    type Input = Call;
    type Output = Receipt;
    type Error = CallError;

    async fn run(ctx: Ctx, call: Call) -> Result<Receipt, CallError> {
        let (call_id, fare) = (call.call_id, call.distance.fare());
        let mark = |status| MarkCall { call_id, status };

        ctx.run(RegisterCall { call }).undo(CancelCall { call_id }).await?;
        let pay_id = match ctx.run(ChargeFare { call_id, fare }).undo(RefundFare { call_id }).await
        {
            Ok(pay_id) => pay_id,
            Err(error) => return Err(pay_fail(&ctx, call_id, error).await),
        };
        ctx.run(mark(CallStatus::DriveRequest)).undo(CancelCall { call_id }).await?;
        let drive = ctx.run(RequestDrive { call_id, fare }).undo(ReleaseDrive { call_id }).await?;
        ctx.run(mark(CallStatus::DriveStart)).await?;
        end_of(&ctx, drive.drive_id).await;

        let committed = ctx.pivot();
        committed.run(CompleteDrive { call_id }).await;
        committed.run(mark(CallStatus::DriveComplete)).await;
        Ok(Receipt { call_id, pay_id, drive_id: drive.drive_id, fare })
    }
}

/// The rider is told first; then the saga unwinds, and a charge whose outcome
/// nobody knows goes back with the rest.
async fn pay_fail(ctx: &Ctx, call_id: CallId, error: ActivityError<PaymentDeclined>) -> CallError {
    match ctx.run(MarkCall { call_id, status: CallStatus::PayFail }).await {
        Ok(()) => error.into(),
        Err(unmarked) => unmarked.into(),
    }
}

/// Waits for the driver. The end of some other drive is none of our business.
async fn end_of(ctx: &Ctx, drive_id: DriveId) {
    let ends = ctx.signals::<EndDrive>();
    while ends.next().await.drive_id != drive_id {}
}
