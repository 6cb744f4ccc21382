//! The format on disk: every tag and field keeps its name for ever.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use hansom_core::{
    ActivityOptions, Because, Call, Cause, ChildOutcome, Command, Continued, Event, OnUnknown,
    Origin, Owed, Parent, ParentClose, Payload, RetryPolicy, Seq, StartChild, StuckReason,
    Timestamp, UpdateAnswer, WhenUnavailable,
};

fn payload() -> Payload {
    Payload::of(&7).unwrap()
}

fn every_event() -> Vec<(Event, &'static str)> {
    let call = || Call { activity: "u".to_owned(), request: payload() };
    let retry =
        RetryPolicy { total_budget: Some(Duration::from_secs(9)), ..RetryPolicy::default() };
    let start_to_close = Duration::from_millis(610);
    let options = ActivityOptions { retry, start_to_close, ..ActivityOptions::default() };
    let every_option = ActivityOptions {
        schedule_to_close: Some(Duration::from_mins(1)),
        heartbeat: Some(Duration::from_secs(2)),
        on_unknown: OnUnknown::Park,
        ..options
    };
    let asked = Event::Asked;
    let text = || "x".to_owned();
    let run = |undo, options| {
        let (activity, probe) = ("a".to_owned(), None);
        asked(Command::Run { activity, request: payload(), undo, probe, options })
    };
    let seq = Seq(3);
    vec![
        (Event::started(payload()), r#"{"started":{"input":7}}"#),
        (run(None, None), r#"{"run":{"activity":"a","request":7}}"#),
        (
            run(Some(call()), Some(Box::new(options))),
            r#"{"run":{"activity":"a","request":7,"undo":{"activity":"u","request":7},"options":{"retry":{"initial_interval":1000,"backoff_coefficient":2.0,"maximum_interval":60000,"maximum_attempts":10,"total_budget":9000},"start_to_close":610}}}"#,
        ),
        (asked(Command::StartTimer { at: Timestamp(5) }), r#"{"start_timer":{"at":5}}"#),
        (asked(Command::CancelTimer { timer: seq }), r#"{"cancel_timer":{"timer":3}}"#),
        (asked(Command::Pivot {}), r#"{"pivot":{}}"#),
        (
            asked(Command::Unwind { cause: Cause::Failed { error: payload() } }),
            r#"{"unwind":{"cause":{"failed":{"error":7}}}}"#,
        ),
        (asked(Command::Unwind { cause: Cause::Cancelled }), r#"{"unwind":{"cause":"cancelled"}}"#),
        (asked(Command::Undo { of: seq, inherited: None }), r#"{"undo":{"of":3}}"#),
        (asked(Command::Complete { output: payload() }), r#"{"complete":{"output":7}}"#),
        (asked(Command::Close {}), r#"{"close":{}}"#),
        (Event::Done { seq, output: payload() }, r#"{"done":{"seq":3,"output":7}}"#),
        (Event::Refused { seq, error: payload() }, r#"{"refused":{"seq":3,"error":7}}"#),
        (
            Event::Unknown { seq, attempts: 2, reason: text() },
            r#"{"unknown":{"seq":3,"attempts":2,"reason":"x"}}"#,
        ),
        (
            Event::AttemptFailed { seq, attempt: 1, reason: text(), retry_at: Timestamp(5) },
            r#"{"attempt_failed":{"seq":3,"attempt":1,"reason":"x","retry_at":5}}"#,
        ),
        (Event::AttemptLost { seq, attempt: 1 }, r#"{"attempt_lost":{"seq":3,"attempt":1}}"#),
        (Event::Fired { seq }, r#"{"fired":{"seq":3}}"#),
        (
            Event::Signalled { name: text(), id: text(), payload: payload() },
            r#"{"signalled":{"name":"x","id":"x","payload":7}}"#,
        ),
        (Event::CancelRequested { reason: None }, r#"{"cancel_requested":{}}"#),
        (
            Event::Stuck { reason: StuckReason::UndoExhausted, detail: text(), seq: None },
            r#"{"stuck":{"reason":"undo_exhausted","detail":"x"}}"#,
        ),
        (
            asked(Command::Run {
                activity: text(),
                request: payload(),
                undo: None,
                probe: Some(Box::new(call())),
                options: Some(Box::new(every_option)),
            }),
            r#"{"run":{"activity":"x","request":7,"probe":{"activity":"u","request":7},"options":{"retry":{"initial_interval":1000,"backoff_coefficient":2.0,"maximum_interval":60000,"maximum_attempts":10,"total_budget":9000},"start_to_close":610,"schedule_to_close":60000,"heartbeat":2000,"on_unknown":"park"}}}"#,
        ),
    ]
}

fn what_is_held_back() -> Vec<(Event, &'static str)> {
    let (seq, text) = (Seq(3), || "x".to_owned());
    let when_unavailable = WhenUnavailable::Fail;
    let impatient = ActivityOptions { when_unavailable, ..ActivityOptions::default() };
    let run = Event::Asked(Command::Run {
        activity: "a".to_owned(),
        request: payload(),
        undo: None,
        probe: None,
        options: Some(Box::new(impatient)),
    });
    vec![
        (
            run,
            r#"{"run":{"activity":"a","request":7,"options":{"retry":{"initial_interval":1000,"backoff_coefficient":2.0,"maximum_interval":60000,"maximum_attempts":10},"start_to_close":10000,"when_unavailable":"fail"}}}"#,
        ),
        (
            Event::HeldBack {
                seq,
                attempt: 1,
                reason: text(),
                retry_at: Timestamp(5),
                sent: false,
            },
            r#"{"held_back":{"seq":3,"attempt":1,"reason":"x","retry_at":5}}"#,
        ),
        (
            Event::HeldBack { seq, attempt: 1, reason: text(), retry_at: Timestamp(5), sent: true },
            r#"{"held_back":{"seq":3,"attempt":1,"reason":"x","retry_at":5,"sent":true}}"#,
        ),
    ]
}

fn what_a_run_begins_with() -> Vec<(Event, &'static str)> {
    let text = || "x".to_owned();
    let owed = vec![Owed {
        of: Seq(3),
        origin: Some(Origin { workflow_id: text(), run: text() }),
        undo: Call { activity: "u".to_owned(), request: payload() },
        because: Because::Done,
    }];
    vec![
        (
            Event::Started {
                input: payload(),
                code: Some(text()),
                deadline: Some(Timestamp(5)),
                parent: Some(Box::new(Parent {
                    workflow_id: text(),
                    run: text(),
                    run_no: 1,
                    seq: Seq(3),
                })),
                continued: Some(Box::new(Continued { run: text(), owed, heard: Vec::new() })),
            },
            r#"{"started":{"input":7,"code":"x","deadline":5,"parent":{"workflow_id":"x","run":"x","run_no":1,"seq":3},"continued":{"run":"x","owed":[{"of":3,"origin":{"workflow_id":"x","run":"x"},"undo":{"activity":"u","request":7},"because":"done"}]}}}"#,
        ),
        (
            Event::Started {
                input: payload(),
                code: None,
                deadline: None,
                parent: None,
                continued: Some(Box::new(Continued {
                    run: text(),
                    owed: Vec::new(),
                    heard: vec!["signal:x".to_owned()],
                })),
            },
            r#"{"started":{"input":7,"continued":{"run":"x","heard":["signal:x"]}}}"#,
        ),
    ]
}

fn what_runs_say_to_one_another() -> Vec<(Event, &'static str)> {
    let asked = Event::Asked;
    let (seq, text) = (Seq(3), || "x".to_owned());
    let start = |on_parent_close| {
        let (workflow_type, workflow_id) = (text(), text());
        let start = StartChild { workflow_type, workflow_id, input: payload(), on_parent_close };
        asked(Command::StartChild(Box::new(start)))
    };
    let closed = |outcome| Event::ChildClosed { seq, outcome };
    vec![
        (start(ParentClose::Cancel), r#"{"start_child":{"type":"x","workflow_id":"x","input":7}}"#),
        (
            start(ParentClose::Abandon),
            r#"{"start_child":{"type":"x","workflow_id":"x","input":7,"on_parent_close":"abandon"}}"#,
        ),
        (asked(Command::CancelChild { child: seq }), r#"{"cancel_child":{"child":3}}"#),
        (
            asked(Command::Undo { of: seq, inherited: Some(1) }),
            r#"{"undo":{"of":3,"inherited":1}}"#,
        ),
        (
            asked(Command::ContinueAsNew { input: payload(), carry: true }),
            r#"{"continue_as_new":{"input":7,"carry":true}}"#,
        ),
        (
            closed(ChildOutcome::Completed { output: payload(), owed: Vec::new() }),
            r#"{"child_closed":{"seq":3,"outcome":{"completed":{"output":7}}}}"#,
        ),
        (
            closed(ChildOutcome::Failed { error: payload() }),
            r#"{"child_closed":{"seq":3,"outcome":{"failed":{"error":7}}}}"#,
        ),
        (
            closed(ChildOutcome::Cancelled {}),
            r#"{"child_closed":{"seq":3,"outcome":{"cancelled":{}}}}"#,
        ),
        (
            closed(ChildOutcome::Terminated {}),
            r#"{"child_closed":{"seq":3,"outcome":{"terminated":{}}}}"#,
        ),
        (closed(ChildOutcome::Taken {}), r#"{"child_closed":{"seq":3,"outcome":{"taken":{}}}}"#),
    ]
}

fn what_people_and_probes_say() -> Vec<(Event, &'static str)> {
    let asked = Event::Asked;
    let (seq, text) = (Seq(3), || "x".to_owned());
    let answer = |answer| asked(Command::Answer { update: text(), answer });
    vec![
        (
            Event::Verifying { seq, attempts: 2, reason: text() },
            r#"{"verifying":{"seq":3,"attempts":2,"reason":"x"}}"#,
        ),
        (
            Event::NotDone { seq, attempts: 2, reason: text() },
            r#"{"not_done":{"seq":3,"attempts":2,"reason":"x"}}"#,
        ),
        (
            Event::UpdateRequested { name: text(), id: text(), payload: payload() },
            r#"{"update_requested":{"name":"x","id":"x","payload":7}}"#,
        ),
        (
            answer(UpdateAnswer::Done { output: payload() }),
            r#"{"answer":{"update":"x","answer":{"done":{"output":7}}}}"#,
        ),
        (
            answer(UpdateAnswer::Refused { error: payload() }),
            r#"{"answer":{"update":"x","answer":{"refused":{"error":7}}}}"#,
        ),
        (asked(Command::Publish { state: payload() }), r#"{"publish":{"state":7}}"#),
        (
            asked(Command::Label { key: text(), value: text() }),
            r#"{"label":{"key":"x","value":"x"}}"#,
        ),
        (asked(Command::Patched { id: text() }), r#"{"patched":{"id":"x"}}"#),
        (Event::DeadlinePassed {}, r#"{"deadline_passed":{}}"#),
        (
            asked(Command::Unwind { cause: Cause::DeadlinePassed }),
            r#"{"unwind":{"cause":"deadline_passed"}}"#,
        ),
        (Event::Terminated { reason: text() }, r#"{"terminated":{"reason":"x"}}"#),
        (Event::Retried { reason: None }, r#"{"retried":{}}"#),
        (
            Event::Stuck { reason: StuckReason::Poison, detail: text(), seq: Some(seq) },
            r#"{"stuck":{"reason":"poison","detail":"x","seq":3}}"#,
        ),
    ]
}

#[test]
fn every_event_is_written_and_read_as_it_always_was() {
    let all = [
        every_event(),
        what_is_held_back(),
        what_a_run_begins_with(),
        what_runs_say_to_one_another(),
        what_people_and_probes_say(),
    ];
    for (event, json) in all.into_iter().flatten() {
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        assert_eq!(serde_json::from_str::<Event>(json).unwrap(), event);
    }
}
