//! Calls, and the taxis that have them.

use hansom_activities::anycall::call::CallService;
use hansom_activities::anycall::member::{Changes, MemberService, Registered, Registration};
use hansom_activities::anycall::taxi::{Dispatch, TaxiService};
use hansom_core::Never;
use hansom_workflows::anycall_ride::{
    AssignTaxi, AttachMember, Call, CallId, CallStatus, CallTaken, CloseDispatch, LoadMember,
    MarkEnded, MarkStarted, Member, MemberGone, MemberId, OpenDispatch, PlaceCall, RecordTrip,
    ReviewCall, Rider, ScoreTaxi, Taxi, TripCount, UnassignTaxi, WithdrawCall,
};
use hansom_workflows::payment::{Payer, Won};

use super::{ask, eight_at_once, services};

const CALL: CallId = CallId(1);
const OURS: (&str, u32) = ("run", 1);
const STRANGER: (&str, u32) = ("another run", 1);

fn call() -> Call {
    Call {
        call_id: CALL,
        member_id: MemberId(7),
        phone_number: "010-7202-2664".to_owned(),
        start_address: "정자동".to_owned(),
        end_address: "목동".to_owned(),
    }
}

fn member() -> Member {
    Member {
        name: "홍길동".to_owned(),
        phone_number: "010-1111-2222".to_owned(),
        masked_card: "****-****-****-3456".to_owned(),
        friend_phone_number: String::new(),
    }
}

fn assign(number: &str) -> AssignTaxi {
    let taxi_number = number.to_owned();
    AssignTaxi { call_id: CALL, taxi: Taxi { taxi_number, taxi_info: String::new() } }
}

async fn row(taxis: &TaxiService) -> Dispatch {
    taxis.get(CALL).await.expect("it answers").expect("it is there")
}

#[tokio::test]
async fn a_call_belongs_to_the_run_that_placed_it() {
    let (pool, _database) = services().await;
    let calls = CallService::new(pool);
    assert_eq!(eight_at_once(&calls, &PlaceCall { call: call() }).await, [Ok(()); 8]);
    let taken = ask(&calls, STRANGER, PlaceCall { call: call() }).await;
    assert_eq!(taken, Err(CallTaken));
    assert_eq!(ask(&calls, STRANGER, WithdrawCall { call_id: CALL }).await, Ok(()));
    let status = async || calls.get(CALL).await.expect("it answers").expect("it is there").status;
    assert_eq!(status().await, CallStatus::Called);
    assert_eq!(ask(&calls, OURS, WithdrawCall { call_id: CALL }).await, Ok(()));
    assert_eq!(status().await, CallStatus::Cancelled);
    assert_eq!(ask(&calls, OURS, ReviewCall { call_id: CALL }).await, Ok(()));
    assert_eq!(status().await, CallStatus::Cancelled, "it is final");
}

#[tokio::test]
async fn a_call_that_is_withdrawn_before_it_is_placed_stays_so() {
    let (pool, _database) = services().await;
    let calls = CallService::new(pool);
    assert_eq!(ask(&calls, OURS, WithdrawCall { call_id: CALL }).await, Ok(()));
    assert_eq!(ask(&calls, OURS, PlaceCall { call: call() }).await, Ok(()));
    assert_eq!(calls.get(CALL).await.expect("it answers"), None);
    assert_eq!(ask(&calls, STRANGER, PlaceCall { call: call() }).await, Err(CallTaken));
}

#[tokio::test]
async fn a_dispatch_goes_forward_and_what_comes_late_changes_nothing() -> Result<(), Never> {
    let (pool, _database) = services().await;
    let taxis = TaxiService::new(pool);
    ask(&taxis, OURS, OpenDispatch { call: call() }).await?;
    ask(&taxis, OURS, AttachMember { call_id: CALL, member: member() }).await?;
    assert_eq!(row(&taxis).await.member_name.as_deref(), Some("홍길동"));
    ask(&taxis, OURS, MarkStarted { call_id: CALL }).await?;
    assert_eq!(row(&taxis).await.taxi_status, None, "no taxi has it");
    ask(&taxis, STRANGER, assign("0")).await?;
    ask(&taxis, OURS, assign("1")).await?;
    ask(&taxis, OURS, assign("2")).await?;
    assert_eq!(row(&taxis).await.taxi_number.as_deref(), Some("1"));
    ask(&taxis, OURS, MarkStarted { call_id: CALL }).await?;
    ask(&taxis, OURS, MarkEnded { call_id: CALL, pay_amt: Won(9) }).await?;
    ask(&taxis, OURS, MarkEnded { call_id: CALL, pay_amt: Won(8) }).await?;
    let ended = row(&taxis).await;
    assert_eq!((ended.taxi_status.as_deref(), ended.pay_amt), (Some("운행종료"), Some(9)));
    for score in ["5", "1"] {
        let estimate_score = score.to_owned();
        ask(&taxis, OURS, ScoreTaxi { call_id: CALL, estimate_score }).await?;
    }
    assert_eq!(row(&taxis).await.estimate_score.as_deref(), Some("5"));
    Ok(())
}

