//! Sagas that start others, that go on in another run, and that are asked things.

use hansom_core::{
    ActivityError, ChildError, Ctx, ParentClose, Status, StillOpen, Update, UpdateType, Workflow,
};
use serde::{Deserialize, Serialize};

use super::city::{
    ALL, Book, City, Declined, NoTrip, Pay, Repay, Ride, Unbook, broken, city, city_from, says,
};

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum NoTour {
    #[error("{0}")]
    Leg(#[from] ChildError<NoTrip>),
    #[error("{0}")]
    Step(#[from] ActivityError<Declined>),
    #[error("{0}")]
    Open(#[from] StillOpen),
}

/// Pays and books, and leaves it to its parent to ride.
struct Leg;
impl Workflow for Leg {
    const NAME: &'static str = "leg";
    const ACTIVITIES: &'static [&'static str] = ALL;
    type Input = u32;
    type Output = ();
    type Error = NoTrip;
    async fn run(ctx: Ctx, amount: u32) -> Result<(), NoTrip> {
        ctx.run(Pay(amount)).undo(Repay(amount)).await?;
        ctx.run(Book(0)).undo(Unbook(0)).await?;
        Ok(())
    }
}

macro_rules! tour {
    ($name:ident, |$ctx:ident| $body:block) => {
        struct $name;
        impl Workflow for $name {
            const NAME: &'static str = "tour";
            const ACTIVITIES: &'static [&'static str] = ALL;
            type Input = ();
            type Output = ();
            type Error = NoTour;
            async fn run($ctx: Ctx, (): ()) -> Result<(), NoTour> {
                $body
            }
        }
    };
}

tour!(Tour, |ctx| {
    ctx.run(Pay(1)).undo(Repay(1)).await?;
    ctx.child::<Leg>("leg-there", &10).await?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

fn costs(price: u32) -> impl Fn(&City, &hansom_core::Outcome) -> bool {
    move |city, end| city.kept() == if end.status == Status::Completed { price } else { 0 }
}

#[test]
fn a_child_is_walked_along_and_undone_by_its_parent_with_its_own_keys() {
    let walk = city::<Tour>().with_child::<Leg>().invariant("a tour costs 11", costs(11));
    let walked = walk.walk();
    assert!(walked.performed("repay") > 200 && walked.twists("taken") > 10, "{walked}");
    assert!(walked.twists("worker lost") > 100 && walked.twists("late") > 100, "{walked}");
}

tour!(BothWays, |ctx| {
    let there = ctx.child::<Leg>("leg-there", &10);
    let back = ctx.child::<Leg>("leg-back", &20);
    let (there, back) = ctx.join(there, back).await;
    there?;
    back?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn children_side_by_side_are_cancelled_and_undone_in_every_order() {
    let walk = city::<BothWays>().with_child::<Leg>().invariant("both ways cost 30", costs(30));
    let walked = walk.walk();
    assert!(walked.twists("another order") > 100 && walked.twists("cancelled") > 20, "{walked}");
}

tour!(DoesNotLook, |ctx| {
    let _alone = ctx.child::<Leg>("leg-there", &10).on_parent_close(ParentClose::Abandon).spawn();
    ctx.run(Pay(1)).undo(Repay(1)).await?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_parent_that_does_not_look_how_its_child_ended() {
    let walk = city::<DoesNotLook>().with_child::<Leg>();
    let broken = broken(walk.invariant("a tour costs 11", costs(11)));
    says(&broken, &["another workflow has the id `leg-there`"]);
    assert_eq!(broken.twists, 1);
}

#[test]
fn a_child_that_nobody_knows() {
    says(&broken(city::<Tour>()), &["`leg` is started as a child: `with_child` walks it"]);
}

/// Pays once a round, for three rounds, and rides at the end.
struct Rounds;
impl Workflow for Rounds {
    const NAME: &'static str = "rounds";
    const ACTIVITIES: &'static [&'static str] = ALL;
    type Input = u32;
    type Output = ();
    type Error = NoTour;
    async fn run(ctx: Ctx, round: u32) -> Result<(), NoTour> {
        ctx.run(Pay(10)).undo(Repay(10)).await?;
        if round < 3 {
            return Err(ctx.continue_with_undos::<Self>(&(round + 1)).await.into());
        }
        ctx.run(Book(0)).undo(Unbook(0)).await?;
        ctx.pivot().run(Ride(0)).await;
        Ok(())
    }
}

#[test]
fn undos_go_along_from_run_to_run() {
    let walked = city_from::<Rounds>(&1).invariant("three rounds cost 30", costs(30)).walk();
    assert!(walked.performed("repay") > 500, "{walked}");
}

/// Thinks that going on anew is always possible.
struct Restless;
impl Workflow for Restless {
    const NAME: &'static str = "rounds";
    const ACTIVITIES: &'static [&'static str] = ALL;
    type Input = u32;
    type Output = ();
    type Error = NoTour;
    async fn run(ctx: Ctx, round: u32) -> Result<(), NoTour> {
        ctx.run(Pay(10)).undo(Repay(10)).await?;
        if round < 3 {
            ctx.continue_as_new::<Self>(&(round + 1)).await;
        }
        Ok(())
    }
}

#[test]
fn a_saga_that_goes_on_anew_while_it_owes() {
    let broken = broken(city_from::<Restless>(&1));
    says(&broken, &["who pays rides"]);
    assert_eq!(broken.twists, 0);
}

/// The rider changes the fare, and is told whether they may.
#[derive(Serialize, Deserialize)]
struct Raise(u32);
impl Update for Raise {
    const NAME: &'static str = "raise";
    type Output = u32;
    type Error = Declined;
}

struct Negotiates;
impl Workflow for Negotiates {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] = ALL;
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<Raise>()];
    type Input = ();
    type Output = ();
    type Error = NoTrip;
    async fn run(ctx: Ctx, (): ()) -> Result<(), NoTrip> {
        ctx.run(Book(0)).undo(Unbook(0)).await?;
        let asked = ctx.updates::<Raise>().next().await;
        let fare = 10 + asked.update.0;
        match ctx.run(Pay(fare)).undo(Repay(fare)).await {
            Ok(_) => asked.answer(&fare),
            Err(error) => {
                asked.refuse(&Declined);
                return Err(error.into());
            }
        }
        ctx.pivot().run(Ride(0)).await;
        Ok(())
    }
}

#[test]
fn an_update_comes_in_at_any_time_and_is_answered_once() {
    let walk = city::<Negotiates>().update_when(|city: &City| city.booked.then_some(Raise(5)));
    let walked = walk.invariant("a raised fare is 15", costs(15)).walk();
    assert!(walked.twists("signal early") > 0 && walked.twists("signal twice") > 0, "{walked}");
    // Without the rider the saga waits, as it should.
    says(&broken(city::<Negotiates>()), &["it waits for ever"]);
}
