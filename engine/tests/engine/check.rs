//! What a deploy would meet, looked at before it goes out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hansom_core::{
    Activity, ActivityError, Ctx, Handlers, SignalType, Status, Workflow, Workflows,
};
use hansom_engine::{CheckReport, CheckScope, Registry, Verdict, check, connect, migrator};
use hansom_postgres::testing::{TestDatabase, database};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use crate::crew::{sql, until};
use crate::kit::{
    Arrive, Charge, Late, No, Notify, Refund, Ride, Trip, World, fresh, registry, worker,
};

const PATIENT: Ride = Ride { patience_ms: 600_000 };

macro_rules! next_trip {
    ($name:ident, |$ctx:ident, $ride:ident| $body:block) => {
        struct $name;
        impl Workflow for $name {
            const NAME: &'static str = "trip";
            const ACTIVITIES: &'static [&'static str] =
                &[Charge::NAME, Refund::NAME, Notify::NAME];
            const SIGNALS: &'static [SignalType] = &[SignalType::of::<Arrive>()];
            type Input = Ride;
            type Output = String;
            type Error = ActivityError<No>;
            async fn run($ctx: Ctx, $ride: Ride) -> Result<String, Self::Error> $body
        }
    };
}

// The same steps in other words: nothing that a run under way would notice.
next_trip!(Tidied, |ctx, ride| {
    let receipt = ctx.run(Charge).undo(Refund).await?;
    let (arrivals, patience) = (ctx.signals::<Arrive>(), Duration::from_millis(ride.patience_ms));
    let arrived = ride.patience_ms == 0 || ctx.timeout(patience, arrivals.next()).await.is_ok();
    if !arrived {
        return Err(ActivityError::Refused(No));
    }
    ctx.pivot().run(Notify).await;
    Ok(receipt)
});

// It tells before it waits.
next_trip!(Swapped, |ctx, ride| {
    let receipt = ctx.run(Charge).undo(Refund).await?;
    let _ = ctx.run(Notify).await;
    ctx.sleep(Duration::from_millis(ride.patience_ms)).await;
    Ok(receipt)
});

/// Until this is set, [`Endless`] has no end.
static ENOUGH: AtomicBool = AtomicBool::new(false);

next_trip!(Endless, |ctx, ride| {
    let receipt = ctx.run(Charge).undo(Refund).await?;
    while ride.patience_ms == 600_001 && !ENOUGH.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
    }
    ctx.sleep(PATIENCE).await;
    Ok(receipt)
});

const PATIENCE: Duration = Duration::from_mins(10);

/// The next version of this binary, with another `trip`.
fn next<W: Workflow>() -> Registry {
    let (world, workflows) = (World::default(), Workflows::default().with::<W>().with::<Late>());
    let handlers = Handlers::default()
        .with::<Charge>(world.clone())
        .with::<Refund>(world.clone())
        .with::<Notify>(world);
    Registry::new(workflows, handlers).unwrap()
}

async fn checked(url: &str, registry: &Registry) -> CheckReport {
    let pool = connect(url, 1).await.unwrap();
    check(&pool, registry, &CheckScope::default(), |_| {}).await.unwrap()
}

fn count(report: &CheckReport, verdict: Verdict) -> u64 {
    report.counts.values().filter_map(|of_type| of_type.get(&verdict)).sum()
}

/// Three trips that wait, one that sleeps, one that is stuck on its refund; nobody owns them.
async fn under_way() -> TestDatabase {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    for id in ["t1", "t2", "t3"] {
        client.start::<Trip>(id, &PATIENT).await.unwrap();
    }
    client.start::<Late>("l1", &600_000).await.unwrap();
    client.start::<Trip>("done", &Ride { patience_ms: 0 }).await.unwrap();
    until("all of them wait", async || world.count("charge") == 4).await;
    until("one is done", async || world.count("notify") == 1).await;
    world.fail(8);
    client.start::<Trip>("s1", &PATIENT).await.unwrap();
    until("one is stuck", async || client.describe("s1").await.unwrap().status == Status::Stuck)
        .await;
    worker.drain().await;
    database
}

