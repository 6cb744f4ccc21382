//! The whole of anycall: router, engine, services, and a database of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request};
use hansom::config::Gateway;
use hansom::http::{Api, app};
use hansom::page;
use hansom::systems::{Systems, Urls};
use hansom_activities::breaker::BreakerSettings;
use hansom_activities::numbers::{Numbers, Series};
use hansom_engine::{Settings, Worker, connect, migrate};
use hansom_postgres::testing::{PATIENCE, TestDatabase, database};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tower::ServiceExt;

pub(crate) struct Rig {
    router: Router,
    api: Arc<Api>,
    pool: PgPool,
    database: TestDatabase,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A template per state of the migrations.
fn template() -> String {
    let (engine, services) = (hansom_engine::migrator(), hansom_activities::migrator());
    let migrations = engine.iter().chain(services.iter());
    let bytes = migrations.flat_map(|migration| migration.checksum.iter());
    let hash = bytes.fold(0_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(*byte));
    format!("systems_{hash:016x}")
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with_breakers(&BTreeMap::new()).await
    }

    /// With these breakers, until it is restarted.
    pub(crate) async fn with_breakers(settings: &BTreeMap<&'static str, BreakerSettings>) -> Self {
        let database = database(&template(), |url| async move {
            let pool = connect(&url, 2).await.expect("the template answers");
            migrate(&pool, Some(16)).await.expect("the engine's migrations run");
            hansom_activities::migrator().run(&pool).await.expect("the services' migrations run");
            pool.close().await;
        })
        .await;
        Self::on(database, settings).await
    }

    async fn on(
        database: TestDatabase,
        settings: &BTreeMap<&'static str, BreakerSettings>,
    ) -> Self {
        let pool = connect(database.url(), 20).await.expect("the database answers");
        let systems = Systems::with_breakers(&pool, &Urls::default(), settings);
        let registry = systems.registry(systems.handlers());
        let registry = registry.expect("every activity has a handler");
        let worker = Worker::start(pool.clone(), registry, Settings::default()).await;
        let api = Api::new(worker.expect("the worker starts"));
        let api = Arc::new(api.with_breakers(systems.breakers()));
        let others = page::beside(&api, systems.routes(&api, Gateway::Anycall));
        let router = app(Arc::clone(&api), others);
        Self { router, api, pool, database }
    }

    pub(crate) async fn stop(self) {
        self.api.drain().await;
    }

    /// Stops the engine, leaves it stopped for so long, and starts it again.
    pub(crate) async fn restart(self, after: Duration) -> Self {
        let Self { api, pool, database, .. } = self;
        api.drain().await;
        pool.close().await;
        tokio::time::sleep(after).await;
        Self::on(database, &BTreeMap::new()).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(Request::builder().method(method).uri(path), body).await
    }

