//! The format on disk: every tag and field keeps its name for ever.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use hansom_core::{
    ActivityOptions, Call, Cause, Command, Event, Payload, RetryPolicy, Seq, StuckReason, Timestamp,
};

fn payload() -> Payload {
    Payload::of(&7).unwrap()
}

fn every_event() -> Vec<(Event, &'static str)> {
    let call = Call { activity: "u".to_owned(), request: payload() };
    let retry =
        RetryPolicy { total_budget: Some(Duration::from_secs(9)), ..RetryPolicy::default() };
    let start_to_close = Duration::from_millis(610);
    let options = Some(ActivityOptions { retry, start_to_close, ..ActivityOptions::default() });
    let asked = Event::Asked;
    let text = || "x".to_owned();
    let run = |undo, options| {
        asked(Command::Run { activity: "a".to_owned(), request: payload(), undo, options })
    };
    let seq = Seq(3);
    vec![
        (Event::Started { input: payload() }, r#"{"started":{"input":7}}"#),
        (run(None, None), r#"{"run":{"activity":"a","request":7}}"#),
        (
            run(Some(call), options),
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
        (asked(Command::Undo { of: seq }), r#"{"undo":{"of":3}}"#),
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
            Event::Stuck { reason: StuckReason::UndoExhausted, detail: text() },
            r#"{"stuck":{"reason":"undo_exhausted","detail":"x"}}"#,
        ),
    ]
}

#[test]
fn every_event_is_written_and_read_as_it_always_was() {
    for (event, json) in every_event() {
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        assert_eq!(serde_json::from_str::<Event>(json).unwrap(), event);
    }
}
