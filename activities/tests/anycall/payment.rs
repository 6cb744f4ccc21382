//! The ledger that all systems share.

use hansom_activities::faults::{Faults, Switches};
use hansom_activities::page::Page;
use hansom_activities::payment::PaymentService;
use hansom_core::{ActivityContext, Direction, Failure, Handler, Seq, Verdict};
use hansom_postgres::testing::TestDatabase;
use hansom_workflows::payment::{Charge, Declined, Payer, PaymentId, Refund, WasCharged, Won};
use sqlx::PgPool;
use tokio::task::JoinSet;

use super::{ask, eight_at_once, services};

const ACCOUNT: &str = "anycall.call.1";

struct Rig {
    payments: PaymentService,
    faults: Switches,
    pool: PgPool,
    _database: TestDatabase,
}

async fn rig() -> Rig {
    let (pool, database) = services().await;
    let faults = Switches::default();
    let payments = PaymentService::new(pool.clone(), faults.clone());
    Rig { payments, faults, pool, _database: database }
}

fn charge(amount: i64) -> Charge {
    let (account, payer) = (ACCOUNT.to_owned(), Payer("card_1_3456".to_owned()));
    Charge { account, payer, amount: Won(amount) }
}

fn was_charged(amount: i64) -> WasCharged {
    WasCharged { account: ACCOUNT.to_owned(), amount: Won(amount) }
}

fn refund() -> Refund {
    Refund { account: ACCOUNT.to_owned() }
}

impl Rig {
    async fn ledger(&self) -> Vec<(String, i64)> {
        sqlx::query_as("select kind, amount from payment.entry order by kind")
            .fetch_all(&self.pool)
            .await
            .expect("it answers")
    }

    fn decline(&self, decline: bool) {
        self.faults.set(Faults { decline, ..Faults::default() });
    }
}

fn entries<const N: usize>(entries: [(&str, i64); N]) -> Vec<(String, i64)> {
    entries.into_iter().map(|(kind, amount)| (kind.to_owned(), amount)).collect()
}

#[tokio::test]
async fn a_charge_asked_for_eight_times_at_once_is_one_charge() {
    let rig = rig().await;
    assert_eq!(eight_at_once(&rig.payments, &charge(9)).await, [Ok(PaymentId(1)); 8]);
    // Also of a later step: it is the same account.
    assert_eq!(ask(&rig.payments, ("run", 5), charge(9)).await, Ok(PaymentId(1)));
    assert_eq!(rig.ledger().await, entries([("charge", 9)]));
    let paid = rig.payments.get(PaymentId(1)).await.expect("it answers").expect("it is there");
    assert_eq!((paid.amount, paid.refund), (Won(9), None));
}

#[tokio::test]
async fn an_account_is_charged_with_one_amount_and_by_one_run() {
    let rig = rig().await;
    assert_eq!(ask(&rig.payments, ("run", 1), charge(9)).await, Ok(PaymentId(1)));
    let other = ask(&rig.payments, ("run", 2), charge(8)).await;
    assert_eq!(other, Err(Declined::Charged(Won(9))));
    let stranger = ("another run", 1);
    assert_eq!(ask(&rig.payments, stranger, charge(9)).await, Err(Declined::Closed));
    assert_eq!(ask(&rig.payments, stranger, was_charged(9)).await, Ok(Verdict::NotDone));
    assert_eq!(ask(&rig.payments, stranger, refund()).await, Ok(()));
    assert_eq!(rig.ledger().await, entries([("charge", 9)]));
}

#[tokio::test]
async fn a_decline_holds_for_its_step_and_for_those_before_it_and_not_for_ever() {
    let rig = rig().await;
    rig.decline(true);
    assert_eq!(ask(&rig.payments, ("run", 4), charge(9)).await, Err(Declined::Card));
    rig.decline(false);
    for late in [4, 3] {
        let answer = ask(&rig.payments, ("run", late), charge(9)).await;
        assert_eq!(answer, Err(Declined::Card), "an attempt of step {late} comes late");
    }
    assert!(rig.ledger().await.is_empty());
    assert_eq!(ask(&rig.payments, ("run", 5), charge(8)).await, Ok(PaymentId(1)));
    assert_eq!(rig.ledger().await, entries([("charge", 8)]));
}

