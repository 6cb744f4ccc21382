//! Every story of a reservation, in a world whose services keep the rules of the real ones.

use hansom_core::testing::Exhaust;
use hansom_core::testing::exhaust::Visit;
use hansom_core::{Failure, Outcome, Status};
use hansom_workflows::bike::{
    BikeReservation, CancelReservation, CreateReservation, FreeBike, HoldBike, MarkReservation,
    NoBike, NotEnoughPoints, ReserveStatus, ReturnBike, ReturnPoints, Taken, UsePoints,
};

use super::reservation;

/// What the reservation, bike and point services remember.
#[derive(Clone, Debug, PartialEq)]
struct World {
    reservation: Option<Row>,
    hold: Entry,
    spent: Entry,
    points: i64,
}

/// A reservation without a status is not decided yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Row {
    status: Option<ReserveStatus>,
}

/// What a service has written down for the reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Entry {
    #[default]
    None,
    Taken,
    /// It was taken: who asks again is answered as before.
    GivenBack,
    /// Refused, or a tombstone: never.
    Closed,
}

impl Entry {
    fn give_back(&mut self) {
        *self = match self {
            Self::Taken | Self::GivenBack => Self::GivenBack,
            Self::None | Self::Closed => Self::Closed,
        };
    }
}

fn with(points: i64) -> World {
    World { reservation: None, hold: Entry::None, spent: Entry::None, points }
}

impl World {
    fn create(&mut self) -> Result<(), Failure<Taken>> {
        match self.reservation.get_or_insert_default().status {
            Some(ReserveStatus::Cancelled) => Err(Failure::Refused(Taken)),
            _ => Ok(()),
        }
    }

    /// A status only ever moves forward.
    fn mark(&mut self, to: ReserveStatus) {
        use ReserveStatus::{Cancelled, Rejected, Returned, Started};
        let Some(Row { status }) = &mut self.reservation else { return };
        let moves = match to {
            Started | Rejected => status.is_none(),
            Returned => *status == Some(Started),
            Cancelled => matches!(status, None | Some(Started)),
        };
        if moves {
            *status = Some(to);
        }
    }

    fn cancel(&mut self) {
        self.reservation.get_or_insert_default();
        self.mark(ReserveStatus::Cancelled);
    }

    fn hold(&mut self, visit: &Visit<'_>) -> Result<(), Failure<NoBike>> {
        if self.hold == Entry::None {
            let taken = visit.happens("somebody else has the bike");
            self.hold = if taken { Entry::Closed } else { Entry::Taken };
        }
        match self.hold {
            Entry::Taken | Entry::GivenBack => Ok(()),
            Entry::None | Entry::Closed => Err(Failure::Refused(NoBike::Held)),
        }
    }

    fn spend(&mut self, ask: UsePoints) -> Result<(), Failure<NotEnoughPoints>> {
        if self.spent == Entry::None {
            let enough = self.points >= ask.points.0;
            self.spent = if enough { Entry::Taken } else { Entry::Closed };
            self.points -= if enough { ask.points.0 } else { 0 };
        }
        match self.spent {
            Entry::Taken | Entry::GivenBack => Ok(()),
            Entry::None | Entry::Closed => Err(Failure::Refused(NotEnoughPoints)),
        }
    }

    fn give_back(&mut self) {
        if self.spent == Entry::Taken {
            self.points += 1000;
        }
        self.spent.give_back();
    }
}

fn points_are_spent_on_what_was_used(before: i64) -> impl Fn(&World, &Outcome) -> bool {
    move |world, end| {
        let spent = if end.status == Status::Completed { 1000 } else { 0 };
        world.points == before - spent
    }
}

fn the_bike_is_free(world: &World, _: &Outcome) -> bool {
    world.hold != Entry::Taken
}

fn it_says_how_it_ended(world: &World, end: &Outcome) -> bool {
    // None: it belongs to another run.
    let Some(Row { status }) = world.reservation else { return end.status != Status::Completed };
    match status {
        Some(ReserveStatus::Returned) => end.status == Status::Completed,
        Some(ReserveStatus::Cancelled | ReserveStatus::Rejected) => end.status != Status::Completed,
        None | Some(ReserveStatus::Started) => false,
    }
}

fn bike_reservation(points: i64) -> Exhaust<BikeReservation, World> {
    Exhaust::start(&reservation(), with(points))
        .perform::<CreateReservation>(|world, _, _| world.create())
        .may_refuse::<CreateReservation>(Taken)
        .does::<MarkReservation>(|world, ask, _| world.mark(ask.status))
        .does::<CancelReservation>(|world, _, _| world.cancel())
        .perform::<HoldBike>(|world, _, visit| world.hold(visit))
        .does::<FreeBike>(|world, _, _| world.hold.give_back())
        .perform::<UsePoints>(|world, ask, _| world.spend(ask))
        .does::<ReturnPoints>(|world, _, _| world.give_back())
        .invariant("points are spent on what was used", points_are_spent_on_what_was_used(points))
        .invariant("the bike is free", the_bike_is_free)
        .invariant("it says how it ended", it_says_how_it_ended)
        .always("no balance is negative", |world| world.points >= 0)
}

/// The bike comes back, as soon as it is used.
fn back(world: &World) -> Option<ReturnBike> {
    let status = world.reservation?.status;
    (status == Some(ReserveStatus::Started)).then_some(ReturnBike {})
}

#[test]
fn whatever_happens_to_a_reservation_no_point_is_lost_and_no_bike_held() {
    let walked = bike_reservation(1000).update_when(back).walk();
    assert!(walked.never_asked().is_empty(), "{walked}");
    for twist in ["answer lost", "cancelled", "late", "overtaken", "unknown", "worker lost"] {
        assert!(walked.twists(twist) > 20, "{twist}: {walked}");
    }
}

#[test]
fn who_has_too_few_points_keeps_them_and_the_bike_is_free_again() {
    let walked = bike_reservation(999).walk();
    assert!(walked.performed("use_points") > 100, "{walked}");
    assert!(walked.performed("free_bike") > 100, "{walked}");
}