    async fn send(&self, request: Builder, body: Option<Value>) -> Answer {
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let request = request.expect("a request");
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).expect("every answer is JSON, or empty")
        };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask("PATCH", path, Some(body)).await
    }

    /// As a client that repeats itself.
    pub(crate) async fn patch_with(&self, key: &str, path: &str, body: Value) -> Answer {
        let request = Request::patch(path).header("idempotency-key", key);
        self.send(request, Some(body)).await
    }

    pub(crate) async fn post_with(&self, key: &str, path: &str, body: Value) -> Answer {
        let request = Request::post(path).header("idempotency-key", key);
        self.send(request, Some(body)).await
    }

    /// The number of a call that is not begun yet, and has this key.
    pub(crate) async fn drawn(&self, key: &str) -> i64 {
        let numbers = Numbers::new(self.pool.clone());
        numbers.next_for(Series::AnycallCall, key).await.expect("it answers")
    }

    pub(crate) async fn fault(&self, service: &str, switches: Value) {
        let answer = self.ask("PUT", &format!("/faults/{service}"), Some(switches)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Looks again and again until it is as expected.
    pub(crate) async fn until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let patience = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if answer.status == 200 && is(&answer.body) {
                return answer.body;
            }
            assert!(Instant::now() < patience, "{path} is still {}", answer.body);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the ride is closed, and says how.
    pub(crate) async fn closed(&self, call: i64) -> String {
        let path = format!("/v1/workflows/anycall.call.{call}");
        let open = ["running", "compensating"];
        let is_closed = |body: &Value| !open.iter().any(|status| body["status"] == *status);
        let body = self.until(&path, is_closed).await;
        body["status"].as_str().expect("a status").to_owned()
    }

    /// A member with this card, who has a friend.
    pub(crate) async fn member(&self, card: &str) -> i64 {
        let member = json!({
            "memberName": "홍길동", "phoneNumber": "010-1111-2222", "creditCardNumber": card,
            "friendPhoneNumber": "010-3333-4444",
        });
        let answer = self.post("/memberShips", member).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["memberId"].as_i64().expect("a number")
    }

    /// As the document's command: every value is a string.
    pub(crate) async fn call(&self, member: i64) -> Answer {
        self.post("/calls", asked_by(member)).await
    }

    /// Places call 1 of a new member, and waits until taxis see who calls.
    pub(crate) async fn offered(&self) {
        let member = self.member("1234-5678-9012-3456").await;
        assert_eq!(self.call(member).await.status, 201);
        self.until("/taxis/1", |taxi| !taxi["memberName"].is_null()).await;
    }

    /// … which a taxi takes.
    pub(crate) async fn assigned(&self) {
        self.offered().await;
        let answer = self.patch("/taxis/1", accept("114너7484")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// … and has on board.
    pub(crate) async fn riding(&self) {
        self.assigned().await;
        let answer = self.patch("/taxis/1", json!({ "taxiStatus": "운행시작" })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// … until the end.
    pub(crate) async fn ended(&self) {
        self.riding().await;
        let answer = self.end(15_000).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(crate) async fn end(&self, pay_amt: i64) -> Answer {
        let end = json!({ "taxiStatus": "운행종료", "payAmt": pay_amt.to_string() });
        self.patch("/taxis/1", end).await
    }

    /// Starts call 1 by hand, with these terms.
    pub(crate) async fn with_terms(&self, terms: Value) {
        let member = self.member("1234-5678-9012-3456").await;
        let input = json!({
            "call_id": 1, "member_id": member, "phone_number": "010-7202-2664",
            "start_address": "정자동", "end_address": "목동", "terms": terms,
        });
        let start = json!({ "type": "anycall_ride", "id": "anycall.call.1", "input": input });
        let answer = self.post("/v1/workflows", start).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Numbers and messages of those who were told something, in order.
    pub(crate) async fn told(&self) -> Vec<(String, String)> {
        let all = self.get("/notifies?size=1000").await.body;
        let all = all["_embedded"]["notifies"].as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        all.iter().map(|one| (text(&one["toPhoneNumber"]), text(&one["message"]))).collect()
    }

    /// Waits until so many messages were delivered.
    pub(crate) async fn told_all(&self, count: usize) -> Vec<(String, String)> {
        self.until("/notifies", |all| {
            all["page"]["totalElements"].as_u64() >= Some(count.try_into().expect("a few"))
        })
        .await;
        self.told().await
    }

    /// Waits until the notification service has kept so many, also while it does not answer.
    pub(crate) async fn until_table(&self, count: i64) {
        let patience = Instant::now() + PATIENCE;
        loop {
            let kept: i64 = sqlx::query_scalar("select count(*) from notification.message")
                .fetch_one(&self.pool)
                .await
                .expect("it answers");
            if kept >= count {
                return;
            }
            assert!(Instant::now() < patience, "{kept} are kept");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The tables of the whole database that have this text somewhere in a row, in whatever type.
    pub(crate) async fn tables_with(&self, text: &str) -> Vec<String> {
        let tables: Vec<(String, String)> = sqlx::query_as(
            "select table_schema::text, table_name::text from information_schema.tables
             where table_type = 'BASE TABLE'
                 and table_schema not in ('pg_catalog', 'information_schema')
             order by 1, 2",
        )
        .fetch_all(&self.pool)
        .await
        .expect("it answers");
        let mut found = Vec::new();
        for (schema, table) in tables {
            // A bytea is shown in hexadecimal.
            let has = sqlx::query_scalar(AssertSqlSafe(format!(
                "select exists (select from \"{schema}\".\"{table}\" as row
                     where position($1 in row::text) > 0
                         or position(encode(convert_to($1, 'UTF8'), 'hex') in row::text) > 0)"
            )));
            if has.bind(text).fetch_one(&self.pool).await.expect("it answers") {
                found.push(format!("{schema}.{table}"));
            }
        }
        found
    }

    /// Another run than its own has the account.
    pub(crate) async fn close_account(&self, account: &str) {
        sqlx::query("insert into payment.account (account, run) values ($1, 'another')")
            .bind(account)
            .execute(&self.pool)
            .await
            .expect("nobody has it yet");
    }

    /// Kind and amount of every entry of the payment ledger.
    pub(crate) async fn ledger(&self) -> Vec<(String, i64)> {
        sqlx::query_as("select kind, amount from payment.entry order by entered_at, kind")
            .fetch_all(&self.pool)
            .await
            .expect("it answers")
    }
}

/// Call of a member, as the document's command has it.
pub(crate) fn asked_by(member: i64) -> Value {
    json!({
        "memberId": member.to_string(), "phoneNumber": "010-7202-2664",
        "startAddress": "경기도 분당구 정자동", "endAddress": "서울시 양천구 목동서로 400",
        "callStatus": "택시호출",
    })
}

pub(crate) const INFO: &str = "서울택시(주) 기사명 : 홍길동 종류 : 일반택시";

pub(crate) fn accept(number: &str) -> Value {
    json!({
        "taxiNumber": number, "taxiInfo": INFO, "callStatus": "배정됨", "taxiStatus": "배정됨",
    })
}

pub(crate) fn entries<const N: usize>(entries: [(&str, i64); N]) -> Vec<(String, i64)> {
    entries.into_iter().map(|(kind, amount)| (kind.to_owned(), amount)).collect()
}
