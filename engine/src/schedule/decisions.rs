//! What is decided of every kind of fire, at every kind of look.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use hansom_core::{Payload, Status};

use super::decide::{Buffered, Decision, End, Run, Seen, State, decide};
use super::definition::{Action, Definition, Overlap, Policy, Timetable, When};
use super::view::{Cause, Outcome};

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-21T{text}Z").parse().unwrap()
}

/// A schedule, every quarter of an hour, and a look at it.
struct Look {
    definition: Definition,
    state: State,
    now: DateTime<Utc>,
    runs: Vec<Run>,
    buffered: Vec<Buffered>,
    refused: Option<&'static str>,
    starts_max: usize,
}

impl Look {
    fn new(overlap: Overlap, next_at: &str, now: &str) -> Self {
        let action = Action {
            workflow_type: "trip".to_owned(),
            workflow_id_prefix: "t".to_owned(),
            input: Payload::of(&()).unwrap(),
            labels: BTreeMap::new(),
        };
        let policy = Policy { overlap, ..Policy::default() };
        let definition = Definition { action, when: When::new("*/15 * * * *", "UTC"), policy };
        let next_at = Some(at(next_at));
        let state = State { paused: false, note: None, next_at, remaining: None };
        let (runs, buffered) = (Vec::new(), Vec::new());
        Self { definition, state, now: at(now), runs, buffered, refused: None, starts_max: 100 }
    }

    fn run(mut self, nominal: &str, status: Option<Status>) -> Self {
        let workflow_id = format!("t-{nominal}");
        self.runs.push(Run { nominal: at(nominal), workflow_id, status });
        self
    }

    fn buffered(mut self, nominal: &str, cause: Cause, overlap: Option<Overlap>) -> Self {
        self.buffered.push(Buffered { nominal: at(nominal), cause, overlap });
        self
    }

    fn decide(&self) -> Decision {
        let schedule = self.definition.check().unwrap();
        let when = &self.definition.when;
        let timetable = Timetable { name: ("default", "s"), when, schedule: &schedule };
        let seen = Seen {
            state: self.state.clone(),
            now: self.now,
            runs: &self.runs,
            more_runs: false,
            buffered: &self.buffered,
            buffered_count: self.buffered.len(),
            refused: self.refused,
            starts_max: self.starts_max,
        };
        decide(&self.definition, &timetable, &seen)
    }

    /// As `10:00 started`, and the next nominal time.
    fn told(&self) -> (Vec<String>, String) {
        let decision = self.decide();
        let fires = decision.fires.iter();
        let fires =
            fires.map(|(at, fire)| format!("{} {}", at.format("%H:%M"), fire.outcome.name()));
        let next = decision.state.next_at;
        (fires.collect(), next.map_or(String::new(), |next| next.format("%H:%M").to_string()))
    }
}

const RUNNING: Option<Status> = Some(Status::Running);
const DONE: Option<Status> = Some(Status::Completed);

#[test]
fn a_fire_that_is_due_starts_and_the_next_is_noted() {
    let look = Look::new(Overlap::Skip, "10:00:00", "10:00:00.3");
    assert_eq!(look.told(), (vec!["10:00 started".to_owned()], "10:15".to_owned()));
    let decision = look.decide();
    assert_eq!(decision.look_at, Some(at("10:15:00")));
    assert!(!decision.waiting);
    let early = Look::new(Overlap::Skip, "10:00:00", "09:59:59.999");
    assert_eq!(early.told(), (vec![], "10:00".to_owned()));
}

#[test]
fn every_policy_does_what_it_says_while_a_run_is_open() {
    for (overlap, expected, waiting) in [
        (Overlap::Skip, ["10:00 skipped", "10:15 skipped"], false),
        (Overlap::BufferOne, ["10:00 buffered", "10:15 skipped"], true),
        (Overlap::BufferAll, ["10:00 buffered", "10:15 buffered"], true),
        (Overlap::CancelOther, ["10:00 skipped", "10:15 buffered"], true),
        (Overlap::TerminateOther, ["10:00 skipped", "10:15 buffered"], true),
        (Overlap::AllowAll, ["10:00 started", "10:15 started"], false),
    ] {
        let look = Look::new(overlap, "10:00:00", "10:20:00").run("09:45:00", RUNNING);
        assert_eq!(look.told(), (expected.map(str::to_owned).to_vec(), "10:30".to_owned()));
        let decision = look.decide();
        assert_eq!(decision.waiting, waiting, "{overlap:?}");
        let ends = match overlap {
            Overlap::CancelOther => vec![(0, End::Cancel)],
            Overlap::TerminateOther => vec![(0, End::Terminate)],
            _ => vec![],
        };
        assert_eq!(decision.ends, ends);
        assert!(decision.ended.is_empty(), "{overlap:?}");
    }
}

