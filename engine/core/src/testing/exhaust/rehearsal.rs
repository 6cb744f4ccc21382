//! A story that broke, as the cues of a [`crate::testing::Script`].

use std::fmt::Write;

use super::Play;
use super::engine::History;
use crate::{Direction, Event, Ledger, Running, Seq, StuckReason, Timestamp};

/// What the cues are written with.
const JSON: &str =
    "fn json<T: DeserializeOwned>(text: &str) -> T { serde_json::from_str(text).unwrap() }";

/// The same history as Rust; failed attempts and lost workers are no cues, because a
/// body does not hear of them.
pub(super) fn rehearsal<World>(play: &Play<World>, history: &History) -> String {
    let mut script = format!("  {JSON}\n");
    let mut ledger = Ledger::default();
    for (at, events) in history {
        for event in events {
            if let Some(cue) = cue(play, event, &ledger) {
                let _ = writeln!(script, "  {cue}");
            }
            ledger.apply(event, *at);
        }
    }
    script
}

fn cue<World>(play: &Play<World>, event: &Event, ledger: &Ledger) -> Option<String> {
    let running = |seq: &Seq| ledger.running().get(seq);
    let of = |seq| running(seq).map_or("?", |running| rust_name(play, running));
    Some(match event {
        Event::Started { input, deadline, .. } => started(play, input.get(), *deadline),
        Event::Done { seq, output } => {
            let probe = running(seq).is_some_and(|r| r.direction == Direction::Verify);
            let cue = if probe { "find_done" } else { "complete" };
            format!("    .{cue}::<{}>(&{})", of(seq), json(output.get()))
        }
        Event::Refused { seq, error } => {
            format!("    .refuse::<{}>({})", of(seq), json(error.get()))
        }
        Event::Unknown { seq, .. } => format!("    .lose::<{}>()", of(seq)),
        Event::Verifying { seq, .. } => format!("    .exhaust::<{}>()", of(seq)),
        // It follows from what the body asked for, or from its end, unless it was held back.
        Event::NotDone { seq, attempts: 0, .. } => {
            let unwinds = ledger.cause().is_some();
            running(seq).filter(|_| !unwinds)?;
            format!("    .fail_unsent::<{}>()", of(seq))
        }
        Event::NotDone { seq, .. } => format!("    .find_not_done::<{}>()", of(seq)),
        Event::Stuck { reason: StuckReason::OutcomeUnknown, seq: Some(seq), .. } => {
            format!("    .park::<{}>()", of(seq))
        }
        Event::Retried { .. } => "    .retry()".to_owned(),
        Event::Fired { .. } => "    .fire()".to_owned(),
        Event::DeadlinePassed {} => "    // .advance(..) to the deadline".to_owned(),
        Event::Signalled { name, payload, .. } => {
            format!("    .signal::<{}>(&{})", message(play, name), json(payload.get()))
        }
        Event::UpdateRequested { name, id, payload } => {
            format!("    .update::<{}>({id:?}, &{})", message(play, name), json(payload.get()))
        }
        Event::CancelRequested { .. } => "    .cancel()".to_owned(),
        Event::Terminated { .. } => "    .terminate()".to_owned(),
        Event::ChildClosed { seq, outcome } => {
            let child = ledger.children().get(seq)?;
            let outcome = serde_json::to_string(outcome).unwrap_or_default();
            format!("    .close_child({:?}, {})", child.start.workflow_id, json(&outcome))
        }
        Event::HeldBack { seq, .. } => format!("    .hold_back::<{}>()", of(seq)),
        Event::AttemptFailed { .. }
        | Event::AttemptLost { .. }
        | Event::Stuck { .. }
        | Event::Asked(_) => return None,
    })
}

fn started<World>(play: &Play<World>, input: &str, deadline: Option<Timestamp>) -> String {
    let (name, input) = (short(play.saga.type_name), json(input));
    match deadline.map(|at| at.since(Timestamp::default())) {
        None => format!("Script::<{name}>::start(&{input})"),
        Some(after) => {
            let seconds = after.as_secs_f64();
            let after = format!("Duration::from_secs_f64({seconds:?})");
            format!("Script::<{name}>::start_with_deadline(&{input}, {after})")
        }
    }
}

fn json(text: &str) -> String {
    format!("json(r#\"{text}\"#)")
}

fn rust_name<'a, World>(play: &Play<World>, running: &'a Running) -> &'a str {
    let name = &running.call.activity;
    play.cast.model(name).map_or(name, |model| short(model.type_name))
}

fn message<'a, World>(play: &Play<World>, name: &'a str) -> &'a str {
    let known = play.cues.iter().find(|cue| cue.name == name);
    known.map_or(name, |cue| short(cue.type_name))
}

/// The last part of a path.
fn short(type_name: &'static str) -> &'static str {
    type_name.rsplit("::").next().unwrap_or(type_name)
}