#[tokio::test]
async fn a_card_whose_token_ends_in_0002_is_declined() {
    let rig = rig().await;
    let bad = Charge { payer: Payer("card_2_0002".to_owned()), ..charge(9) };
    assert_eq!(ask(&rig.payments, ("run", 1), bad).await, Err(Declined::Card));
    assert_eq!(ask(&rig.payments, ("run", 2), charge(9)).await, Ok(PaymentId(1)));
}

#[tokio::test]
async fn what_a_probe_did_not_find_is_not_charged_any_more() {
    let rig = rig().await;
    assert_eq!(ask(&rig.payments, ("run", 4), was_charged(9)).await, Ok(Verdict::NotDone));
    assert_eq!(ask(&rig.payments, ("run", 4), charge(9)).await, Err(Declined::Card));
    assert_eq!(ask(&rig.payments, ("run", 5), charge(9)).await, Ok(PaymentId(1)));
    let found = ask(&rig.payments, ("run", 5), was_charged(9)).await;
    assert_eq!(found, Ok(Verdict::Done(PaymentId(1))));
    // Found by a probe of an earlier step as well, whose late attempt it may have been.
    let found = ask(&rig.payments, ("run", 4), was_charged(9)).await;
    assert_eq!(found, Ok(Verdict::Done(PaymentId(1))));
    assert_eq!(ask(&rig.payments, ("run", 6), was_charged(8)).await, Ok(Verdict::NotDone));
}

#[tokio::test]
async fn a_refund_gives_back_once_and_closes_the_account() {
    let rig = rig().await;
    assert_eq!(ask(&rig.payments, ("run", 1), charge(9)).await, Ok(PaymentId(1)));
    assert_eq!(eight_at_once(&rig.payments, &refund()).await, [Ok(()); 8]);
    assert_eq!(rig.ledger().await, entries([("charge", 9), ("refund", 9), ("void", 0)]));
    for seq in [1, 7] {
        assert_eq!(ask(&rig.payments, ("run", seq), charge(9)).await, Err(Declined::Closed));
    }
    let all = rig.payments.list("anycall", Page::default()).await.expect("it answers");
    assert_eq!(all.items[0].refund.as_ref().map(|refund| refund.amount), Some(Won(9)));
    assert_eq!(rig.payments.list("move", Page::default()).await.expect("it answers").total, 0);
}

#[tokio::test]
async fn a_refund_before_the_charge_leaves_a_tombstone_that_refuses_it() {
    let rig = rig().await;
    assert_eq!(ask(&rig.payments, ("run", 1), refund()).await, Ok(()));
    assert_eq!(ask(&rig.payments, ("run", 1), charge(9)).await, Err(Declined::Closed));
    assert_eq!(rig.ledger().await, entries([("void", 0)]));
}

#[tokio::test]
async fn charges_declines_probes_and_refunds_at_a_time_leave_nothing_that_contradicts_itself() {
    let rig = rig().await;
    for round in 0..20 {
        let account = format!("anycall.call.{round}");
        let mut asking = JoinSet::new();
        for seq in 0..4 {
            let (payments, account) = (rig.payments.clone(), account.clone());
            asking.spawn(async move {
                // Each other one with a card that is declined.
                let card = if seq % 2 == 0 { "card_1_3456" } else { "card_2_0002" };
                let payer = Payer(card.to_owned());
                let charge = Charge { account: account.clone(), payer, amount: Won(9) };
                let answer = ask(&payments, ("run", seq), charge).await;
                let probe = WasCharged { account: account.clone(), amount: Won(9) };
                let found = ask(&payments, ("run", seq), probe).await;
                // What is said to be charged stays so; what a probe denies is not this step's.
                if answer.is_ok() {
                    assert_eq!(found, answer.map(Verdict::Done).map_err(|_| unreachable!()));
                }
            });
        }
        asking.join_all().await;
        let (charged, barred): (i64, Option<i64>) = sqlx::query_as(
            "select (select count(*) from payment.entry e where e.account = a.account), barred
             from payment.account a where account = $1",
        )
        .bind(&account)
        .fetch_one(&rig.pool)
        .await
        .expect("it answers");
        assert!(charged == 1 || barred.is_some(), "{account}: {charged} {barred:?}");
    }
}

#[tokio::test]
async fn nothing_is_charged_for_nothing() {
    let rig = rig().await;
    let cx = ActivityContext::new(ACCOUNT, "run", Seq(1), Direction::Do, 1);
    let answer = rig.payments.handle(charge(0), cx).await;
    assert!(matches!(answer, Err(Failure::Retry { .. })), "{answer:?}");
}
