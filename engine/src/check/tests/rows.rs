//! What is stored, whatever the body says.

use super::*;
use crate::{TransactionHandler, TransactionHandlers};

activity!(RefundTo { account: String }, "refund", (), Never);
activity!(AssignNamed {}, "assign", String, No);
signal!(ArrivedAt { place: String }, "arrived");
signal!(Came {}, "came");

trip!(Places, [ArrivedAt], u32, |ctx, fare| {
    ctx.run(Charge { fare }).undo(Refund {}).await?;
    let driver = ctx.run(Assign {}).undo(Release {}).await?;
    let waited = ctx.timeout(PATIENCE, ctx.signals::<ArrivedAt>().next()).await;
    waited.map_err(|_| ActivityError::Refused(No))?;
    Ok(driver)
});

trip!(Comings, [Came], u32, |ctx, fare| {
    ctx.run(Charge { fare }).undo(Refund {}).await?;
    let driver = ctx.run(Assign {}).undo(Release {}).await?;
    let waited = ctx.timeout(PATIENCE, ctx.signals::<Came>().next()).await;
    waited.map_err(|_| ActivityError::Refused(No))?;
    Ok(driver)
});

/// The handlers without one, or with another in its place.
fn performed_by(handlers: Handlers) -> Registry {
    Registry::new(Workflows::default().with::<Careless>(), handlers).unwrap()
}

fn most() -> Handlers {
    let handlers = Handlers::default().with::<Charge>(Anybody);
    handlers.with::<Release>(Anybody).with::<Drive>(Anybody)
}

fn without_refunds() -> Registry {
    performed_by(most().with::<Assign>(Anybody))
}

#[test]
fn an_owed_undo_that_nobody_performs_is_missed() {
    for script in [assigning(), waiting(), compensating(), exhausted()] {
        let judged = judge(&without_refunds(), &stored(&script));
        assert_eq!(found(&judged), (Verdict::NoHandler, Some(1), "undo refund"));
    }
    let pivoted = waiting().signal(&Arrived {});
    assert_eq!(judge(&without_refunds(), &stored(&pivoted)).verdict, Verdict::Fits);
}

#[test]
fn an_activity_under_way_that_nobody_performs_is_missed() {
    let registry = performed_by(Handlers::default().with::<Refund>(Anybody));
    let judged = judge(&registry, &stored(&charging()));
    assert_eq!(found(&judged), (Verdict::NoHandler, Some(1), "request charge"));
    // And not only the first.
    let judged = judge(&registry, &stored(&assigning()));
    let all: Vec<_> = judged.findings.iter().map(|finding| finding.detail.as_str()).collect();
    assert_eq!(all, ["request assign", "undo release"]);
}

#[test]
fn an_owed_undo_of_another_shape_cannot_be_performed() {
    let registry = performed_by(most().with::<Assign>(Anybody).with::<RefundTo>(Anybody));
    let judged = judge(&registry, &stored(&compensating()));
    let words = "undo refund: missing field `account` at line 1 column 2";
    assert_eq!(found(&judged), (Verdict::Payload, Some(1), words));
}

impl<A: Activity> TransactionHandler<A> for Anybody {
    async fn handle(
        &self,
        _: A,
        _: ActivityContext,
        _: &mut sqlx::PgConnection,
    ) -> Result<A::Output, Failure<A::Error>> {
        Err(Failure::retry("a check calls nobody"))
    }
}

#[test]
fn what_is_performed_in_a_transaction_or_elsewhere_is_performed() {
    let refunds = TransactionHandlers::default().with::<Refund>(Anybody);
    let elsewhere = most().remote::<Assign>();
    let workflows = Workflows::default().with::<Careless>();
    let registry = Registry::with_transactions(workflows, elsewhere, refunds).unwrap();
    for script in [charging(), assigning(), waiting(), compensating()] {
        assert_eq!(judge(&registry, &stored(&script)).verdict, Verdict::Fits);
    }
    let refunds = TransactionHandlers::default().with::<RefundTo>(Anybody);
    let workflows = Workflows::default().with::<Careless>();
    let registry = Registry::with_transactions(workflows, most(), refunds).unwrap();
    assert_eq!(judge(&registry, &stored(&waiting())).verdict, Verdict::Payload);
}

#[derive(Serialize)]
struct RefundOrDie;
impl<'de> Deserialize<'de> for RefundOrDie {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("no refunds")
    }
}
impl Activity for RefundOrDie {
    const NAME: &'static str = "refund";
    type Output = ();
    type Error = Never;
}

#[test]
fn a_payload_whose_decoding_panics_is_seen_and_stops_nothing() {
    let registry = performed_by(most().with::<Assign>(Anybody).with::<RefundOrDie>(Anybody));
    assert_eq!(found(&judge(&registry, &stored(&waiting()))), (Verdict::Panic, None, "no refunds"));
    assert_eq!(judge(&registry, &stored(&charging())).verdict, Verdict::Panic);
}

