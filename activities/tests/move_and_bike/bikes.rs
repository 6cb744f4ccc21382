use hansom_activities::bike::approval::ApprovalService;
use hansom_activities::bike::management::{BikeService, Registration};
use hansom_activities::bike::point::PointService;
use hansom_activities::bike::reservation::ReservationService;
use hansom_activities::page::Page;
use hansom_postgres::testing::TestDatabase;
use hansom_workflows::bike::{
    BikeId, CancelApproval, CancelReservation, ConfirmId, CreateApproval, CreateReservation,
    FreeBike, HoldBike, IncreasePoints, MarkReservation, NoBike, NotEnoughPoints, Points, Purchase,
    Reservation, ReserveNo, ReserveStatus, ReturnPoints, Taken, UsePoints, UserId,
};
use hansom_workflows::payment::Won;
use tokio::task::JoinSet;

use super::{ask, done, eight_at_once, services};

const USER: UserId = UserId(10);
const BIKE: BikeId = BikeId(1);

fn red(key: Option<&str>) -> Registration {
    let (color, registered_date) = ("red".to_owned(), "20230207".to_owned());
    Registration { color, registered_date, key: key.map(str::to_owned) }
}

fn hold(reserve_no: i64) -> HoldBike {
    HoldBike { reserve_no: ReserveNo(reserve_no), bike_id: BIKE }
}

fn free(reserve_no: i64) -> FreeBike {
    FreeBike { reserve_no: ReserveNo(reserve_no) }
}

fn buy(confirm_id: i64, points: i64) -> IncreasePoints {
    let points = Points(points);
    IncreasePoints { confirm_id: ConfirmId(confirm_id), user_id: USER, points }
}

fn spend(reserve_no: i64) -> UsePoints {
    let reserve_no = ReserveNo(reserve_no);
    UsePoints { reserve_no, user_id: USER, points: Points::RESERVATION }
}

fn give_back(reserve_no: i64) -> ReturnPoints {
    ReturnPoints { reserve_no: ReserveNo(reserve_no) }
}

async fn bikes() -> (BikeService, TestDatabase) {
    let (pool, database) = services().await;
    let bikes = BikeService::new(pool);
    assert_eq!(bikes.register(&red(None)).await.expect("it answers"), Some(BIKE));
    (bikes, database)
}

async fn total(points: &PointService) -> Option<i64> {
    points.get(USER).await.expect("it answers").map(|balance| balance.total.0)
}

#[tokio::test]
async fn a_registration_repeated_with_its_key_is_one_bike_and_takes_one_number() {
    let (bikes, _database) = bikes().await;
    let mut registering = JoinSet::new();
    for _ in 0..8 {
        let bikes = bikes.clone();
        registering.spawn(async move { bikes.register(&red(Some("a"))).await });
    }
    let registered: Vec<_> = registering.join_all().await.into_iter().flatten().collect();
    assert_eq!(registered.len(), 8);
    assert!(registered.iter().all(|id| id.is_some() && *id == registered[0]), "{registered:?}");
    let before = bikes.register(&red(None)).await.expect("it answers").expect("it is new");
    assert_eq!(bikes.register(&red(Some("a"))).await.expect("it answers"), registered[0]);
    let after = bikes.register(&red(None)).await.expect("it answers").expect("it is new");
    assert_eq!(after.0, before.0 + 1, "a repetition takes no number");
    let blue = Registration { color: "blue".to_owned(), ..red(Some("a")) };
    assert_eq!(bikes.register(&blue).await.expect("it answers"), None);
    assert_eq!(bikes.list(Page::default()).await.expect("it answers").total, 4);
}

#[tokio::test]
async fn of_eight_who_want_a_bike_at_once_one_gets_it() {
    let (bikes, _database) = bikes().await;
    let mut asking = JoinSet::new();
    for reserve_no in 1..=8 {
        let bikes = bikes.clone();
        let run = format!("run {reserve_no}");
        asking.spawn(async move { ask(&bikes, &run, hold(reserve_no)).await });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == Err(NoBike::Held)).count(), 7);
    assert!(bikes.get(BIKE).await.expect("it answers").expect("it is there").is_reserved);
}

#[tokio::test]
async fn a_hold_asked_for_eight_times_at_once_is_one_hold_also_after_it_was_freed() {
    let (bikes, _database) = bikes().await;
    assert_eq!(eight_at_once(&bikes, &hold(1)).await, [Ok(()); 8]);
    done(&bikes, free(1)).await;
    assert_eq!(ask(&bikes, "run", hold(1)).await, Ok(()), "as it was answered before");
    let bike = bikes.get(BIKE).await.expect("it answers").expect("it is there");
    assert!(!bike.is_reserved, "and it is not held again");
    assert_eq!(ask(&bikes, "run", hold(2)).await, Ok(()));
}

