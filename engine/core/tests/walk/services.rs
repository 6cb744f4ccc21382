//! Mistakes in the services of a saga that is itself right.

use std::sync::atomic::{AtomicU32, Ordering};

use hansom_core::testing::exhaust::Visit;
use hansom_core::{Ctx, Failure, Workflow};

use super::city::{
    ALL, Book, City, Declined, NoTrip, Pay, Repay, Ride, Unbook, broken, city, pay, repay, says,
    step,
};

struct Trip;
impl Workflow for Trip {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] = ALL;
    type Input = ();
    type Output = ();
    type Error = NoTrip;
    async fn run(ctx: Ctx, (): ()) -> Result<(), NoTrip> {
        ctx.run(Pay(10)).undo(Repay(10)).await?;
        ctx.run(Book(0)).undo(Unbook(0)).await?;
        ctx.pivot().run(Ride(0)).await;
        Ok(())
    }
}

/// The fare, and then the tip: the same activity twice.
struct WithTip;
impl Workflow for WithTip {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] = ALL;
    type Input = ();
    type Output = ();
    type Error = NoTrip;
    async fn run(ctx: Ctx, (): ()) -> Result<(), NoTrip> {
        ctx.run(Pay(10)).undo(Repay(10)).await?;
        ctx.run(Pay(2)).undo(Repay(2)).await?;
        ctx.run(Book(0)).undo(Unbook(0)).await?;
        ctx.pivot().run(Ride(0)).await;
        Ok(())
    }
}

#[test]
fn two_steps_of_one_kind_pass_with_proper_keys() {
    let walked = city::<WithTip>()
        .invariant("a ride with a tip costs 12", |city, _| [0, 12].contains(&city.kept()));
    walked.walk();
}

#[test]
fn an_idempotency_key_without_the_step() {
    let walk = city::<WithTip>()
        .perform::<Pay>(|city, ask, visit| {
            let key = visit.run.clone();
            city.paid.entry(key).or_insert(ask.0);
            Ok(7)
        })
        .does::<Repay>(|city, _, visit| {
            let key = visit.run.clone();
            if let Some(amount) = city.paid.get(&key) {
                city.repaid.insert(key, *amount);
            }
        })
        .invariant("a ride with a tip costs 12", |city, _| [0, 12].contains(&city.kept()));
    let broken = broken(walk);
    says(&broken, &["`pay` (command 1) changed nothing, as if it were `pay` (command 0) again"]);
    says(&broken, &["is its idempotency key without the step?"]);
}

#[test]
fn an_idempotency_key_without_the_direction() {
    fn seen(city: &mut City, visit: &Visit<'_>) -> bool {
        !city.points.insert(step(visit))
    }
    let walk = city::<Trip>()
        .perform::<Pay>(|city, ask, visit| {
            if !seen(city, visit) {
                city.paid.insert(step(visit), ask.0);
            }
            Ok(7)
        })
        .does::<Repay>(|city, _, visit| {
            if !seen(city, visit) {
                repay(city, visit);
            }
        });
    let broken = broken(walk);
    says(&broken, &["`repay` (undo of command 0) changed nothing, although `pay` (command 0) had"]);
    says(&broken, &["has its idempotency key the direction?"]);
}

#[test]
fn an_idempotency_key_with_the_attempt() {
    let walk = city::<Trip>().perform::<Pay>(|city, ask, visit| {
        city.paid.insert(format!("{}/{}", step(visit), visit.attempt), ask.0);
        Ok(7)
    });
    says(&broken(walk), &["changed the world a second time: its effect is not deduplicated"]);
}

#[test]
fn an_effect_that_is_not_deduplicated() {
    let walk = city::<Trip>().perform::<Pay>(|city, ask, visit| {
        *city.paid.entry(step(visit)).or_default() += ask.0;
        Ok(7)
    });
    let broken = broken(walk);
    says(&broken, &["`pay` (command 0) was asked for again with the same idempotency key"]);
    says(&broken, &["changed the world a second time"]);
    assert_eq!(broken.twists, 1);
}

#[test]
fn a_repetition_that_is_refused() {
    let walk = city::<Trip>().perform::<Pay>(|city, ask, visit| {
        if city.paid.contains_key(&step(visit)) {
            return Err(Failure::Refused(Declined)); // "It is paid already."
        }
        pay(city, ask.0, visit)
    });
    says(
        &broken(walk),
        &["was done, and when it was asked for again", "a refusal says that nothing"],
    );
}

