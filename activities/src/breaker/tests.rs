use std::sync::atomic::{AtomicU32, Ordering};

use hansom_core::{Activity, ActivityContext, Direction, Failure, Handler, Handlers, Payload, Seq};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::time::{advance, sleep, timeout};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Do so after so many milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Behave(How, u64);
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum How {
    Answer,
    Refuse,
    Fail,
    NotSent,
}
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no")]
struct No;
impl Activity for Behave {
    const NAME: &'static str = "behave";
    type Output = ();
    type Error = No;
}

#[derive(Default)]
struct Service {
    asked: AtomicU32,
}
impl Handler<Behave> for Service {
    async fn handle(&self, ask: Behave, _: ActivityContext) -> Result<(), Failure<No>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(ask.1)).await;
        match ask.0 {
            How::Answer => Ok(()),
            How::Refuse => Err(Failure::Refused(No)),
            How::Fail => Err(Failure::retry("down")),
            How::NotSent => Err(Failure::Unavailable { reason: "further in".into(), after: None }),
        }
    }
}

/// A service behind a breaker.
struct Town {
    handlers: Handlers,
    service: Arc<Service>,
    breaker: Arc<Breaker>,
}

impl Town {
    fn new() -> Self {
        Self::with(BreakerSettings::default())
    }

    fn with(settings: BreakerSettings) -> Self {
        let service = Arc::new(Service::default());
        let mut breakers = Breakers::default();
        let handlers = Handlers::default().with::<Behave>(Arc::clone(&service));
        let handlers = breakers.guard("payment", settings, handlers);
        let breaker = Arc::clone(breakers.of_activity("behave").unwrap());
        assert!(Arc::ptr_eq(&breaker, breakers.get("payment").unwrap()));
        Self { handlers, service, breaker }
    }

    /// As the engine does: past its limit an attempt is dropped.
    async fn call(&self, how: How, takes: u64) -> Option<Attempt> {
        let request = Payload::of(&Behave(how, takes)).unwrap();
        let cx = ActivityContext::new("w", "run", Seq(0), Direction::Undo, 1);
        let attempt = self.handlers.get("behave").unwrap().handle(&request, cx);
        timeout(2 * SECOND, attempt).await.ok()
    }

    async fn calls(&self, times: u32, how: How, takes: u64) {
        for _ in 0..times {
            self.call(how, takes).await;
        }
    }

    fn asked(&self) -> u32 {
        self.service.asked.load(Ordering::Relaxed)
    }

    async fn opened() -> Self {
        let town = Self::new();
        town.calls(20, How::Fail, 0).await;
        assert_eq!(town.breaker.state().name(), "open");
        town
    }
}