/// All that is in the engine's tables.
async fn contents(sql: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables
         where schemaname = 'hansom' order by 1",
    )
    .fetch_all(sql)
    .await
    .unwrap();
    assert!(tables.len() > 5, "{tables:?}");
    let mut contents = String::new();
    for table in tables {
        let all = format!(
            "select coalesce(string_agg(t::text, '\n' order by t::text), '') from {table} t"
        );
        let rows: String = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(sql).await.unwrap();
        contents.extend([table, rows]);
    }
    contents
}

#[tokio::test]
async fn a_changed_body_is_caught_before_its_deploy_and_a_benign_change_passes() {
    let database = under_way().await;
    let fits = checked(database.url(), &registry(&World::default())).await;
    assert_eq!((fits.runs, fits.would_break), (5, 0), "{:?}", fits.examples);
    assert_eq!((count(&fits, Verdict::Fits), count(&fits, Verdict::Stuck)), (4, 1));
    let benign = checked(database.url(), &next::<Tidied>()).await;
    assert_eq!((benign.runs, benign.would_break), (5, 0), "{:?}", benign.examples);

    let broken = checked(database.url(), &next::<Swapped>()).await;
    assert_eq!((broken.runs, broken.would_break), (5, 3));
    assert_eq!(broken.counts["trip"][&Verdict::Nondeterminism], 3);
    assert_eq!(broken.counts["late"][&Verdict::Fits], 1);
    let example = &broken.examples[0];
    let finding = &example.findings[0];
    assert_eq!(finding.detail, "history has start_timer, the code asks for run notify");
    assert_eq!(finding.event, Some(3));
    assert!(finding.history.as_ref().unwrap().get().starts_with(r#"{"start_timer":{"at":"#));
    let json = r#"{"run":{"activity":"notify","request":null}}"#;
    assert_eq!(finding.code.as_ref().unwrap().get(), json);
}

#[tokio::test]
async fn only_the_type_that_is_asked_for_is_looked_at_and_only_so_many_are_shown() {
    let database = under_way().await;
    let pool = connect(database.url(), 1).await.unwrap();
    let workflow_type = Some("trip".to_owned());
    let scope = CheckScope { workflow_type, examples: 2, ..CheckScope::default() };
    let report = check(&pool, &next::<Swapped>(), &scope, |_| {}).await.unwrap();
    assert_eq!((report.runs, report.would_break), (4, 3));
    let shown: Vec<_> = report.examples.iter().map(|run| run.verdict).collect();
    assert_eq!(shown, [Verdict::Nondeterminism, Verdict::Nondeterminism, Verdict::Stuck]);
}

#[tokio::test]
async fn nothing_is_written_and_whoever_may_only_read_may_check() {
    let database = under_way().await;
    let sql = sql(database.url()).await;
    let role = format!("reader_{}", Uuid::now_v7().simple());
    for grant in [
        format!("create role {role} nologin"),
        format!("grant usage on schema hansom to {role}"),
        format!("grant select on hansom.workflow, hansom.history, hansom.inbox to {role}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(grant)).execute(&sql).await.unwrap();
    }
    let before = contents(&sql).await;
    let join = if database.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{join}options=-crole%3D{role}", database.url());
    let report = checked(&url, &next::<Swapped>()).await;
    assert_eq!((report.runs, report.would_break), (5, 3));
    assert_eq!(contents(&sql).await, before);

    // And it could not have written anything.
    let reader = connect(&url, 1).await.unwrap();
    let refused = sqlx::raw_sql("delete from hansom.history").execute(&reader).await;
    assert!(refused.unwrap_err().to_string().contains("permission denied"));
    reader.close().await;
    let drop = format!("drop owned by {role}; drop role {role}");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&sql).await.unwrap();
}

#[tokio::test]
async fn a_body_without_an_end_is_given_up_and_the_others_are_looked_at() {
    let (database, world) = (fresh().await, World::default());
    let (worker, client) = worker(&database, &world).await;
    let endless = [600_000, 600_001, 600_000, 600_001, 600_001, 600_000, 600_001];
    for (n, patience_ms) in endless.into_iter().enumerate() {
        client.start::<Trip>(&format!("t{n}"), &Ride { patience_ms }).await.unwrap();
    }
    until("all of them wait", async || world.count("charge") == 7).await;
    worker.drain().await;
    let pool = connect(database.url(), 1).await.unwrap();
    let scope = CheckScope { patience: Duration::from_secs(2), ..CheckScope::default() };
    let report = check(&pool, &next::<Endless>(), &scope, |_| {}).await.unwrap();
    ENOUGH.store(true, Ordering::SeqCst);
    // Those before the third are looked at; after it, none of that type is tried any more.
    assert_eq!((report.runs, count(&report, Verdict::Hangs)), (7, 5));
    assert_eq!(count(&report, Verdict::Fits), 2);
    let hang = report.examples.iter().filter(|run| run.verdict == Verdict::Hangs);
    let said: Vec<_> = hang.map(|run| (&*run.workflow_id, &*run.findings[0].detail)).collect();
    let (given_up, not_tried) =
        ("given up after 2 s between two events", "not tried, as others of its type hang");
    assert_eq!(said[..3], [("t1", given_up), ("t3", given_up), ("t4", given_up)]);
    assert_eq!(said[3..], [("t5", not_tried), ("t6", not_tried)]);
}

/// So many runs that wait, without a worker.
const MANY: u64 = 41_000;

const INSERT: &str = "
with run as (
    select n, (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid as run
    from generate_series($1::int, $2::int) n
), workflow as (
    insert into hansom.workflow
        (part, namespace, workflow_id, run_no, run, type, status, undo, hot, started_at, closed_at)
    select n % 16, 'default', 'm' || n, 1, run, 'trip', case when n % 2 = 0 then 3 else 0 end, 0,
        n % 3 = 0, now(), case when n % 2 = 0 then now() end
    from run
)
insert into hansom.history (part, run, event, at, events)
select n % 16, run, 0, now(),
    '[{\"started\":{\"input\":{\"patience_ms\":600000}}},'
    || '{\"run\":{\"activity\":\"charge\",\"request\":null,'
    || '\"undo\":{\"activity\":\"refund\",\"request\":null}}}]'
from run";

/// Inserts from a thread of its own, and waits for that.
fn insert_meanwhile(url: &str, from: i32) {
    let url = url.to_owned();
    let inserted = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let sql = sql(&url).await;
            sqlx::query(INSERT).bind(from).bind(from + 9).execute(&sql).await.unwrap();
            sql.close().await;
        });
    });
    inserted.join().unwrap();
}

