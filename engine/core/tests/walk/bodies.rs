//! Mistakes in the body of a saga.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use hansom_core::{ActivityError, Ctx, SignalType, Workflow};

use super::city::{
    ALL, Book, Came, City, Declined, NoTrip, Pay, PayAtOnce, Repay, RepayById, Ride, Unbook,
    broken, city, says,
};

macro_rules! saga {
    ($name:ident, |$ctx:ident| $body:block) => {
        pub(crate) struct $name;
        impl Workflow for $name {
            const NAME: &'static str = "trip";
            const ACTIVITIES: &'static [&'static str] = ALL;
            const SIGNALS: &'static [SignalType] = &[SignalType::of::<Came>()];
            type Input = ();
            type Output = ();
            type Error = NoTrip;
            async fn run($ctx: Ctx, (): ()) -> Result<(), NoTrip> {
                $body
            }
        }
    };
}

const PATIENCE: Duration = Duration::from_mins(1);

saga!(Careful, |ctx| {
    ctx.run(Pay(10)).undo(Repay(10)).await?;
    ctx.run(Book(0)).undo(Unbook(0)).await?;
    let came = ctx.signals::<Came>();
    ctx.timeout(PATIENCE, came.next()).await.map_err(|_| NoTrip::NobodyCame)?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_careful_saga_passes_with_every_kind_of_twist() {
    let walked = city::<Careful>().stories_max(50_000).walk();
    let kinds = [
        "answer lost",
        "cancelled",
        "everything twice",
        "late",
        "overtaken",
        "refused",
        "request lost",
        "service's own",
        "signal early",
        "signal twice",
        "time first",
        "twice",
        "unknown",
        "worker lost",
    ];
    for kind in kinds {
        assert!(walked.twists(kind) > 0, "{kind}: {walked}");
    }
    assert_eq!(walked.stories.iter().sum::<usize>(), walked.stories_in_all, "{walked}");
    assert_eq!(walked.never_asked(), ["pay_at_once", "repay_by_id"]);
}

saga!(UndoByHand, |ctx| {
    ctx.run(PayAtOnce(10)).await?;
    if let Err(error) = ctx.run(Book(0)).undo(Unbook(0)).await {
        ctx.run(Repay(10)).await?;
        return Err(error.into());
    }
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn undo_only_after_success() {
    let broken = broken(city::<UndoByHand>());
    says(
        &broken,
        &["who pays rides", "`pay_at_once` (command 0) changed the world and has no undo"],
    );
    assert_eq!(broken.twists, 1);
}

saga!(UndoByOutput, |ctx| {
    let id = ctx.run(PayAtOnce(10)).await?;
    // The undo is hung on the step after, because only now the id is known.
    ctx.run(Book(0)).undo(RepayById(id)).await?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn an_undo_that_is_addressed_by_the_output_of_its_action() {
    let broken = broken(city::<UndoByOutput>());
    says(&broken, &["has no undo of its own", "not undone when its answer is lost"]);
}

saga!(Swallowed, |ctx| {
    match ctx.run(Pay(10)).undo(Repay(10)).await {
        Err(error @ ActivityError::Refused(_)) => return Err(error.into()),
        // "A timeout? It will have gone through."
        Ok(_) | Err(ActivityError::Unknown { .. } | ActivityError::NotDone { .. }) => {}
    }
    ctx.run(Book(0)).undo(Unbook(0)).await?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn an_error_that_is_swallowed_with_its_undo() {
    let broken = broken(city::<Swallowed>());
    says(&broken, &["who pays rides", "it completed although nobody knows what became of `pay`"]);
    says(&broken, &["an error that is swallowed, so `repay` never ran"]);
}

saga!(PaysAgain, |ctx| {
    loop {
        match ctx.run(Pay(10)).undo(Repay(10)).await {
            Ok(_) => break,
            // A new step has a new key: this is another charge.
            Err(ActivityError::Unknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    ctx.run(Book(0)).undo(Unbook(0)).await?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_step_that_is_asked_for_again_because_its_outcome_is_unknown() {
    let broken = broken(
        city::<PaysAgain>().invariant("a ride costs 10", |city, _| [0, 10].contains(&city.kept())),
    );
    says(&broken, &["a ride costs 10", "completed although nobody knows what became of `pay`"]);
}

saga!(LeavesItUnderWay, |ctx| {
    ctx.run(Pay(10)).undo(Repay(10)).await?;
    let book = ctx.run(Book(0)).undo(Unbook(0));
    // Too slow? Then it rides without, whatever becomes of that cab.
    if let Ok(booked) = ctx.timeout(PATIENCE, book).await {
        booked?;
    }
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_saga_that_completes_while_a_step_is_under_way() {
    let walk = city::<LeavesItUnderWay>();
    says(&broken(walk), &["it completed, and left under way `book` (command 1)"]);
}

static RUNS: AtomicU32 = AtomicU32::new(1);

saga!(Counts, |ctx| {
    ctx.run(Pay(RUNS.fetch_add(1, Ordering::Relaxed))).undo(Repay(10)).await?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_body_that_counts_its_runs() {
    says(&broken(city::<Counts>()), &["a replay does not agree with its history: nondeterminism"]);
}

saga!(LooksAtTheClock, |ctx| {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    ctx.run(Pay(now.map_or(0, |now| now.subsec_nanos()))).undo(Repay(10)).await?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_body_that_looks_at_the_clock() {
    says(&broken(city::<LooksAtTheClock>()), &["a replay does not agree", "the code asks for"]);
}

saga!(HashOrder, |ctx| {
    let shares: HashMap<u32, u32> = (0..12).map(|rider| (rider, 10 + rider)).collect();
    for share in shares.values() {
        ctx.run(Pay(*share)).undo(Repay(*share)).await?;
    }
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_body_that_takes_things_in_the_order_of_a_hash_map() {
    says(&broken(city::<HashOrder>()), &["a replay does not agree"]);
}

saga!(WaitsForEver, |ctx| {
    ctx.run(Pay(10)).undo(Repay(10)).await?;
    // Nobody was booked, so nobody comes.
    ctx.signals::<Came>().next().await;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_saga_that_waits_for_ever() {
    let broken = broken(city::<WaitsForEver>());
    says(&broken, &["it waits for ever", "no timer is set"]);
    assert_eq!(broken.twists, 0, "no fault is needed to show it");
}

saga!(DropsTheSignal, |ctx| {
    ctx.run(Pay(10)).undo(Repay(10)).await?;
    let came = ctx.signals::<Came>();
    let book = ctx.run(Book(0)).undo(Unbook(0));
    // One that comes before the cab is booked is thought to be another's.
    if let hansom_core::Either::Left(booked) = ctx.select(book, came.next()).await {
        booked?;
    }
    came.next().await;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_signal_that_is_thrown_away_when_it_comes_early() {
    let broken = broken(city::<DropsTheSignal>());
    says(&broken, &["it waits for ever", "signal came"]);
    assert_eq!(broken.twists, 1);
}

saga!(PastThePivot, |ctx| {
    ctx.run(Pay(10)).undo(Repay(10)).await?;
    let book = ctx.run(Book(0)).undo(Unbook(0));
    let committed = ctx.pivot();
    // Made before the pivot, awaited after it: the compiler does not see it.
    book.await?;
    committed.run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_step_past_the_point_of_no_return_that_may_be_refused() {
    let full = city::<PastThePivot>().perform::<Book>(|city, _, visit| {
        if city.points.contains("full") || visit.happens("there is no cab, and will be none") {
            city.points.insert("full".to_owned());
            return Err(hansom_core::Failure::Refused(Declined));
        }
        city.booked = true;
        Ok(())
    });
    says(
        &broken(full),
        &[
            "has not come to an end past its point of no return: `book`",
            "refused, where that cannot be",
        ],
    );
}

saga!(FailsPastThePivot, |ctx| {
    ctx.run(Pay(10)).undo(Repay(10)).await?;
    ctx.run(Book(0)).undo(Unbook(0)).await?;
    let came = ctx.signals::<Came>();
    let committed = ctx.pivot();
    let patience = committed.sleep(PATIENCE);
    let _ = (came, patience);
    Err(NoTrip::NobodyCame)
});

#[test]
fn a_body_that_fails_past_its_point_of_no_return() {
    says(&broken(city::<FailsPastThePivot>()), &["stuck (failed_after_pivot)"]);
}

saga!(Panics, |ctx| {
    ctx.run(Pay(10)).undo(Repay(10)).await.expect("the card is good");
    ctx.run(Book(0)).undo(Unbook(0)).await?;
    ctx.pivot().run(Ride(0)).await;
    Ok(())
});

#[test]
fn a_body_that_panics_where_a_step_is_refused() {
    let broken = broken(city::<Panics>());
    says(&broken, &["stuck (panic): the card is good"]);
    assert_eq!(broken.twists, 1);
}

struct Undeclared;
impl Workflow for Undeclared {
    const NAME: &'static str = "trip";
    const ACTIVITIES: &'static [&'static str] = &["pay", "ride"];
    type Input = ();
    type Output = ();
    type Error = NoTrip;
    async fn run(ctx: Ctx, (): ()) -> Result<(), NoTrip> {
        ctx.run(Pay(10)).undo(Repay(10)).await?;
        ctx.run(Book(0)).undo(Unbook(0)).await?;
        Ok(())
    }
}

#[test]
fn an_activity_that_is_not_declared() {
    says(&broken(city::<Undeclared>()), &["`book` is not among the ACTIVITIES"]);
}

#[test]
#[should_panic(expected = "nobody plays pay, repay, book")]
fn an_activity_that_nobody_plays() {
    hansom_core::testing::Exhaust::<Careful, City>::start(&(), City::default()).walk();
}
