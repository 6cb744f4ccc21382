//! `hansom activity`: through the public REST API only.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;
use serde_json::value::RawValue;

use super::output::table;
use super::workflow::ServerArg;
use super::workflow::client::Rest;
use super::workflow::read::page;
use super::workflow::show::{Row, maps, second, text};
use super::{CliError, Exit};

/// What sagas ask for, and who performs it.
#[derive(Subcommand, Debug)]
pub(crate) enum ActivityCommand {
    /// List activities: the breaker of each one's service, or what waits for remote workers.
    List(ListArgs),
}

/// All of them.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hansom activity list")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArg,
}

pub(crate) async fn run(command: ActivityCommand) -> Result<Exit, CliError> {
    let ActivityCommand::List(ListArgs { server }) = command;
    let answer = Rest::of("activities", &server)?.get(&[], &[], Duration::ZERO).await?;
    page(&answer, server.output, "name", rows)
}

fn rows(items: &[&RawValue]) -> Result<(), CliError> {
    let rows = maps(items).iter().map(row).collect();
    table(&["activity", "by", "breaker", "calls", "failed", "again", "waiting", "claimed"], rows)
}

/// Who performs it is a service, or a queue with what waits there.
fn row(item: &Row) -> Vec<String> {
    let name = text(item, "name");
    if item.get("remote") == Some(&Value::Bool(true)) {
        let [queue, waiting, claimed] = ["queue", "waiting", "claimed"].map(|key| text(item, key));
        let none = String::new;
        return vec![
            name,
            format!("queue {queue}"),
            none(),
            none(),
            none(),
            none(),
            waiting,
            claimed,
        ];
    }
    let breaker = item.get("breaker").and_then(Value::as_object).cloned().unwrap_or_default();
    let of = |key: &str| text(&breaker, key);
    let again = Some(of("retry_at")).filter(|at| !at.is_empty()).map(|at| second(&at));
    let again = again.unwrap_or_default();
    let none = String::new;
    vec![name, of("service"), of("state"), of("calls"), of("failed"), again, none(), none()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_shows_the_breaker_of_a_service_or_what_waits_in_a_queue() {
        let told = |item: Value| row(item.as_object().expect("a row")).join("|");
        let breaker = json!({"service": "payment", "state": "closed", "calls": 7, "failed": 1, "retry_at": null});
        let here = json!({"name": "charge", "remote": false, "queue": null, "waiting": 0, "claimed": 0, "breaker": breaker});
        assert_eq!(told(here), "charge|payment|closed|7|1|||");
        let there = json!({"name": "tell", "remote": true, "queue": "far", "waiting": 2, "claimed": 1, "breaker": null});
        assert_eq!(told(there), "tell|queue far|||||2|1");
    }
}
