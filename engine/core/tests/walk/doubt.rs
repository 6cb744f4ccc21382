//! What a saga does when nobody knows what happened, when time is up, and when
//! an operator has to come.

use std::time::Duration;

use hansom_core::testing::Exhaust;
use hansom_core::testing::exhaust::Visit;
use hansom_core::{
    Activity, ActivityError, ActivityOptions, Ctx, Never, OnUnknown, Outcome, Probe, RetryPolicy,
    Status, Verdict, WhenUnavailable, Workflow,
};
use serde::{Deserialize, Serialize};

use super::city::{
    Book, City, Declined, NoTrip, Repay, Ride, Unbook, broken, city, pay, says, step,
};

/// A payment that can be asked about.
#[derive(Serialize, Deserialize)]
struct PayAskable(u32);
impl Activity for PayAskable {
    const NAME: &'static str = "pay_askable";
    type Output = u32;
    type Error = Declined;
    fn probe(&self) -> Option<Probe<Self>> {
        Some(Probe::ask(&WasPaid(self.0)))
    }
}

#[derive(Serialize, Deserialize)]
struct WasPaid(u32);
impl Activity for WasPaid {
    const NAME: &'static str = "was_paid";
    type Output = Verdict<u32>;
    type Error = Never;
}

macro_rules! trip {
    ($name:ident, $then:expr) => {
        struct $name;
        impl Workflow for $name {
            const NAME: &'static str = "trip";
            const ACTIVITIES: &'static [&'static str] =
                &["pay_askable", "was_paid", "repay", "book", "unbook", "ride"];
            type Input = ();
            type Output = ();
            type Error = NoTrip;
            async fn run(ctx: Ctx, (): ()) -> Result<(), NoTrip> {
                let pay = ctx.run(PayAskable(10)).on_unknown($then).undo(Repay(10));
                let pay = pay.retry(RetryPolicy { maximum_attempts: 3, ..RetryPolicy::default() });
                pay.await?;
                ctx.run(Book(0)).undo(Unbook(0)).await?;
                ctx.pivot().run(Ride(0)).await;
                Ok(())
            }
        }
    };
}

trip!(Verifies, OnUnknown::Verify);
trip!(Persists, OnUnknown::Retry);
trip!(Undoes, OnUnknown::Undo);
trip!(Parks, OnUnknown::Park);

/// Services that keep their word, and can be asked.
fn askable<W: Workflow<Input = ()>>() -> Exhaust<W, City> {
    city::<W>().perform::<PayAskable>(|city, ask, visit| pay(city, ask.0, visit)).does::<WasPaid>(
        |city, _, visit| {
            if city.paid.contains_key(&step(visit)) {
                return Verdict::Done(7);
            }
            // What is still on its way comes too late from here on.
            city.void.insert(step(visit));
            Verdict::NotDone
        },
    )
}

#[test]
fn a_probe_answers_for_a_step_that_does_not() {
    let walked = askable::<Verifies>().walk();
    assert!(walked.performed("was_paid") > 20, "{walked}");
    assert!(walked.twists("unknown") > 100 && walked.twists("retried") > 0, "{walked}");
}

#[test]
fn a_step_may_be_tried_without_end_or_undone_unseen() {
    let walked = askable::<Persists>().walk();
    assert_eq!(walked.performed("was_paid"), 0, "{walked}");
    let walked = askable::<Undoes>().walk();
    assert_eq!(walked.performed("was_paid"), 0, "{walked}");
}

#[test]
fn a_step_that_is_parked_waits_for_an_operator_and_goes_on_or_is_cancelled() {
    let walked = askable::<Parks>().walk();
    assert!(walked.performed("was_paid") > 20 && walked.twists("retried") > 20, "{walked}");
    let walk = askable::<Parks>();
    let never_parks = walk.invariant("a parked saga is never cancelled", |city, end| {
        end.status != Status::Cancelled || city.void.is_empty() || !city.points.is_empty()
    });
    assert!(never_parks.try_walk().is_err(), "cancelling a parked saga is walked as well");
}

/// It does not wait for services that are known to be in trouble.
struct Impatient;
impl Workflow for Impatient {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] = Verifies::ACTIVITIES;
    type Input = ();
    type Output = ();
    type Error = NoTrip;
    async fn run(ctx: Ctx, (): ()) -> Result<(), NoTrip> {
        let fails = WhenUnavailable::Fail;
        ctx.run(PayAskable(10)).when_unavailable(fails).undo(Repay(10)).await?;
        ctx.run(Book(0)).undo(Unbook(0)).await?;
        ctx.pivot().run(Ride(0)).await;
        Ok(())
    }
}

#[test]
fn a_step_that_cannot_be_sent_waits_or_ends_at_once_and_nobody_pays_for_nothing() {
    let walked = askable::<Verifies>().walk();
    assert!(walked.twists("held back") > 50, "{walked}");
    let walked = askable::<Impatient>().walk();
    assert!(walked.twists("held back") > 50 && walked.performed("was_paid") > 0, "{walked}");
    // It ends before anything was sent, and also later.
    let unpaid = |end: &Outcome| end.error.as_ref().is_some_and(|e| e.get().contains("not_done"));
    let tries = askable::<Impatient>().invariant("it is always sent", move |_, end| !unpaid(end));
    says(&broken(tries), &["is not sent", ".fail_unsent::<PayAskable>()"]);
}