#[test]
fn a_run_that_is_closed_or_gone_is_in_nobodys_way() {
    for status in [DONE, Some(Status::Cancelled), Some(Status::Terminated), None] {
        let look = Look::new(Overlap::Skip, "10:00:00", "10:00:01").run("09:45:00", status);
        assert_eq!(look.told().0, ["10:00 started"]);
        assert_eq!(look.decide().ended, [at("09:45:00")]);
    }
    for status in [Status::Compensating, Status::Stuck] {
        let look = Look::new(Overlap::Skip, "10:00:00", "10:00:01").run("09:45:00", Some(status));
        assert_eq!(look.told().0, ["10:00 skipped"], "{status:?} is open");
    }
}

#[test]
fn what_is_buffered_starts_one_at_a_time_in_its_order() {
    let look = Look::new(Overlap::BufferAll, "10:15:00", "10:01:00")
        .run("09:30:00", DONE)
        .buffered("09:45:00", Cause::Schedule, None)
        .buffered("10:00:00", Cause::Schedule, None);
    assert_eq!(look.told(), (vec!["09:45 started".to_owned()], "10:15".to_owned()));
    let decision = look.decide();
    assert!(decision.waiting, "one is left");
    assert_eq!(decision.look_at, Some(at("10:15:00")), "there is nothing to look at before");
}

#[test]
fn a_full_buffer_drops_what_comes_and_says_so() {
    let mut look = Look::new(Overlap::BufferAll, "10:00:00", "10:00:01").run("09:45:00", RUNNING);
    for second in 0..1_000 {
        let nominal = at("01:00:00") + TimeDelta::seconds(second);
        look.buffered.push(Buffered { nominal, cause: Cause::Schedule, overlap: None });
    }
    assert_eq!(look.told().0, ["10:00 dropped"]);
    look.buffered.pop();
    assert_eq!(look.told().0, ["10:00 buffered"]);
}

#[test]
fn the_last_of_several_that_cancel_is_the_one_that_starts() {
    let look = Look::new(Overlap::CancelOther, "10:00:00", "10:00:01")
        .run("09:30:00", Some(Status::Compensating))
        .buffered("09:45:00", Cause::Schedule, None);
    let decision = look.decide();
    assert_eq!(look.told().0, ["09:45 skipped", "10:00 buffered"]);
    let detail = decision.fires[&at("09:45:00")].detail.as_deref();
    assert_eq!(detail, Some("`t-2026-11-21T10:00:00Z` takes its place"));
    assert_eq!(decision.ends, [], "it is being undone already");
}

#[test]
fn after_an_outage_what_is_too_late_is_missed_and_what_is_not_is_caught_up_with() {
    let look = Look::new(Overlap::BufferAll, "08:00:00", "10:05:00");
    let (fires, next) = look.told();
    assert_eq!(
        fires,
        [
            "08:00 missed",
            "08:15 missed",
            "08:30 missed",
            "08:45 missed",
            "09:00 missed",
            "09:15 started",
            "09:30 buffered",
            "09:45 buffered",
            "10:00 buffered"
        ]
    );
    assert_eq!(next, "10:15");
    // Exactly as late as allowed is not too late.
    let look = Look::new(Overlap::AllowAll, "09:00:00", "10:00:00");
    assert_eq!(look.told().0[0], "09:00 started");
}

#[test]
fn a_year_of_missed_minutes_takes_many_looks_and_none_is_forgotten() {
    let mut look = Look::new(Overlap::Skip, "10:00:00", "10:00:00");
    look.definition.when.spec = "* * * * *".to_owned();
    look.now += TimeDelta::days(30);
    let (mut missed, mut looks) = (0, 0);
    loop {
        let decision = look.decide();
        let fires = decision.fires.values();
        missed += fires.filter(|fire| fire.outcome == Outcome::Missed).count();
        looks += 1;
        look.state = decision.state;
        if decision.look_at > Some(look.now) {
            break;
        }
    }
    assert_eq!(missed, 30 * 1_440 - 60);
    assert!(looks > 40, "{looks}");
}

#[test]
fn no_look_starts_more_than_it_may_and_the_next_goes_on() {
    let mut look = Look::new(Overlap::AllowAll, "09:00:00", "10:00:00");
    look.starts_max = 3;
    let decision = look.decide();
    assert_eq!(decision.starts(), 3);
    assert_eq!(
        (decision.look_at, decision.state.next_at),
        (Some(at("10:00:00")), Some(at("09:45:00")))
    );
    look.state = decision.state;
    assert_eq!(look.told().0, ["09:45 started", "10:00 started"]);
}