#[tokio::test]
async fn a_bike_that_was_refused_or_freed_first_is_refused_for_good() {
    let (bikes, _database) = bikes().await;
    done(&bikes, hold(1)).await;
    assert_eq!(ask(&bikes, "run", hold(2)).await, Err(NoBike::Held));
    done(&bikes, free(1)).await;
    assert_eq!(ask(&bikes, "run", hold(2)).await, Err(NoBike::Held), "an attempt that is late");
    done(&bikes, free(3)).await;
    assert_eq!(ask(&bikes, "run", hold(3)).await, Err(NoBike::Held));
    let unknown = HoldBike { bike_id: BikeId(7), ..hold(4) };
    assert_eq!(ask(&bikes, "run", unknown).await, Err(NoBike::Unknown));
    assert_eq!(ask(&bikes, "run", unknown).await, Err(NoBike::Unknown));
}

#[tokio::test]
async fn a_bike_of_another_run_is_neither_answered_with_nor_freed() {
    let (bikes, _database) = bikes().await;
    done(&bikes, hold(1)).await;
    assert_eq!(ask(&bikes, "other", hold(1)).await, Err(NoBike::Held));
    assert!(ask(&bikes, "other", free(1)).await.is_ok());
    assert!(bikes.get(BIKE).await.expect("it answers").expect("it is there").is_reserved);
}

#[tokio::test]
async fn points_bought_eight_times_at_once_are_given_once() {
    let (pool, _database) = services().await;
    let points = PointService::new(pool);
    assert_eq!(total(&points).await, None);
    eight_at_once(&points, &buy(1, 3000)).await;
    assert_eq!(total(&points).await, Some(3000));
    done(&points, buy(2, 5000)).await;
    assert_eq!(total(&points).await, Some(8000));
}

#[tokio::test]
async fn points_spent_and_returned_eight_times_at_once_are_spent_and_returned_once() {
    let (pool, _database) = services().await;
    let points = PointService::new(pool);
    done(&points, buy(1, 8000)).await;
    assert_eq!(eight_at_once(&points, &spend(1)).await, [Ok(()); 8]);
    assert_eq!(total(&points).await, Some(7000));
    eight_at_once(&points, &give_back(1)).await;
    assert_eq!(total(&points).await, Some(8000));
}

#[tokio::test]
async fn of_eight_reservations_at_once_as_many_are_paid_for_as_there_are_points() {
    let (pool, _database) = services().await;
    let points = PointService::new(pool);
    done(&points, buy(1, 3500)).await;
    let mut asking = JoinSet::new();
    for reserve_no in 1..=8 {
        let points = points.clone();
        asking.spawn(async move { ask(&points, "run", spend(reserve_no)).await });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3, "{answers:?}");
    assert_eq!(total(&points).await, Some(500));
}

#[tokio::test]
async fn who_had_too_few_points_is_refused_for_good_and_pays_nothing_later() {
    let (pool, _database) = services().await;
    let points = PointService::new(pool);
    assert_eq!(ask(&points, "run", spend(1)).await, Err(NotEnoughPoints), "there is no account");
    done(&points, buy(1, 999)).await;
    assert_eq!(ask(&points, "run", spend(2)).await, Err(NotEnoughPoints));
    done(&points, buy(2, 5000)).await;
    for reserve_no in [1, 2] {
        let late = ask(&points, "run", spend(reserve_no)).await;
        assert_eq!(late, Err(NotEnoughPoints), "an attempt that is late");
        done(&points, give_back(reserve_no)).await;
    }
    done(&points, give_back(3)).await;
    assert_eq!(ask(&points, "run", spend(3)).await, Err(NotEnoughPoints), "it was undone first");
    assert_eq!(total(&points).await, Some(5999));
}

#[tokio::test]
async fn points_of_another_run_are_neither_answered_with_nor_given_back() {
    let (pool, _database) = services().await;
    let points = PointService::new(pool);
    done(&points, buy(1, 1000)).await;
    done(&points, spend(1)).await;
    assert_eq!(ask(&points, "other", spend(1)).await, Err(NotEnoughPoints));
    assert!(ask(&points, "other", give_back(1)).await.is_ok());
    assert_eq!(total(&points).await, Some(0));
}

