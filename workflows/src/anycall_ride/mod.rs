//! A ride that a driver accepts and that is paid at its end.
//!
//! The call is accepted while taxis cannot be reached; the customer may cancel as long as no
//! taxi has it; the ride cannot end unless it is paid. Whoever asks for what is not due is
//! refused at once.

mod contract;
mod desk;
mod notices;
mod payment;
mod status;
mod talk;
mod view;

use std::convert::Infallible;
use std::time::Duration;

use hansom_core::{
    Activity, Committed, Ctx, Either, Elapsed, Fingerprint, SignalType, UpdateRequest, UpdateType,
    Workflow,
};

pub use contract::{
    AssignTaxi, AttachMember, CallTaken, CloseDispatch, LoadMember, MarkCancelled, MarkEnded,
    MarkStarted, Member, MemberGone, OpenDispatch, PlaceCall, RecordTrip, ReviewCall, Rider,
    ScoreTaxi, Taxi, TripCount, UnassignTaxi, WithdrawCall,
};
pub use status::{CallStatus, DispatchStatus, TaxiStatus};
pub use talk::{
    Call, CallId, CustomerCancel, DriverAccept, MemberId, Position, Refusal, Review, Ride, RideEnd,
    RideError, RideStart, Stage, Terms, Trip,
};
pub use view::TaxiServiceInfos;

use self::desk::Desk;
use self::notices::{Person, Sends};
use self::payment::Paid;
use crate::payment::{Charge, Payer, Refund, WasCharged, Won};

/// The first trip of a member is rewarded, and then every tenth.
const PROMOTED: i64 = 10;

/// The saga. Its workflow id is [`CallId::workflow_id`].
pub struct AnycallRide;

impl Workflow for AnycallRide {
    const NAME: &'static str = "anycall_ride";
    const ACTIVITIES: &'static [&'static str] = &[
        PlaceCall::NAME,
        WithdrawCall::NAME,
        MarkCancelled::NAME,
        OpenDispatch::NAME,
        CloseDispatch::NAME,
        LoadMember::NAME,
        AttachMember::NAME,
        AssignTaxi::NAME,
        UnassignTaxi::NAME,
        MarkStarted::NAME,
        Charge::NAME,
        WasCharged::NAME,
        Refund::NAME,
        MarkEnded::NAME,
        ReviewCall::NAME,
        ScoreTaxi::NAME,
        RecordTrip::NAME,
    ];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Position>()];
    const UPDATES: &'static [UpdateType] = &[
        UpdateType::of::<DriverAccept>(),
        UpdateType::of::<CustomerCancel>(),
        UpdateType::of::<RideStart>(),
        UpdateType::of::<RideEnd>(),
        UpdateType::of::<Review>(),
    ];
    const CODE: Option<Fingerprint> = Some(Fingerprint::of(&[
        include_bytes!("mod.rs"),
        include_bytes!("contract.rs"),
        include_bytes!("desk.rs"),
        include_bytes!("notices.rs"),
        include_bytes!("payment.rs"),
        include_bytes!("talk.rs"),
        include_bytes!("../patience.rs"),
    ]));
    type Input = Ride;
    type Output = Trip;
    type Error = RideError;

    async fn run(ctx: Ctx, Ride { call, terms }: Ride) -> Result<Trip, RideError> {
        let desk = Desk::new(&ctx);
        let found = desk.during(Stage::Unassigned, find(&ctx, &desk, &call, terms)).await?;
        let ride = Riding {
            desk: &desk,
            customer: Person::customer(&call),
            friend: Person::friend(&call, &found.rider.member.friend_phone_number),
            taxi: found.accepted.update.taxi.clone(),
            call,
        };
        let boarded = ride.board(&ctx, found.accepted, terms.no_show_after());
        let started = desk.during(Stage::Assigned, boarded).await?;
        let drive = ride.drive(&ctx, started, found.rider.payer);
        let paid = desk.during(Stage::InService, drive).await?;

        let committed = ctx.pivot();
        let (payment_id, pay_amt) = (paid.payment_id, paid.asked.update.pay_amt);
        let end = ride.end(&committed, paid, terms.review_for());
        let estimate_score = desk.during(Stage::Ended, end).await;
        let last = ride.count(&committed, pay_amt, estimate_score.as_deref());
        desk.during(Stage::Over, last).await;
        Ok(Trip { call_id: ride.call.call_id, payment_id, pay_amt, estimate_score })
    }
}

/// A driver who waits to be told, and the member who will pay.
struct Found {
    accepted: UpdateRequest<DriverAccept>,
    rider: Rider,
}

/// Places the call and looks for a taxi, until the customer cancels.
async fn find(ctx: &Ctx, desk: &Desk, call: &Call, terms: Terms) -> Result<Found, RideError> {
    let call_id = call.call_id;
    ctx.run(PlaceCall { call: call.clone() }).undo(WithdrawCall { call_id }).await?;
    let offer = ctx.timeout(terms.give_up_after(), offer(ctx, desk, call, terms));
    let error = match ctx.select(desk.cancels.next(), offer).await {
        Either::Left(cancelled) => {
            ctx.run(MarkCancelled { call_id }).await?;
            cancelled.answer(&());
            ctx.cancel().await
        }
        Either::Right(Ok(Ok(found))) => return Ok(found),
        Either::Right(Ok(Err(error))) => error,
        Either::Right(Err(Elapsed)) => RideError::NoTaxi,
    };
    let why = match error {
        RideError::Member(_) => notices::NO_MEMBER,
        _ => notices::NO_TAXI,
    };
    drop(Person::customer(call).tell(ctx, "cancelled", why));
    Err(error)
}

