//! What must be true at the end, whatever was done to whom.
//!
//! Money is read in the payment service's own ledger; what the engine says of a saga is held
//! against its history, and both against what riders were told.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::history::{History, workflow_id};
use crate::load::{Plan, Ride};
use crate::process::until;
use crate::town::{Api, rows};

/// How everything ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) completed: usize,
    pub(crate) cancelled: usize,
    pub(crate) not_available: usize,
    pub(crate) declined: usize,
    /// Nobody knew whether it was paid, so it was voided or refunded.
    pub(crate) unpaid: usize,
    /// Attempts lost with their worker, in how many sagas.
    pub(crate) lost: usize,
    pub(crate) lost_in: usize,
}

/// What the services know of a call.
#[derive(Debug, Default)]
struct Call {
    status: String,
    placed: bool,
    fare: i64,
    charges: Vec<i64>,
    refunds: Vec<i64>,
    declined: bool,
    drives: Vec<String>,
    events: BTreeMap<String, i64>,
}

impl Call {
    fn event(&self, name: &str) -> i64 {
        self.events.get(name).copied().unwrap_or_default()
    }
}

/// Ends every ride that nobody cancelled, until every saga is closed. None may be stuck.
pub(crate) async fn close_all(books: &PgPool, api: &Api, rides: &[Ride]) {
    let cancelled: HashSet<_> = rides
        .iter()
        .filter(|ride| ride.plan == Plan::Cancel && ride.finished.is_some())
        .map(|ride| ride.call)
        .collect();
    until("every saga is closed", async || {
        let open: Vec<(String, i16)> =
            rows(books, "select workflow_id, status from hansom.workflow where closed_at is null")
                .await;
        let stuck = open.iter().find(|(_, status)| *status == 2);
        assert!(stuck.is_none(), "{stuck:?} is stuck");
        let driving: Vec<(i64, i64)> = rows(
            books,
            "select d.call_id, d.drive_id from taxisvc.drive d
             join hansom.workflow w on w.workflow_id = 'taxisvc.call.' || d.call_id
             where d.status = 'start' and w.closed_at is null",
        )
        .await;
        let left = driving.iter().filter(|(call, _)| !cancelled.contains(call));
        let ends = left.map(|(_, drive)| api.post("/drives/end", json!({ "driveId": drive })));
        let mut ends = stream::iter(ends).buffer_unordered(8);
        while let Some(ended) = ends.next().await {
            assert!(matches!(ended.expect("it is there").status, 200 | 202));
        }
        open.is_empty().then_some(())
    })
    .await;
}

/// Checks all of it. Everything must be closed.
pub(crate) async fn check(books: &PgPool, api: &Api, rides: &[Ride]) -> Tally {
    let calls = read(books).await;
    let listed = list(api).await;
    let counted: Vec<(i64,)> = rows(books, "select count(*) from hansom.workflow").await;
    assert_eq!(usize::try_from(counted[0].0).ok(), Some(listed.len()), "the list is complete");
    let ids: Vec<_> = calls.keys().map(|call| workflow_id(*call)).collect();
    assert!(ids.iter().all(|id| listed.contains_key(id)), "a call without a saga");
    let mut tally = Tally::default();
    let mut sagas = BTreeMap::new();
    for (id, line) in &listed {
        let status = check_saga(api, id, line, &mut tally).await;
        let call = id.rsplit('.').next().and_then(|call| call.parse().ok()).expect("a call's id");
        let nothing = Call::default();
        check_call(call, calls.get(&call).unwrap_or(&nothing), &status, &mut tally);
        sagas.insert(call, status);
    }
    check_sums(&calls);
    for ride in rides {
        check_promise(ride, calls.get(&ride.call), sagas.get(&ride.call));
    }
    tally
}

/// Row, description and history say the same; answers how it ended.
async fn check_saga(api: &Api, id: &str, line: &Value, tally: &mut Tally) -> String {
    let described = api.see(&format!("/v1/workflows/{id}")).await;
    for field in ["run", "type", "status", "undo", "started_at", "closed_at"] {
        assert_eq!(line[field], described[field], "{id}: {field} in the list and by itself");
    }
    let history = History::of(api, id).await;
    history.assert_sound(id);
    assert_eq!(described["events"].as_u64(), u64::try_from(history.len()).ok(), "{id}");
    assert_eq!(line["status"], history.status(), "{id}: the row is what history adds up to");
    assert!(line["closed_at"].is_string(), "{id}");
    tally.lost += history.lost();
    tally.lost_in += usize::from(history.lost() > 0);
    history.status().to_owned()
}