#[tokio::test]
async fn every_balance_is_the_sum_of_its_entries_and_none_can_be_negative() {
    let (pool, _database) = services().await;
    let points = PointService::new(pool.clone());
    done(&points, buy(1, 3000)).await;
    for reserve_no in 1..=4 {
        let _ = ask(&points, "run", spend(reserve_no)).await;
    }
    done(&points, give_back(2)).await;
    let sum = "select sum(case when kind in ('increase', 'return') then points
                               when kind = 'use' then -points else 0 end)::bigint
               from bike.point_entry";
    let sum: i64 = sqlx::query_scalar(sum).fetch_one(&pool).await.expect("it answers");
    assert_eq!(total(&points).await, Some(sum));
    let overdrawn = sqlx::query("update bike.point set total_point = -1").execute(&pool).await;
    assert!(
        overdrawn.expect_err("the table says no").to_string().contains("point_total_point_check")
    );
}

#[tokio::test]
async fn a_reservation_only_ever_moves_forward() {
    let (pool, _database) = services().await;
    let reservations = ReservationService::new(pool);
    let reserve_no = ReserveNo(1);
    let reservation = Reservation { reserve_no, user_id: USER, bike_id: BIKE };
    let mark = |status| MarkReservation { reserve_no, status };
    assert_eq!(eight_at_once(&reservations, &CreateReservation { reservation }).await, [Ok(()); 8]);
    done(&reservations, mark(ReserveStatus::Returned)).await;
    let shown = reservations.get(reserve_no).await.expect("it answers").expect("it is there");
    assert_eq!((shown.status, shown.returned_at), (None, None), "it has not begun");
    done(&reservations, mark(ReserveStatus::Started)).await;
    done(&reservations, mark(ReserveStatus::Rejected)).await;
    done(&reservations, mark(ReserveStatus::Returned)).await;
    done(&reservations, CancelReservation { reserve_no }).await;
    let shown = reservations.get(reserve_no).await.expect("it answers").expect("it is there");
    assert_eq!(shown.status, Some(ReserveStatus::Returned));
    assert!(shown.reserved_at < shown.returned_at);
    assert_eq!(ask(&reservations, "other", CreateReservation { reservation }).await, Err(Taken));
}

#[tokio::test]
async fn a_reservation_that_is_cancelled_first_is_never_written_down() {
    let (pool, _database) = services().await;
    let reservations = ReservationService::new(pool);
    let reserve_no = ReserveNo(1);
    done(&reservations, CancelReservation { reserve_no }).await;
    let reservation = Reservation { reserve_no, user_id: USER, bike_id: BIKE };
    let late = ask(&reservations, "run", CreateReservation { reservation }).await;
    assert_eq!(late, Err(Taken));
    assert_eq!(reservations.list(Page::default()).await.expect("it answers").total, 0);
}

#[tokio::test]
async fn a_rejected_reservation_stays_rejected_when_its_saga_unwinds() {
    let (pool, _database) = services().await;
    let reservations = ReservationService::new(pool);
    let reserve_no = ReserveNo(1);
    let reservation = Reservation { reserve_no, user_id: USER, bike_id: BIKE };
    done(&reservations, CreateReservation { reservation }).await;
    done(&reservations, MarkReservation { reserve_no, status: ReserveStatus::Rejected }).await;
    done(&reservations, CancelReservation { reserve_no }).await;
    let shown = reservations.get(reserve_no).await.expect("it answers").expect("it is there");
    assert_eq!(shown.status, Some(ReserveStatus::Rejected));
}

#[tokio::test]
async fn a_purchase_is_written_down_once_and_cancelled_by_its_own_run() {
    let (pool, _database) = services().await;
    let approvals = ApprovalService::new(pool);
    let (confirm_id, approve_date) = (ConfirmId(1), "20230207".to_owned());
    let purchase = Purchase { confirm_id, user_id: USER, price: Won(3000), approve_date };
    let create = CreateApproval { purchase };
    assert_eq!(eight_at_once(&approvals, &create).await, vec![Ok(()); 8]);
    assert_eq!(ask(&approvals, "other", create.clone()).await, Err(Taken));
    assert!(ask(&approvals, "other", CancelApproval { confirm_id }).await.is_ok());
    let shown = approvals.get(confirm_id).await.expect("it answers").expect("it is there");
    assert!(!shown.is_cancelled);
    done(&approvals, CancelApproval { confirm_id }).await;
    assert_eq!(ask(&approvals, "run", create).await, Err(Taken));
    let shown = approvals.get(confirm_id).await.expect("it answers").expect("it is there");
    assert!(shown.is_cancelled);
}