fn refused(attempt: Option<Attempt>) -> Option<Duration> {
    match attempt {
        Some(Attempt::Unavailable { reason, after }) => {
            assert_eq!(reason, "breaker of payment is open");
            after
        }
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn it_opens_at_twenty_calls_of_which_thirty_percent_failed_and_not_before() {
    let town = Town::new();
    town.calls(6, How::Fail, 0).await;
    town.calls(13, How::Answer, 0).await;
    assert_eq!(town.breaker.counts(), Counts { calls: 19, failed: 6 });
    assert_eq!(town.breaker.state(), BreakerState::Closed, "six of nineteen, but too few");
    town.call(How::Answer, 0).await;
    town.call(How::Answer, 0).await;
    assert_eq!(town.breaker.state(), BreakerState::Closed, "six of twenty-one");
    town.call(How::Fail, 0).await;
    assert_eq!(town.breaker.state(), BreakerState::Open { again_in: 5 * SECOND });
    assert_eq!(refused(town.call(How::Answer, 0).await), Some(5 * SECOND));
    assert_eq!(town.asked(), 22, "what is refused is not sent");
}

#[tokio::test(start_paused = true)]
async fn slow_successes_and_calls_that_are_cut_off_count_as_failed_and_refusals_do_not() {
    let town = Town::new();
    town.calls(15, How::Refuse, 1).await;
    town.calls(2, How::Answer, 610).await;
    assert_eq!(town.breaker.counts(), Counts { calls: 17, failed: 0 });
    town.calls(2, How::Answer, 611).await;
    assert_eq!(town.breaker.counts().failed, 2);
    town.calls(1, How::Refuse, 700).await;
    assert_eq!(town.breaker.counts().failed, 3);
    assert_eq!(town.call(How::Answer, 60_000).await, None, "it hangs, and is dropped");
    assert_eq!(town.breaker.counts().failed, 4);
}

#[tokio::test(start_paused = true)]
async fn after_its_pause_one_call_decides_and_all_others_wait() {
    let town = Arc::new(Town::opened().await);
    advance(4_999 * MS).await;
    assert_eq!(refused(town.call(How::Answer, 0).await), Some(MS));
    advance(MS).await;
    assert_eq!(town.breaker.state(), BreakerState::Open { again_in: Duration::ZERO });
    let asked = town.asked();
    let calls = (0..9).map(|_| {
        let town = Arc::clone(&town);
        tokio::spawn(async move { town.call(How::Answer, 300).await })
    });
    let calls: Vec<_> = calls.collect();
    sleep(MS).await;
    assert_eq!((town.breaker.state(), town.asked()), (BreakerState::HalfOpen, asked + 1));
    let mut held = 0;
    for call in calls {
        held += u32::from(refused(call.await.unwrap()).is_some());
    }
    assert_eq!((held, town.breaker.state()), (8, BreakerState::Closed));
    assert_eq!(town.breaker.counts(), Counts::default(), "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_is_slow_or_never_comes_back_opens_it_again() {
    for (how, takes) in [(How::Fail, 0), (How::Answer, 700), (How::Answer, 60_000)] {
        let town = Town::opened().await;
        advance(5 * SECOND).await;
        town.call(how, takes).await;
        assert_eq!(town.breaker.state().name(), "open", "{how:?} {takes}");
        advance(5 * SECOND).await;
        town.call(How::Refuse, 0).await;
        assert_eq!(town.breaker.state(), BreakerState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_no_connection_is_left_alone_too() {
    let town = Town::new();
    town.calls(19, How::NotSent, 0).await;
    assert_eq!(town.breaker.counts(), Counts { calls: 19, failed: 19 });
    town.call(How::NotSent, 0).await;
    assert_eq!(refused(town.call(How::Answer, 0).await), Some(5 * SECOND));
    advance(5 * SECOND).await;
    town.call(How::NotSent, 0).await;
    assert_eq!(town.breaker.state(), BreakerState::Open { again_in: 5 * SECOND });
    advance(5 * SECOND).await;
    town.call(How::Answer, 0).await;
    assert_eq!(town.breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn answers_of_another_phase_say_nothing() {
    let town = Town::with(BreakerSettings { open: SECOND, ..BreakerSettings::default() });
    let town = Arc::new(town);
    let late = |how, takes| {
        let town = Arc::clone(&town);
        tokio::spawn(async move { town.call(how, takes).await })
    };
    // Begun while it was closed: heard while it is open, and while its probe is out.
    let (well, ill) = (late(How::Answer, 500), late(How::Fail, 1_900));
    sleep(MS).await;
    town.calls(20, How::Fail, 0).await;
    well.await.unwrap();
    assert_eq!(town.breaker.state().name(), "open");
    sleep(1_200 * MS).await;
    let probe = late(How::Answer, 400);
    ill.await.unwrap();
    assert_eq!(town.breaker.state(), BreakerState::HalfOpen);
    probe.await.unwrap();
    assert_eq!(town.breaker.state(), BreakerState::Closed);
    assert_eq!(town.breaker.counts(), Counts::default());
}

#[tokio::test(start_paused = true)]
async fn what_would_be_refused_is_refused_ahead_of_that_and_the_probe_is_left_to_a_call() {
    let town = Town::new();
    assert_eq!(town.breaker.ahead(), Ok(()));
    town.calls(20, How::Fail, 0).await;
    assert_eq!(town.breaker.ahead(), Err(5 * SECOND));
    advance(5 * SECOND).await;
    assert_eq!(town.breaker.ahead(), Ok(()), "the next call is the probe");
    assert_eq!(town.breaker.ahead(), Ok(()), "to ask so is no call");
    let answers = async { assert!(town.call(How::Answer, 100).await.is_some()) };
    let asks = async {
        sleep(50 * MS).await;
        assert_eq!(town.breaker.ahead(), Err(610 * MS), "the probe is under way");
    };
    tokio::join!(answers, asks);
    assert_eq!(town.breaker.ahead(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_its_window_is_forgotten() {
    let town = Town::new();
    town.calls(19, How::Fail, 0).await;
    advance(8 * SECOND).await;
    assert_eq!(town.breaker.counts().calls, 19);
    advance(3 * SECOND).await;
    assert_eq!(town.breaker.counts(), Counts::default());
    town.calls(19, How::Fail, 0).await;
    assert_eq!(town.breaker.state(), BreakerState::Closed, "nineteen in eleven seconds, twice");
    advance(3_600 * SECOND).await;
    assert_eq!(town.breaker.counts(), Counts::default());
}

proptest! {
    #[test]
    fn whatever_comes_it_refuses_only_after_enough_failed_and_lets_one_through_after_its_pause(
        steps in prop::collection::vec((0_u64..900, 0_u8..4, 0_u64..3_000), 1..200),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let town = Town::new();
            // By its own books: calls that were let through, when they ended, and how.
            let (mut ended, mut open) = (Vec::<(Instant, bool)>::new(), None::<Instant>);
            for (takes, how, pause) in steps {
                let how = [How::Answer, How::Answer, How::Refuse, How::Fail][usize::from(how)];
                let before = town.asked();
                let failed = how == How::Fail || takes > 610;
                let begun = Instant::now();
                town.call(how, takes).await;
                let sent = town.asked() > before;
                match open {
                    Some(until) => assert_eq!(sent, begun >= until, "it is closed again too early"),
                    None => assert!(sent, "nothing was wrong"),
                }
                if sent && open.is_some() {
                    ended.clear();
                    open = failed.then(|| Instant::now() + 5 * SECOND);
                } else if sent {
                    ended.push((Instant::now(), failed));
                    if town.breaker.state() != BreakerState::Closed {
                        let failures = ended.iter().filter(|(_, failed)| *failed).count();
                        let recent = |(at, _): &&(Instant, bool)| at.elapsed() < 10 * SECOND;
                        assert!(failed && ended.iter().filter(recent).count() >= 20);
                        assert!(failures > 0);
                        open = Some(Instant::now() + 5 * SECOND);
                    }
                }
                advance(Duration::from_millis(pause)).await;
            }
        });
    }
}
