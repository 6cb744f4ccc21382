//! A14: killed after the charge is committed and before the drive is requested.

use serde_json::json;

use crate::books;
use crate::history::{History, Spent, Step};
use crate::process::until;
use crate::town::{Api, Town, lock, rows, unlock};

const LEASE: &str = "1s";

async fn call(api: &Api) -> Result<i64, reqwest::Error> {
    let ask = json!({ "userId": 1, "userName": "nana", "distance": 20 });
    let answer = api.post("/calls", ask).await?;
    assert_eq!(answer.status, 201, "{}", answer.body);
    Ok(answer.body["callId"].as_i64().expect("a call has a number"))
}

/// One charge and one drive, and the ride comes to its end.
async fn assert_one_of_each(town: &Town, api: &Api) {
    until("the driver is on the way", async || {
        let call = api.see("/calls/1").await;
        (call["callStatus"] == "driveStart").then_some(())
    })
    .await;
    books::close_all(&town.books, api, &[]).await;
    let tally = books::check(&town.books, api, &[]).await;
    assert_eq!((tally.completed, town.count("hansom.workflow").await), (1, 1));
    assert_eq!(town.count("taxisvc.payment").await, 1, "one charge, and nothing else");
    assert_eq!(town.count("taxisvc.drive").await, 1);
    let started = "taxisvc.event where event_type = 'DriveStarted'";
    assert_eq!(town.count(started).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_charge_and_drive_it_finds_one_driver_and_charges_no_second_time() {
    let town = Town::new().await;
    let server = town.serve(LEASE).await;
    let api = Api::to(&server.url);
    api.fault("drive", json!({ "down": true })).await;
    let id = call(&api).await.expect("it is there");
    until("a driver is asked for in vain", async || {
        let history = History::of_call(&api, id).await;
        history.step("request_drive").filter(|step| !step.spent.is_empty())
    })
    .await;
    server.kill();
    assert_eq!(town.count("taxisvc.payment where kind = 'charge'").await, 1);
    assert_eq!(town.count("taxisvc.drive").await, 0, "the kill came too late");

    let server = town.serve(LEASE).await;
    let api = Api::to(&server.url);
    assert_one_of_each(&town, &api).await;
    let charge = History::of_call(&api, id).await.step("charge_fare").expect("it was paid");
    let lost = charge.spent.iter().any(|(_, spent)| *spent == Spent::Lost);
    assert!(!lost, "what was answered before is not asked again: {charge:?}");
    server.log.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_a_charge_and_its_record_it_asks_again_and_charges_no_second_time() {
    let town = Town::new().await;
    let server = town.serve(LEASE).await;
    let api = Api::to(&server.url);
    let ledger = town.lock("taxisvc.payment").await;
    let journal = town.connect().await;
    let placing = tokio::spawn({
        let api = api.clone();
        async move { call(&api).await }
    });
    until("the charge waits for the ledger", async || {
        let waiting = "pg_stat_activity where wait_event_type = 'Lock' and query like '%charged%'";
        (town.count(waiting).await > 0).then_some(())
    })
    .await;
    // From here on the engine cannot write down what comes of it: well before the charge is given
    // up on, after 610 ms.
    let journal = lock(journal, "hansom.fence").await;
    unlock(ledger).await;
    until("it is charged", async || {
        (town.count("taxisvc.payment where kind = 'charge'").await == 1).then_some(())
    })
    .await;
    until("what comes of it waits for the journal", async || {
        let waiting =
            "pg_stat_activity where wait_event_type = 'Lock' and query like '%hansom.commit%'";
        (town.count(waiting).await == 1).then_some(())
    })
    .await;
    server.kill();
    // The database would carry out what waits, though nobody hears the answer any more.
    let waiting = "select pg_terminate_backend(pid, 5000) from pg_stat_activity
                   where wait_event_type = 'Lock' and query like '%hansom.commit%'";
    let cut: Vec<(bool,)> = rows(&town.books, waiting).await;
    assert_eq!(cut, [(true,)], "one commit waited");
    unlock(journal).await;
    assert!(placing.await.expect("it ends").is_err(), "somebody was told before it was recorded");
    let recorded = "hansom.history where events like '%\"done\":{\"seq\":1,%'";
    assert_eq!(town.count(recorded).await, 0, "the kill came too late");

    let server = town.serve(LEASE).await;
    let api = Api::to(&server.url);
    assert_one_of_each(&town, &api).await;
    let charge = History::of_call(&api, 1).await.step("charge_fare");
    let Step { spent, .. } = charge.expect("it was paid");
    assert_eq!(spent.last().map(|(_, spent)| *spent), Some(Spent::Lost), "{spent:?}");
    server.log.assert_calm();
}