/// Offers the call until a driver takes it.
async fn offer(ctx: &Ctx, desk: &Desk, call: &Call, terms: Terms) -> Result<Found, RideError> {
    let call_id = call.call_id;
    ctx.run(OpenDispatch { call: call.clone() }).undo(CloseDispatch { call_id }).await?;
    let rider = ctx.run(LoadMember { member_id: call.member_id }).await?;
    ctx.run(AttachMember { call_id, member: rider.member.clone() }).await?;
    let customer = Person::customer(call);
    let reminding = remind(ctx, &customer, terms.notice_every());
    match ctx.select(desk.accepts.next(), reminding).await {
        Either::Left(accepted) => Ok(Found { accepted, rider }),
        Either::Right(never) => match never {},
    }
}

/// Tells the customer once an interval that a taxi is still looked for. Intervals in which
/// nobody was there to say so are left out, and there is no second message before the first
/// has arrived.
async fn remind(ctx: &Ctx, customer: &Person, every: Duration) -> Infallible {
    let mut due = ctx.now().after(every);
    let mut number = 0;
    loop {
        number += 1;
        ctx.sleep_until(due).await;
        let what = format!("searching.{number}");
        customer.tell(ctx, &what, notices::SEARCHING).arrival().await;
        let (next, now) = (due.after(every), ctx.now());
        due = if next > now { next } else { now.after(every) };
    }
}

/// A ride that a driver has taken.
struct Riding<'a> {
    desk: &'a Desk,
    call: Call,
    customer: Person,
    friend: Option<Person>,
    taxi: Taxi,
}

impl Riding<'_> {
    /// Assigned, until the customer is on board or has waited long enough.
    async fn board(
        &self,
        ctx: &Ctx,
        accepted: UpdateRequest<DriverAccept>,
        no_show_after: Duration,
    ) -> Result<UpdateRequest<RideStart>, RideError> {
        let (call_id, taxi) = (self.call.call_id, self.taxi.clone());
        ctx.run(AssignTaxi { call_id, taxi }).undo(UnassignTaxi { call_id }).await?;
        accepted.answer(&());
        let message = notices::assigned(&self.taxi.taxi_info);
        drop(self.customer.tell(ctx, "assigned", &message));
        ctx.timeout(no_show_after, self.desk.starts.next()).await.map_err(|Elapsed| {
            drop(self.customer.tell(ctx, "cancelled", notices::NO_SHOW));
            RideError::NoShow
        })
    }

    /// Under way, until it is paid.
    async fn drive(
        &self,
        ctx: &Ctx,
        started: UpdateRequest<RideStart>,
        payer: Payer,
    ) -> Result<Paid, RideError> {
        ctx.run(MarkStarted { call_id: self.call.call_id }).await?;
        started.answer(&());
        self.tell_both(ctx, "started", &notices::started(&self.taxi.taxi_info));
        Ok(payment::of(ctx, self.desk, &self.call, payer).await)
    }

    /// Arrived, until it is reviewed or too late for that; answers the review.
    async fn end(&self, ctx: &Committed, paid: Paid, review_for: Duration) -> Option<String> {
        let (call_id, pay_amt) = (self.call.call_id, paid.asked.update.pay_amt);
        ctx.run(MarkEnded { call_id, pay_amt }).await;
        paid.asked.answer(&paid.payment_id);
        self.tell_both(ctx, "ended", &notices::ended(&self.taxi.taxi_info));
        drop(self.customer.tell(ctx, "paid", notices::PAID));

        let asked = ctx.timeout(review_for, self.desk.reviews.next()).await.ok()?;
        let score = asked.update.estimate_score.clone();
        ctx.run(ReviewCall { call_id }).await;
        asked.answer(&());
        Some(score)
    }

    /// The taxi hears how it was, and whoever rides often is thanked.
    async fn count(&self, ctx: &Committed, pay_amt: Won, estimate_score: Option<&str>) {
        let (call_id, member_id) = (self.call.call_id, self.call.member_id);
        if let Some(score) = estimate_score {
            ctx.run(ScoreTaxi { call_id, estimate_score: score.to_owned() }).await;
        }
        let TripCount(trips) = ctx.run(RecordTrip { call_id, member_id, pay_amt }).await;
        if trips % PROMOTED == 1 {
            drop(self.customer.tell(ctx, "promotion", notices::PROMOTION));
        }
    }

    fn tell_both(&self, ctx: &impl Sends, what: &str, message: &str) {
        drop(self.customer.tell(ctx, what, message));
        if let Some(friend) = &self.friend {
            drop(friend.tell(ctx, &format!("{what}.friend"), message));
        }
    }
}
