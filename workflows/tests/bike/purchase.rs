use hansom_core::testing::Exhaust;
use hansom_core::testing::Script;
use hansom_core::testing::exhaust::Visit;
use hansom_core::{ActivityError, Failure, Outcome, Status, Verdict};
use hansom_workflows::bike::{
    CancelApproval, CreateApproval, IncreasePoints, PointPurchase, PointPurchases, PurchaseError,
    Taken,
};
use hansom_workflows::payment::{Charge, Declined, PaymentId, Refund, WasCharged};

use super::{bought, failed, plan, purchase};

fn written_down() -> Script<PointPurchase> {
    bought().complete::<CreateApproval>(&())
}

fn paid() -> Script<PointPurchase> {
    written_down().complete::<Charge>(&PaymentId(5))
}

#[test]
fn what_is_paid_for_is_given() {
    let script = paid().complete::<IncreasePoints>(&());
    assert_eq!(
        script.story(),
        ["create_approval", "charge", "pivot", "increase_points", "completed"]
    );
}

#[test]
fn once_it_is_paid_there_is_no_way_back() {
    let script = paid().cancel();
    assert!(plan(script.ledger()).is_empty());
    assert_eq!(script.complete::<IncreasePoints>(&()).ledger().status(), Status::Completed);
}

#[test]
fn a_card_that_is_declined_gives_no_points() {
    let script = written_down().refuse::<Charge>(Declined::Card).complete::<CancelApproval>(&());
    assert_eq!(
        script.story(),
        ["create_approval", "charge", "unwind", "undo: cancel_approval", "failed"]
    );
    assert_eq!(failed(&script), PurchaseError::Payment(ActivityError::Refused(Declined::Card)));
}

#[test]
fn a_cancellation_while_it_is_paid_gives_the_money_back() {
    let script = written_down().cancel().complete::<Charge>(&PaymentId(5));
    let script = script.complete::<Refund>(&()).complete::<CancelApproval>(&());
    assert_eq!(
        script.story()[2..],
        ["unwind", "undo: refund", "undo: cancel_approval", "cancelled"]
    );
}

#[test]
fn a_purchase_shows_how_far_it_is() {
    let progress = |script: &Script<PointPurchase>| {
        let row = script.row::<PointPurchases>().expect("it has a row");
        row[PointPurchases::PROGRESS].as_str().map(str::to_owned)
    };
    assert_eq!(progress(&bought()), None);
    assert_eq!(progress(&paid()).as_deref(), Some("requested"));
    assert_eq!(progress(&paid().complete::<IncreasePoints>(&())).as_deref(), Some("given"));
    let declined = written_down().refuse::<Charge>(Declined::Card).complete::<CancelApproval>(&());
    assert_eq!(progress(&declined).as_deref(), Some("cancelled"));
}

#[test]
fn a_purchase_of_another_saga_is_left_alone() {
    let script = bought().refuse::<CreateApproval>(Taken);
    assert_eq!(script.story(), ["create_approval", "unwind", "failed"]);
}

#[test]
fn a_charge_that_nobody_knows_of_is_asked_about_and_refunded() {
    let script = written_down().exhaust::<Charge>().find_not_done::<WasCharged>();
    assert_eq!(plan(script.ledger()), ["cancel_approval"]);
    let script = written_down().lose::<Charge>();
    assert_eq!(plan(script.ledger()), ["refund", "cancel_approval"]);
    let script = written_down().exhaust::<Charge>();
    let script = script.find_done::<WasCharged>(&PaymentId(5)).complete::<IncreasePoints>(&());
    assert_eq!(script.ledger().status(), Status::Completed);
}

/// What the approval, payment and point services remember.
#[derive(Clone, Debug, Default, PartialEq)]
struct World {
    approval: Option<Approval>,
    account: Account,
    /// What this purchase gave.
    points: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Approval {
    Written,
    /// It may be the tombstone of one that never came.
    Cancelled,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Account {
    #[default]
    Open,
    Charged,
    Refunded,
    /// No charge goes through any more.
    Void,
}

impl World {
    fn create(&mut self) -> Result<(), Failure<Taken>> {
        match self.approval.get_or_insert(Approval::Written) {
            Approval::Written => Ok(()),
            Approval::Cancelled => Err(Failure::Refused(Taken)),
        }
    }

    fn charge(&mut self, visit: &Visit<'_>) -> Result<PaymentId, Failure<Declined>> {
        if self.account == Account::Open {
            let declined = visit.happens("the card is declined");
            self.account = if declined { Account::Void } else { Account::Charged };
        }
        match self.account {
            Account::Charged => Ok(PaymentId(5)),
            _ => Err(Failure::Refused(Declined::Card)),
        }
    }

    fn was_charged(&mut self) -> Verdict<PaymentId> {
        if self.account == Account::Charged {
            return Verdict::Done(PaymentId(5));
        }
        self.account = Account::Void;
        Verdict::NotDone
    }

    fn refund(&mut self) {
        self.account = match self.account {
            Account::Charged | Account::Refunded => Account::Refunded,
            Account::Open | Account::Void => Account::Void,
        };
    }
}

fn points_are_what_was_paid(world: &World, end: &Outcome) -> bool {
    let done = end.status == Status::Completed;
    (world.account == Account::Charged) == done && world.points == done.then_some(3000)
}

fn it_says_how_it_ended(world: &World, end: &Outcome) -> bool {
    let written = world.approval == Some(Approval::Written);
    written == (end.status == Status::Completed)
}

#[test]
fn whatever_happens_to_a_purchase_points_are_given_once_for_what_was_paid() {
    let walk = Exhaust::<PointPurchase, World>::start(&purchase(), World::default())
        .perform::<CreateApproval>(|world, _, _| world.create())
        .may_refuse::<CreateApproval>(Taken)
        .does::<CancelApproval>(|world, _, _| world.approval = Some(Approval::Cancelled))
        .perform::<Charge>(|world, _, visit| world.charge(visit))
        .does::<WasCharged>(|world, _, _| world.was_charged())
        .does::<Refund>(|world, _, _| world.refund())
        .does::<IncreasePoints>(|world, ask, _| {
            world.points.get_or_insert(ask.points.0);
        })
        .invariant("points are what was paid", points_are_what_was_paid)
        .invariant("it says how it ended", it_says_how_it_ended);
    let walked = walk.walk();
    for twist in ["answer lost", "cancelled", "late", "overtaken", "worker lost"] {
        assert!(walked.twists(twist) > 20, "{twist}: {walked}");
    }
    assert!(walked.performed("refund") > 20, "{walked}");
}