#[tokio::test]
async fn every_open_run_is_looked_at_once_as_it_was_when_the_check_began() {
    let database = fresh().await;
    let sql = sql(database.url()).await;
    let all = i32::try_from(MANY).unwrap();
    for from in (1..=all).step_by(5_000) {
        let to = all.min(from + 4_999);
        sqlx::query(INSERT).bind(from).bind(to).execute(&sql).await.unwrap();
    }
    let pool = connect(database.url(), 1).await.unwrap();
    let mut told = Vec::new();
    let report = check(&pool, &next::<Tidied>(), &CheckScope::default(), |report| {
        told.push(report.runs);
        // What happens meanwhile is not for this check.
        if let 1..=3 = told.len() {
            insert_meanwhile(database.url(), 900_000 + 10 * i32::try_from(told.len()).unwrap());
        }
    })
    .await
    .unwrap();
    assert_eq!((report.runs, count(&report, Verdict::Fits)), (MANY / 2, MANY / 2));
    assert!(told.len() > 4 && told.is_sorted(), "{told:?}");
    let again = check(&pool, &next::<Tidied>(), &CheckScope::default(), |_| {}).await.unwrap();
    assert_eq!(again.runs, MANY / 2 + 15);
}

#[tokio::test]
async fn a_database_that_is_not_migrated_yet_can_be_checked() {
    let database = database("empty", |_| async {}).await;
    let pool = connect(database.url(), 1).await.unwrap();
    let mut first = migrator();
    first.migrations = first.iter().filter(|step| step.version <= 5).cloned().collect();
    assert_eq!(first.iter().count(), 5);
    first.run(&pool).await.unwrap();
    sqlx::query(INSERT).bind(3).bind(3).execute(&pool).await.unwrap();
    let report = check(&pool, &next::<Tidied>(), &CheckScope::default(), |_| {}).await.unwrap();
    assert_eq!((report.runs, report.would_break), (1, 0), "{:?}", report.examples);
}