#[test]
fn a_paused_schedule_starts_nothing_by_the_clock_and_says_so_each_time() {
    let mut look = Look::new(Overlap::AllowAll, "10:00:00", "10:20:00")
        .buffered("09:45:00", Cause::Schedule, None)
        .buffered("09:46:30", Cause::Trigger, None);
    look.state.paused = true;
    assert_eq!(look.told().0, ["09:46 started", "10:00 paused", "10:15 paused"]);
    assert!(!look.decide().waiting, "nobody polls for what waits until it is resumed");
    look.state.paused = false;
    assert_eq!(look.told().0.len(), 4, "and then it starts");
}

#[test]
fn limited_starts_end_it_and_those_by_hand_do_not_count() {
    let mut look = Look::new(Overlap::AllowAll, "09:45:00", "10:20:00").buffered(
        "09:30:00",
        Cause::Backfill,
        None,
    );
    look.state.remaining = Some(2);
    let decision = look.decide();
    assert_eq!(
        look.told(),
        (
            vec![
                "09:30 started".to_owned(),
                "09:45 started".to_owned(),
                "10:00 started".to_owned()
            ],
            String::new()
        )
    );
    assert_eq!((decision.state.remaining, decision.look_at), (Some(0), None));
    // Skipped ones do not count either.
    let mut look = Look::new(Overlap::Skip, "10:00:00", "10:20:00").run("09:45:00", RUNNING);
    look.state.remaining = Some(2);
    assert_eq!(look.decide().state.remaining, Some(2));
}

#[test]
fn a_run_that_fails_pauses_it_where_that_is_asked_for() {
    let mut look =
        Look::new(Overlap::AllowAll, "10:00:00", "10:01:00").run("09:45:00", Some(Status::Failed));
    assert_eq!(look.told().0, ["10:00 started"]);
    look.definition.policy.pause_on_failure = true;
    let decision = look.decide();
    assert_eq!(look.told().0, ["10:00 paused"]);
    assert!(decision.state.paused);
    assert_eq!(decision.state.note.as_deref(), Some("`t-09:45:00` failed"));
    // And so that this is not noticed only at the next fire:
    let mut look = Look::new(Overlap::Skip, "10:15:00", "10:01:00").run("09:45:00", RUNNING);
    look.definition.policy.pause_on_failure = true;
    assert!(look.decide().waiting);
}

#[test]
fn what_cannot_be_started_is_a_fire_that_failed_and_the_schedule_goes_on() {
    let mut look = Look::new(Overlap::Skip, "10:00:00", "10:01:00");
    look.refused = Some("there is no workflow type `trip`");
    let decision = look.decide();
    assert_eq!(look.told(), (vec!["10:00 failed".to_owned()], "10:15".to_owned()));
    let detail = decision.fires[&at("10:00:00")].detail.as_deref();
    assert_eq!(detail, look.refused);
}

#[test]
fn jitter_is_the_same_for_everybody_and_keeps_the_order() {
    let mut look = Look::new(Overlap::AllowAll, "00:00:00", "00:00:00");
    look.definition.when.jitter = std::time::Duration::from_hours(2);
    let schedule = look.definition.check().unwrap();
    let of =
        |id| Timetable { name: ("default", id), when: &look.definition.when, schedule: &schedule };
    let (one, same, other) = (of("a"), of("a"), of("b"));
    let mut last = None;
    let (mut late, mut differ) = (0, 0);
    for nominal in schedule.after(at("00:00:00")).take(200) {
        let due = one.due(nominal);
        assert_eq!(due, same.due(nominal));
        assert!(due >= nominal && due < nominal + TimeDelta::minutes(15), "before the next");
        assert!(last < Some(due));
        last = Some(due);
        late += usize::from(due > nominal + TimeDelta::minutes(7));
        differ += usize::from(due != other.due(nominal));
    }
    assert!((60..140).contains(&late), "spread over the whole time: {late}");
    assert!(differ > 190);
}

#[test]
fn start_and_end_bound_the_times() {
    let mut look = Look::new(Overlap::AllowAll, "00:00:00", "00:00:00");
    look.definition.when.start_at = Some(at("10:00:00"));
    look.definition.when.end_at = Some(at("10:30:00"));
    let schedule = look.definition.check().unwrap();
    let timetable =
        Timetable { name: ("default", "s"), when: &look.definition.when, schedule: &schedule };
    let times = std::iter::successors(timetable.next(at("00:00:00")), |at| timetable.next(*at));
    assert_eq!(times.collect::<Vec<_>>(), [at("10:00:00"), at("10:15:00"), at("10:30:00")]);
}