#[test]
fn a_probe_without_a_tombstone() {
    let walk = askable::<Verifies>().does::<WasPaid>(|city, _, visit| {
        if city.paid.contains_key(&step(visit)) { Verdict::Done(7) } else { Verdict::NotDone }
    });
    let broken = broken(walk);
    says(&broken, &["`pay_askable` (command 0) took effect after its probe `was_paid` had said"]);
    says(&broken, &["must leave a tombstone", "its request is still on its way"]);
    says(&broken, &[".exhaust::<PayAskable>()", ".find_not_done::<WasPaid>()"]);
}

#[test]
fn a_probe_that_does_not_find_what_happened() {
    let walk = askable::<Verifies>().does::<WasPaid>(|city, _, visit| {
        // It looks by the attempt, where the payment was made by the step.
        if city.paid.contains_key(&format!("{}/{}", step(visit), visit.attempt)) {
            return Verdict::Done(7);
        }
        city.void.insert(step(visit));
        Verdict::NotDone
    });
    let broken = broken(walk);
    says(&broken, &["`was_paid` (probe of command 0) said that it did not happen, and it had"]);
}

#[test]
fn a_deadline_may_pass_anywhere() {
    let walk = city::<super::bodies::Careful>().deadline(Duration::from_secs(90));
    let walked = walk.stories_max(50_000).walk();
    assert!(walked.twists("deadline") > 100, "{walked}");
}

/// A list of errands that takes long, one after the other.
#[derive(Serialize, Deserialize)]
struct Errands(u32);
impl Activity for Errands {
    const NAME: &'static str = "errands";
    type Output = u32;
    type Error = Never;
    fn options() -> ActivityOptions {
        ActivityOptions { heartbeat: Some(Duration::from_secs(5)), ..ActivityOptions::default() }
    }
}
impl hansom_core::Harmless for Errands {}

struct Runs;
impl Workflow for Runs {
    const NAME: &'static str = "errands";
    const ACTIVITIES: &'static [&'static str] = &["errands"];
    type Input = ();
    type Output = u32;
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, (): ()) -> Result<u32, Self::Error> {
        ctx.run(Errands(3)).await
    }
}

fn errands(from: fn(&Visit<'_>) -> u32) -> Exhaust<Runs, Vec<u32>> {
    Exhaust::start(&(), Vec::new())
        .perform::<Errands>(move |done: &mut Vec<u32>, Errands(all), visit| {
            for n in from(visit)..all {
                visit.may_be_cut_off()?;
                done.push(n);
                visit.heartbeat(&(n + 1));
            }
            Ok(all)
        })
        .always("no errand is run twice", |done| done.len() <= 3)
}

#[test]
fn a_handler_that_is_cut_off_goes_on_from_its_last_heartbeat() {
    let walked = errands(|visit| visit.details().unwrap_or(0)).walk();
    assert!(walked.twists("cut off") > 10, "{walked}");
    let broken = broken(errands(|_| 0));
    says(&broken, &["was asked for again with the same idempotency key"]);
}

/// Hears only what comes in time, and has a deadline.
struct Waits;
impl Workflow for Waits {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] = &["pay_askable", "was_paid", "repay"];
    type Input = ();
    type Output = ();
    type Error = NoTrip;
    async fn run(ctx: Ctx, (): ()) -> Result<(), NoTrip> {
        ctx.run(PayAskable(10)).undo(Repay(10)).await?;
        std::future::pending().await
    }
}

#[test]
fn a_deadline_ends_what_would_wait_for_ever() {
    says(&broken(askable::<Waits>()), &["it waits for ever"]);
    askable::<Waits>().deadline(Duration::from_secs(90)).walk();
}

/// Two branches side by side, and one of them with a step of its own after it.
struct Branches;
impl Workflow for Branches {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] = Verifies::ACTIVITIES;
    type Input = ();
    type Output = ();
    type Error = NoTrip;
    async fn run(ctx: Ctx, (): ()) -> Result<(), NoTrip> {
        let once = ActivityOptions::default().retry;
        let once = RetryPolicy { maximum_attempts: 1, ..once };
        let pay = async {
            ctx.run(PayAskable(10)).undo(Repay(10)).retry(once).await?;
            ctx.run(PayAskable(2)).undo(Repay(2)).await
        };
        let book = ctx.run(Book(0)).undo(Unbook(0));
        let (paid, booked) = ctx.join(pay, book).await;
        paid?;
        booked?;
        ctx.pivot().run(Ride(0)).await;
        Ok(())
    }
}

#[test]
fn branches_are_walked_in_every_order() {
    let walked = askable::<Branches>().walk();
    assert!(walked.twists("another order") > 10 && walked.twists("worker lost") > 100, "{walked}");
}

#[test]
fn an_undo_that_forgets_its_own_step_in_a_branch() {
    // It repays what was paid first, whichever step it is the undo of.
    let walk = askable::<Branches>().does::<Repay>(|city, _, visit| {
        if let Some(paid) = city.paid.keys().find(|paid| !city.repaid.contains_key(*paid)).cloned()
        {
            let amount = city.paid[&paid];
            city.repaid.insert(paid, amount);
        }
        city.void.insert(step(visit));
    });
    says(&broken(walk), &["changed the world a second time"]);
}
