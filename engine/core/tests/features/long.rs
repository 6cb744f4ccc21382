//! Long sagas: what an event costs does not grow with what was before it, and a loop that goes on
//! in new runs stays short.

use std::time::Instant;

use hansom_core::{Continued, Event, Machine, Payload, Signal, SignalType, Status, StillOpen};
use hansom_core::{Timestamp, WorkflowType};

use super::*;

#[derive(Serialize, Deserialize)]
struct Guest(u32);
impl Signal for Guest {
    const NAME: &'static str = "guest";
}

/// So many steps and then so many signals; then it fails, and gives all back.
struct Long;
impl Workflow for Long {
    const NAME: &'static str = "long";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Guest>()];
    type Input = (u32, u32);
    type Output = ();
    type Error = ActivityError<Never>;
    async fn run(ctx: Ctx, (steps, signals): (u32, u32)) -> Result<(), Self::Error> {
        for _ in 0..steps {
            ctx.run(Book).undo(Unbook).await?;
        }
        for _ in 0..signals {
            ctx.signals::<Guest>().next().await;
        }
        Err(ActivityError::Unknown { attempts: 1, reason: "over".to_owned() })
    }
}

/// A run of `W` and its clock.
struct Run {
    machine: Machine,
    now: Timestamp,
    history: Vec<(Timestamp, Vec<Event>)>,
}

impl Run {
    fn start<W: Workflow>(events: impl IntoIterator<Item = Event>, now: Timestamp) -> Self {
        let machine = Machine::new(Some(WorkflowType::of::<W>()), 7);
        let mut run = Self { machine, now, history: Vec::new() };
        events.into_iter().for_each(|event| run.tell(event));
        run
    }

    fn tell(&mut self, event: Event) {
        let mut events = vec![event.clone()];
        self.machine.deliver(event, self.now);
        events.extend(self.machine.take(self.now));
        drop(self.machine.ledger_mut().take_news());
        self.history.push((self.now, events));
    }

    /// Answers what waits, and says whether anything did.
    fn answer(&mut self) -> bool {
        let waiting = self.machine.ledger().running().keys().next().copied();
        if let Some(seq) = waiting {
            self.tell(Event::Done { seq, output: Payload::of(&()).unwrap() });
        }
        waiting.is_some()
    }

    fn signal(&mut self, n: u32) {
        let (id, payload) = (n.to_string(), Payload::of(&Guest(n)).unwrap());
        self.tell(Event::Signalled { name: Guest::NAME.to_owned(), id, payload });
    }
}

const STEPS: u32 = 5_000;
const SIGNALS: u32 = 10_000;

/// What each event of a long saga took: its steps, its signals, its undos.
fn live() -> ([Vec<Duration>; 3], Run) {
    let input = Payload::of(&(STEPS, SIGNALS)).unwrap();
    let mut run = Run::start::<Long>([Event::started(input)], Timestamp(0));
    let timed = |run: &mut Run, tell: &mut dyn FnMut(&mut Run)| {
        let begun = Instant::now();
        tell(run);
        begun.elapsed()
    };
    let steps = (0..STEPS).map(|_| timed(&mut run, &mut |run| assert!(run.answer()))).collect();
    let signals = (0..SIGNALS).map(|n| timed(&mut run, &mut |run| run.signal(n))).collect();
    let undos = (0..STEPS).map(|_| timed(&mut run, &mut |run| assert!(run.answer()))).collect();
    assert_eq!(run.machine.ledger().status(), Status::Failed);
    ([steps, signals, undos], run)
}

/// What one in the last quarter takes in terms of one in the first: in the middle of all that it
/// was, because others use this machine as well.
fn growth(times: &[Duration]) -> f64 {
    let middle = |part: &[Duration]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part[part.len() / 2].as_secs_f64()
    };
    let quarter = times.len() / 4;
    middle(&times[times.len() - quarter..]) / middle(&times[..quarter])
}

#[test]
fn the_last_step_signal_and_undo_of_a_long_saga_cost_what_the_first_did() {
    let mut best = [f64::MAX; 3];
    for _ in 0..3 {
        let (times, _) = live();
        for (best, times) in best.iter_mut().zip(&times) {
            *best = best.min(growth(times));
        }
        if best.iter().all(|growth| *growth < 2.5) {
            println!("last quarter by first: steps, signals, undos {best:.2?}");
            return;
        }
    }
    panic!("what comes last costs more: steps, signals, undos {best:.2?}");
}