/// The ledger says what the saga's end says.
fn check_call(id: i64, call: &Call, saga: &str, tally: &mut Tally) {
    let paid = usize::from(saga == "completed");
    assert_eq!(call.charges.len() - call.refunds.len(), paid, "{id} {saga}: {call:?}");
    assert!(call.charges.len() <= 1 && call.drives.len() <= 1, "{id}: {call:?}");
    assert!(call.refunds.is_empty() || call.refunds == call.charges, "{id}: {call:?}");
    assert!(call.charges.iter().all(|fare| *fare == call.fare), "{id}: {call:?}");
    assert!(!call.placed || call.charges.len() == 1, "{id} is placed and not paid: {call:?}");
    let once = [
        ("FarePaid", call.charges.len()),
        ("CallPlaced", usize::from(call.placed)),
        ("DrivieEnded", paid),
    ];
    for (event, times) in once {
        assert_eq!(usize::try_from(call.event(event)).ok(), Some(times), "{id} {event}: {call:?}");
    }
    assert!(call.events.values().all(|times| *times == 1), "{id}: published twice: {call:?}");
    let drive = call.drives.first().map(String::as_str);
    match (saga, call.status.as_str()) {
        ("completed", "driveComplete") => {
            assert_eq!(drive, Some("end"), "{id}: {call:?}");
            tally.completed += 1;
        }
        ("cancelled", "requestCancel" | "payFail") => {
            assert_ne!(drive, Some("start"), "{id}: a driver waits for nobody: {call:?}");
            tally.cancelled += 1;
        }
        ("failed", "requestCancel") => {
            assert_eq!(call.event("DriveNotAvailavled"), 1, "{id}: {call:?}");
            tally.not_available += 1;
        }
        ("failed", "payFail") if call.declined => {
            assert!(call.charges.is_empty(), "{id}: {call:?}");
            tally.declined += 1;
        }
        ("failed", "payFail") => tally.unpaid += 1,
        _ => panic!("{id} is {saga}: {call:?}"),
    }
}

fn check_sums(calls: &BTreeMap<i64, Call>) {
    let charged: i64 = calls.values().flat_map(|call| &call.charges).sum();
    let refunded: i64 = calls.values().flat_map(|call| &call.refunds).sum();
    let completed = calls.values().filter(|call| call.status == "driveComplete");
    let earned: i64 = completed.map(|call| call.fare).sum();
    assert_eq!(charged - refunded, earned, "money was made or lost");
}

/// What a rider was told has come true.
fn check_promise(ride: &Ride, call: Option<&Call>, saga: Option<&String>) {
    let call = call.unwrap_or_else(|| panic!("{ride:?} is nowhere"));
    let ended = match (ride.placed, ride.plan, ride.finished) {
        (201, ..) if call.charges.len() != 1 => panic!("{ride:?} was not charged: {call:?}"),
        (201, Plan::End, Some(_)) => "completed",
        (201, Plan::Cancel, Some(_)) => "cancelled",
        (201, Plan::TooFar, _) | (402, ..) => "failed",
        _ => return,
    };
    assert_eq!(saga.map(String::as_str), Some(ended), "{ride:?}: {call:?}");
}

async fn list(api: &Api) -> BTreeMap<String, Value> {
    let mut listed = BTreeMap::new();
    let mut page = "/v1/workflows?limit=200".to_owned();
    loop {
        let body = api.see(&page).await;
        for line in body["items"].as_array().expect("a page has items") {
            let id = line["workflow_id"].as_str().expect("it has an id").to_owned();
            assert!(listed.insert(id, line.clone()).is_none(), "listed twice: {line}");
        }
        match body["next"].as_str() {
            Some(next) => page = format!("/v1/workflows?limit=200&cursor={next}"),
            None => return listed,
        }
    }
}

async fn read(books: &PgPool) -> BTreeMap<i64, Call> {
    let mut calls = BTreeMap::<i64, Call>::new();
    let found: Vec<(i64, String, bool, i64)> = rows(
        books,
        "select call_id, coalesce(status, 'registered'), placed_at is not null,
                coalesce(distance, 0) * 100
         from taxisvc.call",
    )
    .await;
    for (id, status, placed, fare) in found {
        calls.insert(id, Call { status, placed, fare, ..Call::default() });
    }
    let ledger = "select call_id, kind, fare, reason from taxisvc.payment";
    let entries: Vec<(i64, String, i64, String)> = rows(books, ledger).await;
    for (id, kind, fare, reason) in entries {
        let call = calls.get_mut(&id).unwrap_or_else(|| panic!("{kind} for call {id}: an orphan"));
        match kind.as_str() {
            "charge" => call.charges.push(fare),
            "refund" => call.refunds.push(fare),
            _ => call.declined |= reason == "declined",
        }
    }
    let drives = "select call_id, status from taxisvc.drive where drive_id is not null";
    for (id, status) in rows::<(i64, String)>(books, drives).await {
        calls.get_mut(&id).expect("a drive is for a call").drives.push(status);
    }
    let events = "select (payload->>'callId')::bigint, event_type, count(*)
                  from taxisvc.event group by 1, 2";
    for (id, event, times) in rows::<(i64, String, i64)>(books, events).await {
        calls.get_mut(&id).expect("an event is of a call").events.insert(event, times);
    }
    calls
}
