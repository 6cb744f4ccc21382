use hansom_core::{Command, Event};
use serde_json::{Value, json};

use super::*;

/// Tells events as they stand in a history, each as `seq|what|details`.
fn told(events: &[(&str, Value)]) -> Vec<String> {
    let mut story = Story { known: true, ..Story::default() };
    let tell = |(name, details): &(&str, Value)| {
        // What is not in the vocabulary could not have been stored.
        let event = json!({ *name: details });
        serde_json::from_value::<Event>(event.clone()).unwrap_or_else(|e| panic!("{event}: {e}"));
        let (seq, what, rest) = story.tell(name, details);
        format!("{seq}|{what}|{rest}")
    };
    events.iter().map(tell).collect()
}

#[test]
fn what_came_of_a_command_names_the_command() {
    let undo = json!({"activity": "refund", "request": 1});
    let probe = json!({"activity": "was_charged", "request": 1});
    let run = json!({"activity": "charge", "request": {"fare": 1}, "undo": undo, "probe": probe});
    let failed = json!({"seq": 0, "attempts": 3, "reason": "no route"});
    assert_eq!(
        told(&[
            ("run", run),
            ("verifying", failed.clone()),
            ("not_done", failed),
            ("done", json!({"seq": 0, "output": 7})),
            ("unwind", json!({"cause": "deadline_passed"})),
            ("undo", json!({"of": 0})),
            ("done", json!({"seq": 2, "output": null})),
            ("close", json!({})),
        ]),
        [
            r#"0|run charge, undo refund, probe was_charged|{"fare":1}"#,
            "0|verifying charge|attempts=3 reason=no route",
            "0|not_done charge|attempts=3 reason=no route",
            "0|done charge|7",
            r#"1|unwind|"deadline_passed""#,
            "2|undo refund|0",
            "2|done refund|null",
            "3|close|",
        ]
    );
}

#[test]
fn what_is_held_back_says_why_and_when_it_is_tried_again() {
    let run = json!({"activity": "charge", "request": 1});
    let reason = "breaker of payment is open";
    let held = json!({"seq": 0, "attempt": 1, "reason": reason, "retry_at": 5_000_000});
    let again = time_of_day(5_000_000);
    assert_eq!(
        told(&[("run", run), ("held_back", held)])[1],
        format!("0|held_back charge|breaker of payment is open, again at {again}")
    );
}

#[test]
fn a_child_an_update_and_their_ends_are_told_by_name() {
    let child = json!({"type": "ride", "workflow_id": "there", "input": 10});
    let refused = json!({"refused": {"error": "late"}});
    assert_eq!(
        told(&[
            ("publish", json!({"state": {"asked": 3}})),
            ("label", json!({"key": "city", "value": "seoul"})),
            ("patched", json!({"id": "near-first"})),
            ("start_child", child),
            ("cancel_child", json!({"child": 3})),
            ("child_closed", json!({"seq": 3, "outcome": {"cancelled": {}}})),
            ("signalled", json!({"name": "go", "id": "s-1", "payload": null})),
            ("update_requested", json!({"name": "tip", "id": "u-1", "payload": 5})),
            ("answer", json!({"update": "u-1", "answer": {"done": {"output": 6}}})),
            ("answer", json!({"update": "u-2", "answer": refused})),
            ("continue_as_new", json!({"input": 2})),
        ]),
        [
            r#"0|publish|{"asked":3}"#,
            "1|label city=seoul|",
            "2|patched near-first|",
            "3|start_child ride there|10",
            "4|cancel_child there|3",
            r#"3|child_closed there|{"cancelled":{}}"#,
            r#"|signalled go|id="s-1" payload=null"#,
            r#"|update_requested tip|id="u-1" payload=5"#,
            r#"5|answer tip|output=6 update="u-1""#,
            r#"6|refuse u-2|error="late" update="u-2""#,
            "7|continue_as_new|2",
        ]
    );
}

#[test]
fn undos_of_other_runs_are_told_in_the_order_they_came() {
    let owed = |activity: &str| json!({"of": 0, "undo": {"activity": activity, "request": 1}, "because": "done"});
    let before = json!({"run": "r", "owed": [owed("first")]});
    let child = json!({"type": "ride", "workflow_id": "there", "input": 10});
    let completed = json!({"completed": {"output": 1, "owed": [owed("second"), owed("third")]}});
    let lines = told(&[
        ("started", json!({"input": 1, "continued": before})),
        ("start_child", child),
        ("child_closed", json!({"seq": 0, "outcome": completed})),
        ("undo", json!({"of": 0, "inherited": 2})),
        ("undo", json!({"of": 0, "inherited": 0})),
        ("done", json!({"seq": 2, "output": null})),
    ]);
    assert_eq!(
        lines[3..],
        ["1|undo third|inherited=2 of=0", "2|undo first|inherited=0 of=0", "2|done first|null"]
    );
}

#[test]
fn an_operators_words_and_a_reason_to_be_stuck_are_told_as_they_are() {
    let stuck = json!({"reason": "outcome_unknown", "detail": "nobody knows", "seq": 0});
    assert_eq!(
        told(&[
            ("run", json!({"activity": "charge", "request": 1})),
            ("stuck", stuck),
            ("retried", json!({"reason": "the bank is back"})),
            ("terminated", json!({"reason": "a test"})),
            ("deadline_passed", json!({})),
        ])[1..],
        [
            "0|stuck outcome_unknown charge|nobody knows",
            "|retried|the bank is back",
            "|terminated|a test",
            "|deadline_passed|",
        ]
    );
}

#[test]
fn a_page_that_begins_later_gives_no_wrong_names() {
    let mut story = Story::default();
    let (seq, what, _) = story.tell("undo", &json!({"of": 0, "inherited": 0}));
    assert_eq!((seq.as_str(), what.as_str()), ("", "undo"));
    let (seq, what, _) = story.tell("done", &json!({"seq": 0, "output": 1}));
    assert_eq!((seq.as_str(), what.as_str()), ("0", "done"));
}

#[test]
fn every_command_is_numbered() {
    // A new command makes this match, and with it the table, incomplete.
    let name = |command: &Command| match command {
        Command::Run { .. } => "run",
        Command::StartTimer { .. } => "start_timer",
        Command::CancelTimer { .. } => "cancel_timer",
        Command::StartChild(_) => "start_child",
        Command::CancelChild { .. } => "cancel_child",
        Command::Publish { .. } => "publish",
        Command::Label { .. } => "label",
        Command::Answer { .. } => "answer",
        Command::Patched { .. } => "patched",
        Command::ContinueAsNew { .. } => "continue_as_new",
        Command::Pivot {} => "pivot",
        Command::Unwind { .. } => "unwind",
        Command::Undo { .. } => "undo",
        Command::Complete { .. } => "complete",
        Command::Close {} => "close",
    };
    assert!(COMMANDS.contains(&name(&Command::Pivot {})));
    // Whatever is told as a command is read as one.
    let id = json!({"activity": "a", "request": 1, "at": 1, "timer": 0, "type": "t", "child": 0,
        "workflow_id": "w", "input": 1, "state": 1, "key": "k", "value": "v", "update": "u",
        "answer": {"done": {"output": 1}}, "id": "i", "cause": "cancelled", "of": 0, "output": 1});
    for command in COMMANDS {
        let event: Event = serde_json::from_value(json!({ command: id })).unwrap();
        let Event::Asked(asked) = event else { panic!("{command} is no command") };
        assert_eq!(name(&asked), command);
    }
}
