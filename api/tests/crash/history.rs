//! A history as a test reads it: from the API, with an opinion of its own.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::town::Api;

/// The events of one run.
pub(crate) struct History(Vec<Value>);

/// An activity, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) activity: String,
    /// Attempts that failed or were lost, in order.
    pub(crate) spent: Vec<(u64, Spent)>,
    /// Whether it is answered; with `refused` and `unknown` it is.
    pub(crate) answered: bool,
}

/// How an attempt came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    Failed,
    Lost,
}

const COMMANDS: [&str; 8] =
    ["run", "start_timer", "cancel_timer", "pivot", "unwind", "undo", "complete", "close"];

pub(crate) fn workflow_id(call: i64) -> String {
    format!("taxisvc.call.{call}")
}

impl History {
    pub(crate) async fn of(api: &Api, workflow_id: &str) -> Self {
        let mut events: Vec<Value> = Vec::new();
        let mut page = format!("/v1/workflows/{workflow_id}/history?limit=200");
        loop {
            let mut body = api.see(&page).await;
            let items = body["items"].as_array_mut().expect("a page has items");
            events.append(items);
            match body["next"].as_str() {
                Some(next) => {
                    page = format!("/v1/workflows/{workflow_id}/history?limit=200&cursor={next}");
                }
                None => return Self(events),
            }
        }
    }

    pub(crate) async fn of_call(api: &Api, call: i64) -> Self {
        Self::of(api, &workflow_id(call)).await
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What it says the status is: an account of its own, beside the engine's.
    pub(crate) fn status(&self) -> &'static str {
        let unwound = self.0.iter().find_map(|event| event.get("unwind"));
        let closed = self.0.iter().any(|event| event.get("close").is_some());
        if self.0.iter().any(|event| event.get("complete").is_some()) {
            return "completed";
        }
        match unwound {
            None => "running",
            Some(_) if !closed => "compensating",
            Some(unwind) if unwind["cause"] == "cancelled" => "cancelled",
            Some(_) => "failed",
        }
    }

    /// Every activity, do and undo, by the number of its command.
    pub(crate) fn steps(&self) -> BTreeMap<u64, Step> {
        let mut steps = BTreeMap::<u64, Step>::new();
        let mut undos = BTreeMap::new();
        let mut seq = 0;
        for event in &self.0 {
            let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            if let Some(run) = event.get("run") {
                let step = Step { activity: name(&run["activity"]), ..Step::default() };
                steps.insert(seq, step);
                undos.insert(seq, name(&run["undo"]["activity"]));
            } else if let Some(of) = event["undo"]["of"].as_u64() {
                steps.insert(seq, Step { activity: undos[&of].clone(), ..Step::default() });
            }
            seq += u64::from(COMMANDS.iter().any(|command| event.get(command).is_some()));
            for (kind, spent) in [("attempt_failed", Spent::Failed), ("attempt_lost", Spent::Lost)]
            {
                if let Some(attempt) = event[kind]["attempt"].as_u64() {
                    let step = of(&mut steps, &event[kind]);
                    step.spent.push((attempt, spent));
                }
            }
            if let Some(attempt) = event["unknown"]["attempts"].as_u64() {
                let lost = event["unknown"]["reason"] == "its worker was lost";
                let spent = if lost { Spent::Lost } else { Spent::Failed };
                of(&mut steps, &event["unknown"]).spent.push((attempt, spent));
            }
            for kind in ["done", "refused", "unknown"] {
                if event.get(kind).is_some() {
                    let step = of(&mut steps, &event[kind]);
                    assert!(!step.answered, "answered twice: {event}");
                    step.answered = true;
                }
            }
        }
        steps
    }

    /// The first step of an activity.
    pub(crate) fn step(&self, activity: &str) -> Option<Step> {
        self.steps().into_values().find(|step| step.activity == activity)
    }

    /// How many attempts were lost with their worker.
    pub(crate) fn lost(&self) -> usize {
        self.spent(Spent::Lost)
    }

    /// How many attempts were made in vain.
    pub(crate) fn spent(&self, how: Spent) -> usize {
        let steps = self.steps();
        steps.values().flat_map(|step| &step.spent).filter(|(_, spent)| *spent == how).count()
    }

    /// Holds it against what must be true of every history.
    pub(crate) fn assert_sound(&self, id: &str) {
        for (position, event) in self.0.iter().enumerate() {
            let number = event["event"].as_u64();
            assert_eq!(number, u64::try_from(position).ok(), "{id}: a gap in {:?}", self.0);
        }
        let is_end =
            |event: &Value| ["complete", "close"].iter().any(|end| event.get(end).is_some());
        assert!(self.0[0].get("started").is_some(), "{id} does not begin: {:?}", self.0);
        let ends: Vec<_> = self.0.iter().map(is_end).collect();
        assert_eq!(ends.iter().filter(|end| **end).count(), 1, "{id}: one end: {:?}", self.0);
        assert_eq!(ends.last(), Some(&true), "{id}: nothing after the end: {:?}", self.0);
        for step in self.steps().values() {
            let attempts: Vec<_> = step.spent.iter().map(|(attempt, _)| *attempt).collect();
            let counted: Vec<_> = (1..).take(attempts.len()).collect();
            assert_eq!(attempts, counted, "{id}: {} counts its attempts", step.activity);
            assert!(step.answered, "{id}: {} has no answer: {:?}", step.activity, self.0);
        }
    }
}

fn of<'a>(steps: &'a mut BTreeMap<u64, Step>, event: &Value) -> &'a mut Step {
    let seq = event["seq"].as_u64().expect("it says of what");
    steps.get_mut(&seq).unwrap_or_else(|| panic!("an answer to nothing: {event}"))
}