#[test]
fn a_replay_is_as_long_as_its_history() {
    let (_, run) = live();
    let kind = || Some(WorkflowType::of::<Long>());
    let took = |rows: usize| {
        let tries = (0..3).map(|_| {
            let history = run.history[..rows].to_vec();
            let begun = Instant::now();
            let machine = Machine::replay(kind(), 7, history);
            assert_eq!(machine.fault(), None);
            begun.elapsed()
        });
        tries.min().unwrap().as_secs_f64()
    };
    let all = run.history.len();
    // Others use this machine as well: the best of three.
    let growths = (0..3).map(|_| took(all) / took(all / 4));
    let growth = growths.fold(f64::MAX, f64::min);
    println!("a replay of four times as much takes {growth:.2} times as long");
    assert!(growth < 12.0, "{growth}");
}

const DAY: Duration = Duration::from_hours(24);

/// A house that is open for so many days more; each has a guest, and an end.
struct House;
impl Workflow for House {
    const NAME: &'static str = "house";
    const ACTIVITIES: &'static [&'static str] = &["refund"];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Guest>()];
    type Input = (u32, u32);
    type Output = u32;
    type Error = StillOpen;
    async fn run(ctx: Ctx, (mut days, mut guests): (u32, u32)) -> Result<u32, StillOpen> {
        for _ in 0..30.min(days) {
            let Guest(_) = ctx.signals().next().await;
            ctx.sleep(DAY).await;
            (days, guests) = (days - 1, guests + 1);
        }
        if days == 0 { Ok(guests) } else { Err(ctx.continue_as_new::<Self>(&(days, guests)).await) }
    }
}

#[test]
fn a_year_of_days_is_a_dozen_short_runs_that_remember_who_came() {
    let input = Payload::of(&(365_u32, 0_u32)).unwrap();
    let mut run = Run::start::<House>([Event::started(input)], Timestamp(0));
    let mut lengths = Vec::new();
    for day in 0..365 {
        run.signal(day);
        let before = day.saturating_sub(100).to_string();
        assert!(run.machine.ledger().has_seen(&before), "day {day}: a guest from long ago");
        let (seq, due) =
            run.machine.ledger().alarms().iter().next().map(|(s, d)| (*s, *d)).unwrap();
        run.now = due;
        run.machine.ledger_mut().ring(seq);
        run.tell(Event::Fired { seq });
        let ledger = run.machine.ledger();
        if let Some(input) = ledger.next_input() {
            lengths.push(ledger.events());
            let continued = Continued {
                run: lengths.len().to_string(),
                owed: Vec::new(),
                heard: ledger.heard(),
            };
            let first = Event::Started {
                input: input.clone(),
                code: None,
                deadline: None,
                parent: None,
                continued: Some(Box::new(continued)),
            };
            run = Run::start::<House>([first], run.now);
        }
    }
    let outcome = run.machine.ledger().outcome().unwrap();
    assert_eq!(outcome.output.unwrap().get(), "365");
    assert_eq!(run.now, Timestamp(0).after(365 * DAY));
    println!("a year: {} runs of {:?} events", lengths.len() + 1, lengths.iter().max().unwrap());
    assert_eq!((lengths.len(), lengths.iter().max()), (12, Some(&92)));
    let heard = run.machine.ledger().heard();
    assert_eq!((heard.len(), heard[0].as_str()), (256, "signal:109"), "no more than the last");
}

/// So many states to show, and then the guests are heard: the number of one says what follows.
struct Loud;
impl Workflow for Loud {
    const NAME: &'static str = "loud";
    const ACTIVITIES: &'static [&'static str] = &["book", "unbook"];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Guest>()];
    type Input = u32;
    type Output = ();
    type Error = StillOpen;
    async fn run(ctx: Ctx, states: u32) -> Result<(), StillOpen> {
        for state in 0..states {
            ctx.publish(&state);
        }
        loop {
            match ctx.signals::<Guest>().next().await.0 {
                0 => return Ok(()),
                1 => return Err(ctx.continue_as_new::<Self>(&states).await),
                2 => return Err(StillOpen::default()),
                _ => ctx.publish(&states),
            }
        }
    }
}

#[test]
fn a_run_past_its_limit_of_events_goes_no_further_and_may_end_in_every_way() {
    let past = || {
        let input = Payload::of(&50_000_u32).unwrap();
        let run = Run::start::<Loud>([Event::started(input)], Timestamp(0));
        let ledger = run.machine.ledger();
        assert_eq!((ledger.status(), ledger.events()), (Status::Running, 50_001));
        run
    };
    let after = |guest| {
        let mut run = past();
        run.signal(guest);
        run.machine.ledger().status()
    };
    assert_eq!(after(0), Status::Completed);
    assert_eq!(after(1), Status::Continued);
    assert_eq!(after(2), Status::Failed);
    assert_eq!(after(3), Status::Stuck);
    for event in [Event::CancelRequested { reason: None }, Event::DeadlinePassed {}] {
        let mut run = past();
        run.tell(event);
        assert_eq!(run.machine.ledger().status(), Status::Cancelled);
    }
}
