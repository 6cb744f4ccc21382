//! `hansom views rebuild`: rows that are wrong or gone are made anew from history.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::processes::{Server, migrated, run, text};

const ROWS: &str = "/v1/views/call_views";

/// Makes the rows anew, and returns what it said.
fn rebuild(url: &str) -> String {
    let rebuilt = run(&["views", "rebuild", "call_views"], url);
    assert_eq!(rebuilt.status.code(), Some(0), "{}", text(&rebuilt.stderr));
    text(&rebuilt.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_wrong_or_gone_are_made_anew_beside_a_server_and_without_one() {
    let database = migrated().await;
    let mut server = Server::start(database.url());
    for (id, distance) in [(1, "20"), (2, "101"), (3, "30")] {
        let call = json!({ "userId": "1", "userName": "nana", "distance": distance });
        assert_eq!(server.post("/calls", call).await.status, 201);
        // A drive has its number when it is asked for, which may be after the next call.
        server.until(&format!("/drives/{id}"), |drive| drive["callId"] == id).await;
    }
    let settled = |views: &Value| {
        let views = views["_embedded"]["callViews"].as_array().expect("a list");
        let statuses: Vec<_> = views.iter().map(|view| view["callStatus"].as_str()).collect();
        statuses == [Some("driveStart"), Some("requestCancel"), Some("driveStart")]
    };
    server.until("/callViews", settled).await;
    server.until("/v1/workflows/taxisvc.call.2", |call| call["status"] == "failed").await;
    let right = server.get(ROWS).await.body;

    let pool = PgPool::connect(database.url()).await.expect("it answers");
    for mistake in [
        "update hansom.view set fields = '{}' where view = 'call_views' and key = 1",
        "delete from hansom.view where view = 'call_views' and key <> 3",
        "truncate hansom.view",
    ] {
        sqlx::raw_sql(mistake).execute(&pool).await.expect("it is done");
        assert_ne!(server.get(ROWS).await.body, right, "{mistake}");
        let said = rebuild(database.url());
        assert!(said.contains("call_views  3"), "{said}");
        assert_eq!(server.get(ROWS).await.body, right, "{mistake}");
    }
    // What comes after is written as ever.
    assert_eq!(server.post("/drives/end", json!({ "driveId": 1 })).await.status, 200);
    server.until("/callViews/1", |view| view["callStatus"] == "driveComplete").await;
    let right = server.get(ROWS).await.body;
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));

    sqlx::raw_sql("truncate hansom.view").execute(&pool).await.expect("it is done");
    rebuild(database.url());
    let server = Server::start(database.url());
    assert_eq!(server.get(ROWS).await.body, right);

    let nobody = run(&["views", "rebuild", "call_view"], database.url());
    let said = text(&nobody.stderr);
    assert_eq!(nobody.status.code(), Some(4), "{said}");
    assert!(said.contains("did you mean `call_views`?"), "{said}");
}
