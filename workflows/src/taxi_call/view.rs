//! What the rider sees: a call and its drive, in one row.

use hansom_core::{Fact, Patch, View};

use super::{
    Call, CallStatus, CancelCall, ChargeFare, CompleteDrive, MarkCall, ReleaseDrive, RequestDrive,
    TaxiCall,
};

/// `callId` · `userName` · `callStatus` (none until it is paid or not) · `driveId`, `driveStatus`,
/// `driverName` and `taxiNum`, once there is a drive · `placed`: whether it was paid for and
/// placed, whatever came of it since; only such calls are shown · `payment`: `paid`, `declined` or
/// `unanswered`, once that is known.
///
/// A driver who was found, but whose answer was lost and who was let go without another, is not
/// in it: history never heard of them.
pub struct CallViews;

impl View for CallViews {
    const NAME: &'static str = "call_views";
    type Workflow = TaxiCall;

    fn key(call: &Call) -> i64 {
        call.call_id.0
    }

    fn start(call: &Call) -> Patch {
        ["callStatus", "driveId", "driveStatus", "driverName", "taxiNum", "payment"]
            .into_iter()
            .fold(Patch::new(), |patch, field| patch.set(field, None::<()>))
            .set("callId", call.call_id)
            .set("userName", &call.user_name)
            .set("placed", false)
    }

    fn on(fact: &Fact<'_>) -> Option<Patch> {
        payment(fact).or_else(|| call(fact)).or_else(|| drive(fact))
    }
}

fn payment(fact: &Fact<'_>) -> Option<Patch> {
    let paid = fact.done::<ChargeFare>().map(|_| "paid");
    let declined = || fact.refused::<ChargeFare>().map(|_| "declined");
    let unanswered = || fact.given_up::<ChargeFare>().map(|_| "unanswered");
    let payment = paid.or_else(declined).or_else(unanswered)?;
    Some(Patch::new().set("payment", payment))
}

fn call(fact: &Fact<'_>) -> Option<Patch> {
    if let Some((MarkCall { status, .. }, ())) = fact.done::<MarkCall>() {
        let moved = Patch::new().set("callStatus", status.as_str());
        let places = status == CallStatus::DriveRequest;
        return Some(if places { moved.set("placed", true) } else { moved });
    }
    fact.undone::<CancelCall>()?;
    let status = fact.field::<String>("callStatus");
    let status = status.as_deref().and_then(CallStatus::parse);
    // What is final stays so.
    let open = matches!(status, None | Some(CallStatus::DriveRequest | CallStatus::DriveStart));
    open.then(|| Patch::new().set("callStatus", CallStatus::RequestCancel.as_str()))
}

fn drive(fact: &Fact<'_>) -> Option<Patch> {
    if let Some((_, drive)) = fact.done::<RequestDrive>() {
        let found = Patch::new().set("driveId", drive.drive_id).set("driveStatus", "start");
        return Some(found.set("driverName", drive.driver_name).set("taxiNum", drive.taxi_num));
    }
    let under_way = || fact.field::<String>("driveStatus").is_some_and(|status| status == "start");
    let over = if fact.done::<CompleteDrive>().is_some() {
        "end"
    } else if fact.refused::<RequestDrive>().is_some()
        || fact.undone::<ReleaseDrive>().is_some() && under_way()
    {
        "requestCancel"
    } else {
        return None;
    };
    Some(Patch::new().set("driveStatus", over))
}