#[test]
fn a_repetition_that_is_answered_differently() {
    let walk = city::<Trip>()
        .perform::<Pay>(|city, ask, visit| pay(city, ask.0, visit).map(|id| id + visit.attempt));
    says(&broken(walk), &["`pay` (command 0) answered 8, and when it was asked for again"]);
}

#[test]
fn an_undo_that_fails_when_its_action_did_not_take_place() {
    let walk = city::<Trip>().perform::<Repay>(|city, _, visit| {
        if !city.paid.contains_key(&step(visit)) {
            return Err(Failure::retry("there is no such payment"));
        }
        repay(city, visit);
        Ok(())
    });
    let broken = broken(walk);
    says(&broken, &["the undo `repay` of command 0 kept failing by itself"]);
    says(&broken, &["there is no such payment", "whether or not its action took place"]);
}

#[test]
fn an_undo_without_a_tombstone() {
    let walk = city::<Trip>().does::<Repay>(|city, _, visit| {
        if let Some(amount) = city.paid.get(&step(visit)) {
            city.repaid.insert(step(visit), *amount);
        }
    });
    let broken = broken(walk);
    says(&broken, &["`pay` (command 0) came late and took effect after its undo `repay` had run"]);
    says(&broken, &["leave a tombstone", "its request is still on its way"]);
}

#[test]
fn an_undo_that_depends_on_another_undo() {
    let walk = city::<Trip>().perform::<Repay>(|city, _, visit| {
        if city.booked {
            return Err(Failure::retry("the cab is still booked"));
        }
        repay(city, visit);
        Ok(())
    });
    let broken = broken(walk);
    says(
        &broken,
        &["the undo `repay` of command 0 kept failing by itself", "the cab is still booked"],
    );
    says(&broken, &["whatever becomes of other undos"]);
}

#[test]
fn a_second_effect_hidden_in_a_step() {
    let walk = city::<Trip>()
        .perform::<Pay>(|city, ask, visit| {
            let id = pay(city, ask.0, visit)?;
            visit.may_be_cut_off()?;
            city.points.insert(step(visit));
            Ok(id)
        })
        .invariant("who does not pay gets no points", |city, _| {
            city.points.is_empty() == (city.kept() == 0)
        });
    let broken = broken(walk);
    says(&broken, &["who does not pay gets no points"]);
}

#[test]
fn a_handler_that_is_cut_off_between_what_it_remembers_and_what_it_does() {
    let walk = city::<Trip>().perform::<Pay>(|city, ask, visit| {
        if city.points.insert(step(visit)) {
            visit.may_be_cut_off()?;
            return pay(city, ask.0, visit);
        }
        Ok(7)
    });
    let broken = broken(walk);
    says(&broken, &["was cut off between two effects", "a repetition must make up for those"]);
}

#[test]
fn a_refusal_that_is_not_written_down() {
    let walk = city::<Trip>().perform::<Pay>(|city, ask, visit| {
        let (paid, void) = (city.paid.contains_key(&step(visit)), city.void.contains(&step(visit)));
        if void || (!paid && visit.happens("declined")) {
            return Err(Failure::Refused(Declined)); // and the attempt on its way is let through
        }
        city.paid.entry(step(visit)).or_insert(ask.0);
        Ok(7)
    });
    says(&broken(walk), &["who pays rides"]);
}

#[test]
fn a_service_that_is_not_deterministic() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let walk = city::<Trip>().perform::<Pay>(|city, ask, visit| {
        pay(city, ask.0 + CALLS.fetch_add(1, Ordering::Relaxed), visit)
    });
    says(&broken(walk), &["told twice, went two ways: a service is not deterministic"]);
}

#[test]
fn what_must_hold_at_all_times_is_looked_at_in_between() {
    let walk = city::<Trip>()
        .always("nothing is repaid that was not paid", |city| city.repaid.len() <= city.paid.len());
    walk.walk();
    let walk =
        city::<Trip>().always("nobody pays for nothing", |city| city.kept() == 0 || city.booked);
    says(&broken(walk), &["«nobody pays for nothing» does not hold at all times"]);
}