#[tokio::test]
async fn what_is_closed_or_unassigned_before_its_action_stays_so() -> Result<(), Never> {
    let (pool, _database) = services().await;
    let taxis = TaxiService::new(pool.clone());
    ask(&taxis, OURS, CloseDispatch { call_id: CALL }).await?;
    ask(&taxis, OURS, OpenDispatch { call: call() }).await?;
    assert_eq!(taxis.get(CALL).await.expect("it answers"), None);

    let second = Call { call_id: CallId(2), ..call() };
    ask(&taxis, OURS, OpenDispatch { call: second }).await?;
    ask(&taxis, OURS, UnassignTaxi { call_id: CallId(2) }).await?;
    ask(&taxis, OURS, AssignTaxi { call_id: CallId(2), ..assign("1") }).await?;
    let row = taxis.get(CallId(2)).await.expect("it answers").expect("it is there");
    assert_eq!((row.taxi_number, row.call_status.as_str()), (None, "택시호출"));
    Ok(())
}

#[tokio::test]
async fn a_taxi_that_is_let_go_is_not_there_any_more() -> Result<(), Never> {
    let (pool, _database) = services().await;
    let taxis = TaxiService::new(pool);
    ask(&taxis, OURS, OpenDispatch { call: call() }).await?;
    ask(&taxis, OURS, assign("1")).await?;
    ask(&taxis, STRANGER, UnassignTaxi { call_id: CALL }).await?;
    assert_eq!(row(&taxis).await.taxi_number.as_deref(), Some("1"));
    ask(&taxis, OURS, UnassignTaxi { call_id: CALL }).await?;
    ask(&taxis, OURS, CloseDispatch { call_id: CALL }).await?;
    let row = row(&taxis).await;
    assert_eq!((row.taxi_number, row.call_status.as_str()), (None, "택시호출취소"));
    Ok(())
}

#[tokio::test]
async fn a_trip_is_counted_once() -> Result<(), Never> {
    let (pool, _database) = services().await;
    let taxis = TaxiService::new(pool);
    let trip = |call, member| {
        let (call_id, member_id) = (CallId(call), MemberId(member));
        RecordTrip { call_id, member_id, pay_amt: Won(9) }
    };
    for (call, member, count) in [(1, 7, 1), (2, 7, 2), (1, 7, 1), (3, 8, 1), (4, 7, 3)] {
        assert_eq!(ask(&taxis, OURS, trip(call, member)).await?, TripCount(count));
    }
    Ok(())
}

fn registration(card: &str) -> Registration {
    let Member { name, phone_number, friend_phone_number, .. } = member();
    Registration { name, phone_number, card_number: card.to_owned(), friend_phone_number }
}

fn card(number: &str) -> Changes {
    Changes { card_number: Some(number.to_owned()), ..Changes::default() }
}

#[tokio::test]
async fn who_has_no_card_cannot_ride() {
    let (pool, _database) = services().await;
    let members = MemberService::new(pool);
    let load = |member_id| ask(&members, OURS, LoadMember { member_id });
    assert_eq!(load(MemberId(1)).await, Err(MemberGone));
    let poor = members.register(&registration("")).await.expect("it answers");
    assert_eq!((poor.member.masked_card.as_str(), &poor.payer), ("", &None));
    assert_eq!(load(poor.member_id).await, Err(MemberGone));
    let good = card("1234-5678-9012-3456");
    let changed = members.change(poor.member_id, &good).await.expect("it answers");
    let Registered { member_id, member: changed, payer } = changed.expect("it is there");
    assert_eq!(changed, member());
    let rider = Rider { member: member(), payer: payer.expect("there is a card") };
    assert_eq!(load(member_id).await, Ok(rider));
    members.change(member_id, &card("")).await.expect("it answers");
    assert_eq!(load(member_id).await, Err(MemberGone));
}

#[tokio::test]
async fn another_card_has_another_token_and_the_same_card_keeps_its_own() {
    let (pool, _database) = services().await;
    let members = MemberService::new(pool);
    let registered = members.register(&registration("1234-5678-9012-0002")).await;
    let Registered { member_id, payer, .. } = registered.expect("it answers");
    assert!(payer.as_ref().is_some_and(|Payer(token)| token.ends_with("_0002")), "{payer:?}");
    let changed = async |changes| {
        let changed = members.change(member_id, &changes).await.expect("it answers");
        changed.expect("it is there").payer
    };
    let renamed = Changes { name: Some("nana".to_owned()), ..Changes::default() };
    assert_eq!(changed(renamed).await, payer);
    assert_eq!(changed(card("1234-5678-9012-0002")).await, payer);
    let another = changed(card("1234-5678-9012-3456")).await;
    assert!(another.is_some() && another != payer, "{another:?}");
    let back = changed(card("1234-5678-9012-0002")).await;
    assert!(back.is_some() && back != payer && back != another, "{back:?}");
}
