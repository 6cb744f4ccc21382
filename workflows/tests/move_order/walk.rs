//! Every story of an order, in a world whose services keep the rules of the real ones.

use std::collections::BTreeSet;

use hansom_core::testing::Exhaust;
use hansom_core::testing::exhaust::Visit;
use hansom_core::{Direction, Failure, Outcome, Seq, Status};
use hansom_workflows::move_order::{
    AssignmentStatus, CancelOrder, CancelRequest, CompleteMove, ConfirmOrder, ConfirmRequest,
    MoveOrder, Mover, OrderStatus, OrderTaken, PickMover, PlaceOrder, Policy, ReleaseMover,
    RequestAssignment, RequestStatus,
};
use hansom_workflows::notification::{Notice, Notify, SendNotice};

use super::{mover, order};

/// What the mover, movemanage, moveassign and notification services remember of the order; a
/// cancelled one may be the tombstone of one that never came.
#[derive(Clone, Debug, Default, PartialEq)]
struct World {
    order: Option<OrderStatus>,
    request: Option<RequestStatus>,
    assignment: Option<AssignmentStatus>,
    /// Notices that were sent off by a step, by their ids.
    sent: BTreeSet<String>,
    /// The step that sends one off, if it never will.
    void: Option<Seq>,
    delivered: BTreeSet<String>,
}

type Taken = Failure<OrderTaken>;

impl World {
    fn place(&mut self) -> Result<(), Taken> {
        match *self.order.get_or_insert(OrderStatus::Called) {
            OrderStatus::Cancelled => Err(Failure::Refused(OrderTaken)),
            OrderStatus::Called | OrderStatus::Confirmed => Ok(()),
        }
    }

    fn request(&mut self) -> Result<(), Taken> {
        match *self.request.get_or_insert(RequestStatus::Calling) {
            RequestStatus::Cancelled => Err(Failure::Refused(OrderTaken)),
            RequestStatus::Calling | RequestStatus::Confirmed => Ok(()),
        }
    }

    fn pick(&mut self) -> Result<Mover, Taken> {
        match *self.assignment.get_or_insert(AssignmentStatus::Assigned) {
            AssignmentStatus::Cancelled => Err(Failure::Refused(OrderTaken)),
            AssignmentStatus::Assigned => Ok(mover()),
        }
    }

    fn confirm_order(&mut self) {
        if self.order == Some(OrderStatus::Called) {
            self.order = Some(OrderStatus::Confirmed);
        }
    }

    fn confirm_request(&mut self) {
        if self.request == Some(RequestStatus::Calling) {
            self.request = Some(RequestStatus::Confirmed);
        }
    }

    /// As the engine has it of a step in its own database: done or void, whichever comes first;
    /// and what is void needs no undo.
    fn send(&mut self, ask: SendNotice, visit: &Visit<'_>) {
        let is_undo = visit.direction == Direction::Undo;
        if is_undo && !self.is_sent("requested") {
            self.void = Some(visit.seq);
        } else if self.void != Some(visit.seq) {
            self.sent.insert(ask.id);
        }
    }

    fn deliver(&mut self, ask: Notify, _: &Visit<'_>) {
        self.delivered.insert(ask.message);
    }

    fn is_sent(&self, name: &str) -> bool {
        self.sent.contains(&format!("move.order.1.{name}"))
    }
}

fn all_three_agree(world: &World, end: &Outcome) -> bool {
    use AssignmentStatus::Assigned;
    let World { order, request, assignment, .. } = world;
    if end.status == Status::Completed {
        return (*order, *request, *assignment)
            == (Some(OrderStatus::Confirmed), Some(RequestStatus::Confirmed), Some(Assigned));
    }
    matches!(order, None | Some(OrderStatus::Cancelled))
        && matches!(request, None | Some(RequestStatus::Cancelled))
        && *assignment != Some(Assigned)
}

fn whoever_was_told_of_it_is_told_of_its_end(world: &World, end: &Outcome) -> bool {
    match end.status {
        Status::Completed => world.is_sent("requested") && !world.is_sent("cancelled"),
        _ => world.is_sent("cancelled") == world.is_sent("requested"),
    }
}

/// Told of an order that was never there, or of a mover before there was one.
fn nobody_is_told_too_much(world: &World) -> bool {
    (world.sent.is_empty() || world.order.is_some())
        && (world.delivered.is_empty() || world.assignment.is_some())
}

fn move_order(policy: Policy) -> Exhaust<MoveOrder, World> {
    Exhaust::start(&order(policy), World::default())
        .perform::<PlaceOrder>(|world, _, _| world.place())
        .may_refuse::<PlaceOrder>(OrderTaken)
        .does::<ConfirmOrder>(|world, _, _| world.confirm_order())
        .does::<CancelOrder>(|world, _, _| world.order = Some(OrderStatus::Cancelled))
        .perform::<RequestAssignment>(|world, _, _| world.request())
        .may_refuse::<RequestAssignment>(OrderTaken)
        .does::<ConfirmRequest>(|world, _, _| world.confirm_request())
        .does::<CancelRequest>(|world, _, _| world.request = Some(RequestStatus::Cancelled))
        .perform::<PickMover>(|world, _, _| world.pick())
        .may_refuse::<PickMover>(OrderTaken)
        .does::<ReleaseMover>(|world, _, _| world.assignment = Some(AssignmentStatus::Cancelled))
        .does::<SendNotice>(World::send)
        .does::<Notify>(World::deliver)
        .with_child::<Notice>()
        .invariant("order, request and mover agree", all_three_agree)
        .invariant("whoever was told is told of the end", whoever_was_told_of_it_is_told_of_its_end)
        .always("nobody is told too much", nobody_is_told_too_much)
}

fn arrived(world: &World) -> Option<CompleteMove> {
    (world.assignment == Some(AssignmentStatus::Assigned)).then_some(CompleteMove {})
}

#[test]
fn whatever_happens_to_a_strict_order_nobody_is_left_assigned_and_nothing_half_placed() {
    let walked = move_order(Policy::Strict).signal_when(arrived).walk();
    assert!(walked.never_asked().is_empty(), "{walked}");
    for twist in ["answer lost", "cancelled", "late", "overtaken", "unknown", "worker lost"] {
        assert!(walked.twists(twist) > 100, "{twist}: {walked}");
    }
}

#[test]
fn whatever_happens_to_an_order_with_the_fallback_it_is_confirmed_or_cancelled_everywhere() {
    let walked = move_order(Policy::Fallback).signal_when(arrived).walk();
    assert!(walked.never_asked().is_empty(), "{walked}");
    for twist in ["answer lost", "cancelled", "late", "overtaken", "worker lost", "refused"] {
        assert!(walked.twists(twist) > 20, "{twist}: {walked}");
    }
}

#[test]
fn a_move_that_nobody_completes_ends_all_the_same() {
    let walked = move_order(Policy::Strict).stories_max(2_000).walk();
    assert!(walked.performed("release_mover") > 100, "{walked}");
}