#[test]
fn an_undo_under_way_is_looked_at_once() {
    let script = compensating().complete::<Release>(&());
    let judged = judge(&without_refunds(), &stored(&script));
    assert_eq!((judged.findings.len(), judged.verdict), (1, Verdict::NoHandler));
}

#[test]
fn an_answer_that_the_body_has_not_read_yet_is_looked_at() {
    let registry = performed_by(most().with::<AssignNamed>(Anybody).with::<Refund>(Anybody));
    let judged = judge(&registry, &stored(&waiting()));
    let (verdict, event, words) = found(&judged);
    assert_eq!((verdict, event), (Verdict::Payload, Some(4)));
    assert!(words.starts_with("output of assign: invalid type: integer `7`"), "{words}");
}

fn letter(key: &str, name: &str, payload: &str) -> Letter {
    let (name, payload) = (Some(name.to_owned()), Some(payload.to_owned()));
    Letter { key: key.to_owned(), name, payload }
}

#[test]
fn a_signal_that_came_early_must_still_be_understood() {
    let early = stored(&charging().signal(&Arrived {}));
    let judged = judge(&version::<Places>(), &early);
    let words = "signal arrived: missing field `place` at line 1 column 2";
    assert_eq!(found(&judged), (Verdict::Payload, Some(2), words));
    let judged = judge(&version::<Comings>(), &early);
    assert_eq!(found(&judged), (Verdict::Payload, Some(2), "signal arrived: nobody listens to it"));
    assert_eq!(judge(&version::<Trip>(), &early).verdict, Verdict::Fits);
}

#[test]
fn a_signal_that_waits_in_the_inbox_must_be_understood_too() {
    let mut run = stored(&waiting());
    run.inbox.push(letter("signal:s1", "arrived", "{}"));
    run.inbox.push(Letter { key: "cancel".to_owned(), name: None, payload: None });
    assert_eq!(judge(&version::<Trip>(), &run).verdict, Verdict::Fits);
    let judged = judge(&version::<Comings>(), &run);
    assert_eq!(found(&judged), (Verdict::Payload, None, "signal arrived: nobody listens to it"));
    run.inbox[0].payload = Some("{".to_owned());
    assert_eq!(judge(&version::<Trip>(), &run).verdict, Verdict::Payload);
}

#[test]
fn an_answer_from_elsewhere_that_waits_in_the_inbox_is_looked_at() {
    let registry = performed_by(most().with::<AssignNamed>(Anybody).with::<Refund>(Anybody));
    let mut run = stored(&assigning());
    run.inbox.push(letter("outcome:1:1", "", r#"{"failed":{"reason":"no"}}"#));
    assert_eq!(judge(&registry, &run).verdict, Verdict::Fits);
    run.inbox.push(letter("outcome:1:2", "", r#"{"done":7}"#));
    let judged = judge(&registry, &run);
    assert!(found(&judged).2.starts_with("output of assign: invalid type: integer `7`"));
    assert_eq!(judge(&version::<Trip>(), &run).verdict, Verdict::Fits);
}

#[test]
fn a_history_that_cannot_be_read_is_said_and_where() {
    let registry = version::<Trip>();
    let read = |change: &dyn Fn(&mut OpenRun)| {
        let mut run = stored(&waiting());
        change(&mut run);
        let judged = judge(&registry, &run);
        assert_eq!(judged.verdict, Verdict::Unreadable);
        (judged.findings[0].event, judged.findings[0].detail.clone())
    };
    let (event, words) = read(&|run| run.history[1].events = r#"[{"flown":{}}]"#.to_owned());
    assert!(event == Some(2) && words.starts_with("unknown variant `flown`"), "{words}");
    let (event, words) = read(&|run| drop(run.history.remove(1)));
    assert_eq!((event, words.as_str()), (Some(2), "event 4 follows, where 2 should"));
    let (event, words) = read(&|run| run.history.clear());
    assert_eq!((event, words.as_str()), (None, "it does not begin with its start"));
}

#[test]
fn a_row_that_says_something_else_than_its_history_is_drift() {
    let registry = version::<Trip>();
    let drift = |script: &Script<Trip>, change: &dyn Fn(&mut OpenRow)| {
        let mut run = stored(script);
        change(&mut run.row);
        let judged = judge(&registry, &run);
        (judged.verdict, judged.findings.first().map(|finding| finding.detail.clone()))
    };
    let says = |words: &str| (Verdict::Drift, Some(words.to_owned()));
    assert_eq!(
        drift(&waiting(), &|row| row.status = Status::Compensating),
        says("its row says compensating, its history running")
    );
    assert_eq!(
        drift(&compensating(), &|row| row.undo = UndoStatus::Done),
        says("its row says that its undos are done, its history owed")
    );
}

#[test]
fn a_handler_that_is_gone_is_worse_than_being_stuck_already() {
    let stuck = Event::Stuck { reason: StuckReason::Panic, detail: "then".to_owned(), seq: None };
    let run = stored_with(&waiting(), &[stuck]);
    assert_eq!(judge(&without_refunds(), &run).verdict, Verdict::NoHandler);
}
