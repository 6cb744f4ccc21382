//! A history as a file.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::{Event, Timestamp};

/// The history of one run, as it is kept in a file: JSON, one event a line.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// [`crate::Workflow::NAME`].
    pub workflow: String,
    /// The run's UUID, which its random numbers follow from.
    pub run: u128,
    /// What was committed, and when.
    pub commits: Vec<(Timestamp, Vec<Event>)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    workflow: String,
    run: String,
    history: Vec<Commit>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    at: Timestamp,
    events: Vec<Event>,
}

impl History {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// When it is not the JSON of a history, and where.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let File { workflow, run, history } = serde_json::from_str(json)?;
        let run = u128::from_str_radix(&run.replace('-', ""), 16)
            .map_err(|error| serde_json::Error::custom(format!("`run` is not a UUID: {error}")))?;
        let commits = history.into_iter().map(|commit| (commit.at, commit.events)).collect();
        Ok(Self { workflow, run, commits })
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workflow = json(&self.workflow);
        let hex = format!("{:032x}", self.run);
        let run = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        write!(f, "{{\n  \"workflow\": {workflow},\n  \"run\": \"{run}\",\n  \"history\": [")?;
        for (index, (at, events)) in self.commits.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let events: Vec<_> =
                events.iter().map(|event| format!("      {}", json(event))).collect();
            let events = events.join(",\n");
            write!(f, "{comma}\n    {{\"at\": {}, \"events\": [\n{events}\n    ]}}", at.0)?;
        }
        writeln!(f, "\n  ]\n}}")
    }
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text and events have a JSON form")
}
