use std::collections::BTreeSet;

use hansom_activities::move24mall::moveassign::AssignService;
use hansom_activities::move24mall::movemanage::ManageService;
use hansom_activities::move24mall::mover::MoverService;
use hansom_activities::page::Page;
use hansom_workflows::move_order::{
    AssignmentStatus, CancelOrder, CancelRequest, ConfirmOrder, ConfirmRequest, MoveType, Mover,
    Order, OrderId, OrderStatus, OrderTaken, PickMover, PlaceOrder, Policy, ReleaseMover,
    RequestAssignment, RequestStatus,
};
use hansom_workflows::payment::Won;

use super::{ask, done, eight_at_once, services};

const ORDER: OrderId = OrderId(1);

fn order(id: i64) -> Order {
    Order {
        order_id: OrderId(id),
        tel: "01012345678".to_owned(),
        location: "mapo".to_owned(),
        cost: Won(2_500_000),
        move_type: Some(MoveType::Full),
        policy: Policy::Strict,
    }
}

fn place() -> PlaceOrder {
    PlaceOrder { order: order(1) }
}

fn request() -> RequestAssignment {
    RequestAssignment { order: order(1) }
}

fn pick(id: i64) -> PickMover {
    PickMover { order_id: OrderId(id), location: "mapo".to_owned() }
}

#[tokio::test]
async fn an_order_asked_for_eight_times_at_once_is_one_order() {
    let (pool, _database) = services().await;
    let movers = MoverService::new(pool);
    assert_eq!(eight_at_once(&movers, &place()).await, [Ok(()); 8]);
    done(&movers, ConfirmOrder { order_id: ORDER }).await;
    assert_eq!(ask(&movers, "run", place()).await, Ok(()), "it is asked for again");
    let orders = movers.list(Page::default()).await.expect("it answers");
    assert_eq!(orders.total, 1);
    assert_eq!(orders.items[0].status, OrderStatus::Confirmed);
    assert_eq!(orders.items[0].move_type, Some(MoveType::Full));
}

#[tokio::test]
async fn a_cancelled_order_is_shown_no_more_and_does_not_come_back() {
    let (pool, _database) = services().await;
    let movers = MoverService::new(pool);
    done(&movers, place()).await;
    done(&movers, CancelOrder { order_id: ORDER }).await;
    done(&movers, ConfirmOrder { order_id: ORDER }).await;
    assert_eq!(movers.get(ORDER).await.expect("it answers"), None);
    assert_eq!(movers.list(Page::default()).await.expect("it answers").total, 0);
    assert_eq!(ask(&movers, "run", place()).await, Err(OrderTaken));
}

#[tokio::test]
async fn an_undo_that_comes_first_leaves_a_tombstone() {
    let (pool, _database) = services().await;
    let (movers, manage) = (MoverService::new(pool.clone()), ManageService::new(pool.clone()));
    let assign = AssignService::new(pool);
    done(&movers, CancelOrder { order_id: ORDER }).await;
    assert_eq!(ask(&movers, "run", place()).await, Err(OrderTaken));
    done(&manage, CancelRequest { order_id: ORDER }).await;
    assert_eq!(ask(&manage, "run", request()).await, Err(OrderTaken));
    done(&assign, ReleaseMover { order_id: ORDER }).await;
    assert_eq!(ask(&assign, "run", pick(1)).await, Err(OrderTaken));
    assert_eq!(movers.list(Page::default()).await.expect("it answers").total, 0);
    assert_eq!(manage.list(Page::default()).await.expect("it answers").total, 0);
    assert_eq!(assign.list(Page::default()).await.expect("it answers").total, 0);
}

#[tokio::test]
async fn what_another_run_wrote_is_neither_taken_nor_undone() {
    let (pool, _database) = services().await;
    let (movers, manage) = (MoverService::new(pool.clone()), ManageService::new(pool.clone()));
    let assign = AssignService::new(pool);
    done(&movers, place()).await;
    done(&manage, request()).await;
    let mover = done(&assign, pick(1)).await;
    for (refused, cancelled) in [
        (
            ask(&movers, "other", place()).await,
            ask(&movers, "other", CancelOrder { order_id: ORDER }).await,
        ),
        (
            ask(&manage, "other", request()).await,
            ask(&manage, "other", CancelRequest { order_id: ORDER }).await,
        ),
    ] {
        assert_eq!(refused, Err(OrderTaken));
        assert!(cancelled.is_ok());
    }
    assert_eq!(ask(&assign, "other", pick(1)).await, Err(OrderTaken));
    assert!(ask(&assign, "other", ReleaseMover { order_id: ORDER }).await.is_ok());
    let theirs = ConfirmRequest { order_id: ORDER, mover: mover.clone() };
    assert!(ask(&manage, "other", theirs).await.is_ok());
    assert!(movers.get(ORDER).await.expect("it answers").is_some());
    let request = manage.get(ORDER).await.expect("it answers").expect("it is there");
    assert_eq!((request.status, request.mover), (RequestStatus::Calling, None));
    let assignment = assign.get(ORDER).await.expect("it answers").expect("it is there");
    assert_eq!((assignment.status, assignment.mover), (AssignmentStatus::Assigned, mover));
}

#[tokio::test]
async fn a_request_is_confirmed_with_who_comes_and_stays_cancelled() {
    let (pool, _database) = services().await;
    let manage = ManageService::new(pool);
    done(&manage, request()).await;
    let (plate, name) = ("44나4567".to_owned(), "안채우".to_owned());
    let mover = Mover { plate, name, tel: "010-3345-7789".to_owned() };
    let confirm = ConfirmRequest { order_id: ORDER, mover: mover.clone() };
    done(&manage, confirm.clone()).await;
    let confirmed = manage.get(ORDER).await.expect("it answers").expect("it is there");
    assert_eq!((confirmed.status, confirmed.mover), (RequestStatus::Confirmed, Some(mover)));
    done(&manage, CancelRequest { order_id: ORDER }).await;
    done(&manage, confirm).await;
    let cancelled = manage.get(ORDER).await.expect("it answers").expect("it is still shown");
    assert_eq!(cancelled.status, RequestStatus::Cancelled);
}

#[tokio::test]
async fn a_mover_picked_eight_times_at_once_is_one_mover_of_the_six() {
    let (pool, _database) = services().await;
    let assign = AssignService::new(pool);
    let picked = eight_at_once(&assign, &pick(1)).await;
    assert!(picked.iter().all(|mover| *mover == picked[0] && mover.is_ok()), "{picked:?}");
    let mut names = BTreeSet::new();
    for id in 2..80 {
        names.insert(done(&assign, pick(id)).await.name);
    }
    // One of them left out of 78 picks would be a chance of four in a million.
    let six = ["백영곤", "안채우", "임광현", "장윤정", "옥준삼", "유승오"];
    assert_eq!(names, six.map(str::to_owned).into());
}

#[tokio::test]
async fn a_mover_who_was_let_go_is_not_picked_again_for_that_order() {
    let (pool, _database) = services().await;
    let assign = AssignService::new(pool);
    done(&assign, pick(1)).await;
    done(&assign, ReleaseMover { order_id: ORDER }).await;
    assert_eq!(ask(&assign, "run", pick(1)).await, Err(OrderTaken));
    let assignment = assign.get(ORDER).await.expect("it answers").expect("it is still shown");
    assert_eq!(assignment.status, AssignmentStatus::Cancelled);
}
