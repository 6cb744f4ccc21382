//! The end of a ride is its payment: the driver is told that it has ended when it is paid, and
//! if it is not, the ride stays open.

use std::time::Duration;

use hansom_core::{ActivityError, Ctx, UpdateRequest};

use super::desk::Desk;
use super::{Call, LoadMember, MemberGone, MemberId, Refusal, RideEnd};
use crate::patience::synchronous;
use crate::payment::{Charge, Declined, Payer, PaymentId, Refund, Won};

/// The driver still waits to be told.
pub(super) struct Paid {
    pub(super) asked: UpdateRequest<RideEnd>,
    pub(super) payment_id: PaymentId,
}

/// What is known of the attempts so far.
enum Standing {
    /// Nothing is charged.
    Open,
    /// This may have been charged: until that is known, nothing else is asked for.
    InDoubt(Won),
    /// The card was declined; another may have been registered since.
    Declined,
}

/// Lets the driver try until it is paid.
pub(super) async fn of(ctx: &Ctx, desk: &Desk, call: &Call, mut payer: Payer) -> Paid {
    let mut standing = Standing::Open;
    loop {
        let asked = desk.ends.next().await;
        let amount = asked.update.pay_amt;
        match standing {
            _ if !(1..=Won::MOST.0).contains(&amount.0) => {
                asked.refuse(&Refusal::Amount);
                continue;
            }
            Standing::InDoubt(stands) if stands != amount => {
                asked.refuse(&Refusal::Stands(stands));
                continue;
            }
            Standing::Declined => match payer_now(ctx, call.member_id).await {
                Ok(now) => payer = now,
                Err(refusal) => {
                    asked.refuse(&refusal);
                    continue;
                }
            },
            Standing::Open | Standing::InDoubt(_) => {}
        }
        let (charged, then) = charge(ctx, call, &payer, amount, standing).await;
        standing = then;
        match charged {
            Ok(payment_id) => return Paid { asked, payment_id },
            Err(refusal) => asked.refuse(&refusal),
        }
    }
}

async fn charge(
    ctx: &Ctx,
    call: &Call,
    payer: &Payer,
    amount: Won,
    before: Standing,
) -> (Result<PaymentId, Refusal>, Standing) {
    let account = call.call_id.workflow_id();
    let charge = Charge { account: account.clone(), payer: payer.clone(), amount };
    let refusal = match ctx.run(charge).undo(Refund { account }).await {
        Ok(payment_id) => return (Ok(payment_id), before),
        // A refusal covers whatever was asked for before: none of it will be charged.
        Err(ActivityError::Refused(Declined::Card)) => (Refusal::Declined, Standing::Declined),
        Err(ActivityError::Refused(Declined::Charged(stands))) => {
            (Refusal::Stands(stands), Standing::InDoubt(stands))
        }
        Err(ActivityError::Unknown { .. }) => (Refusal::Unavailable, Standing::InDoubt(amount)),
        // It was not even asked for, so nothing is known of what was asked for before.
        Err(ActivityError::NotDone { attempts: 0, .. }) => (Refusal::Unavailable, before),
        Err(ActivityError::NotDone { .. }) => (Refusal::Unavailable, Standing::Open),
        Err(ActivityError::Refused(Declined::Closed)) => (Refusal::Closed, Standing::Open),
    };
    (Err(refusal.0), refusal.1)
}

/// The card that is registered by now. The driver waits, so it is asked for twice and no more.
async fn payer_now(ctx: &Ctx, member_id: MemberId) -> Result<Payer, Refusal> {
    let patience = synchronous();
    let rider = ctx
        .run(LoadMember { member_id })
        .retry(patience.retry)
        .start_to_close(patience.start_to_close)
        .schedule_to_close(Duration::from_secs(2))
        .when_unavailable(patience.when_unavailable)
        .await;
    match rider {
        Ok(rider) => Ok(rider.payer),
        Err(ActivityError::Refused(MemberGone)) => Err(Refusal::Declined),
        Err(_) => Err(Refusal::Unavailable),
    }
}
