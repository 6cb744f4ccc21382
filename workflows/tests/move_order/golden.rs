//! What a moving order writes down, kept in `golden`; see `hansom_core::testing::golden`.

use std::time::Duration;

use hansom_core::Activity;
use hansom_core::testing::{Golden, Script, golden};
use hansom_workflows::move_order::{
    CancelOrder, CancelRequest, CompleteMove, ConfirmOrder, ConfirmRequest, MoveOrder, OrderTaken,
    PickMover, PlaceOrder, ReleaseMover, RequestAssignment,
};
use hansom_workflows::notification::SendNotice;

use super::{fallback, mover, strict};

type Story = Script<MoveOrder>;

/// It takes a second.
fn done<A: Activity>(story: Story, output: &A::Output) -> Story {
    story.wait(Duration::from_secs(1)).complete::<A>(output)
}

fn accepted() -> Story {
    let placed = done::<PlaceOrder>(done::<RequestAssignment>(strict(), &()), &());
    done::<SendNotice>(placed, &())
}

fn confirmed(accepted: Story) -> Story {
    let picked = done::<PickMover>(accepted, &mover());
    done::<ConfirmRequest>(done::<ConfirmOrder>(picked, &()), &())
}

/// What was accepted is given back.
fn given_back(story: Story) -> Story {
    let story = done::<CancelOrder>(done::<SendNotice>(story, &()), &());
    done::<CancelRequest>(story, &())
}

fn kept(name: &str, story: &Story) {
    golden(format!("tests/golden/move_order/{name}.json"), story);
}

#[test]
fn whatever_was_kept_can_go_on_also_when_its_story_is_not_told_any_more() {
    let mut kept = 0;
    for file in std::fs::read_dir("tests/golden/move_order").expect("the folder is there") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("it is text");
        Golden::<MoveOrder>::parse(&text).replay();
        kept += 1;
    }
    assert!(kept >= 9, "{kept} are kept");
}

#[test]
fn a_move_from_its_call_to_its_end() {
    kept("under_way", &confirmed(accepted()));
    let ended = confirmed(accepted()).wait(Duration::from_hours(30)).signal(&CompleteMove {});
    kept("completed", &ended);
    kept("over_after_a_month", &confirmed(accepted()).fire());
}

#[test]
fn an_order_whose_manager_does_not_take_it() {
    kept("refused", &strict().refuse::<RequestAssignment>(OrderTaken));
    kept("request_unknown", &done::<CancelRequest>(strict().lose::<RequestAssignment>(), &()));
}

#[test]
fn an_order_that_is_taken_before_its_manager_is_asked() {
    let placed = done::<PlaceOrder>(fallback(), &());
    let requested = done::<RequestAssignment>(placed, &());
    kept("fallback", &confirmed(done::<SendNotice>(requested, &())));
}

#[test]
fn a_cancellation_under_way_and_one_while_a_mover_is_looked_for() {
    let cancelled = done::<ReleaseMover>(confirmed(accepted()).cancel(), &());
    kept("cancelled", &given_back(cancelled));
    let assigning = done::<PickMover>(accepted().cancel(), &mover());
    kept("cancelled_while_assigning", &given_back(done::<ReleaseMover>(assigning, &())));
}

#[test]
fn an_undo_that_stays_owed() {
    let owing = confirmed(accepted()).cancel().lose::<ReleaseMover>();
    kept("undo_exhausted", &given_back(owing));
}
