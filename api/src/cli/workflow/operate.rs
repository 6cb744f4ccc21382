//! What is asked of a workflow from outside its body: to cancel, to end, to try again.

use std::io::{self, BufRead, IsTerminal as _, Write};
use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;
use serde::Deserialize;

use super::super::output::{self, Format};
use super::super::{CliError, Exit};
use super::ServerArg;
use super::client::Rest;
use super::show;
use super::write::{accepted, object, quoted};

/// A server may wait so long until a workflow that is terminated has closed.
const CLOSING: Duration = Duration::from_secs(5);

/// What to cancel.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  hansom workflow cancel trip-7 --reason 'rider changed her mind'"
)]
pub(crate) struct CancelArgs {
    /// The workflow's id
    id: String,
    /// For its history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// What to terminate.
#[derive(Args, Debug)]
#[command(
    after_help = "Nothing is undone: what stays owed is listed first, and `undo-plan` goes on to tell it.\n\
    To undo what it did, cancel it instead.\n\n\
    Example:\n  hansom workflow terminate trip-7 --reason 'refunded by hand'"
)]
pub(crate) struct TerminateArgs {
    /// The workflow's id
    id: String,
    /// For its history
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    server: ServerArg,
}

/// What to try again.
#[derive(Args, Debug)]
#[command(
    after_help = "Undos that ran out of attempts, and steps that wait for a person, get all their attempts anew.\n\n\
    Example:\n  hansom workflow retry trip-7 --reason 'the bank is back'"
)]
pub(crate) struct RetryArgs {
    /// The workflow's id
    id: String,
    /// For its history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    server: ServerArg,
}

/// What stays owed.
#[derive(Deserialize)]
struct Plan {
    undos: Vec<Undo>,
}

#[derive(Deserialize)]
struct Undo {
    activity: String,
}

impl Plan {
    fn told(&self) -> String {
        let names: Vec<_> = self.undos.iter().map(|undo| output::plain(&undo.activity)).collect();
        match names.len() {
            0 => "nothing stays owed".to_owned(),
            1 => format!("1 undo stays owed: {}", names[0]),
            many => format!("{many} undos stay owed: {}", names.join(", ")),
        }
    }
}

pub(crate) async fn cancel(args: CancelArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let body: Vec<_> = args.reason.iter().map(|reason| ("reason", quoted(reason))).collect();
    let answer = rest.post(&[&args.id, "cancel"], &[], object(&body), Duration::ZERO).await?;
    accepted(&args.server, &answer.body, &args.id, "the cancellation is recorded")
}

pub(crate) async fn terminate(args: TerminateArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    if !args.yes {
        let plan = rest.get(&[&args.id, "undo-plan"], &[], Duration::ZERO).await?;
        let owed = plan.decode::<Plan>()?.told();
        let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        let answers = is_terminal.then(|| io::stdin().lock());
        confirm(&args.id, &owed, answers, &mut io::stderr().lock())?;
    }
    let body = object(&[("reason", quoted(&args.reason))]);
    let answer = rest.post(&[&args.id, "terminate"], &[], body, CLOSING).await?;
    match args.server.output {
        Format::Json | Format::Jsonl => output::bytes(&answer.body)?,
        Format::Ids => output::line(&args.id)?,
        Format::Table => {
            let plan: Plan = answer.decode()?;
            let how = match answer.status {
                StatusCode::ACCEPTED => "the termination is recorded",
                _ => "terminated",
            };
            output::note(&format!("{}: {how}; {}", args.id, plan.told()));
            if !plan.undos.is_empty() {
                show::undo_plan(&answer)?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// Asks whoever sits there; where nobody does, the flag has to say it.
fn confirm(
    id: &str,
    owed: &str,
    answers: Option<impl BufRead>,
    to: &mut impl Write,
) -> Result<(), CliError> {
    let refused = |what: &str| CliError::new(Exit::Usage, what.to_owned()).cause(owed.to_owned());
    let Some(mut answers) = answers else {
        let what = "nobody is there to be asked";
        return Err(refused(what).hint(format!("`--yes` terminates {id} without asking")));
    };
    let mut said = String::new();
    // Where nothing can be asked, nothing is answered.
    let _ = write!(to, "{owed}\nTerminate {id}, without undoing anything? [y/N] ")
        .and_then(|()| to.flush())
        .and_then(|()| answers.read_line(&mut said));
    match said.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(refused("not terminated")),
    }
}

pub(crate) async fn retry(args: RetryArgs) -> Result<Exit, CliError> {
    let rest = Rest::new(&args.server)?;
    let body: Vec<_> = args.reason.iter().map(|reason| ("reason", quoted(reason))).collect();
    let answer = rest.post(&[&args.id, "retry"], &[], object(&body), Duration::ZERO).await?;
    accepted(&args.server, &answer.body, &args.id, "it tries again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: Option<&str>) -> (Result<(), CliError>, String) {
        let mut said = Vec::new();
        let plan = Plan { undos: vec![Undo { activity: "refund".to_owned() }] };
        let done = confirm("trip-7", &plan.told(), answers.map(str::as_bytes), &mut said);
        (done, String::from_utf8(said).unwrap())
    }

    #[test]
    fn whoever_is_asked_sees_what_stays_owed_and_has_to_say_yes() {
        let (done, said) = asked(Some("y\n"));
        assert!(done.is_ok());
        assert!(said.contains("1 undo stays owed: refund") && said.contains("trip-7"), "{said}");
        for no in ["\n", "n\n", "yeah\n", ""] {
            assert_eq!(asked(Some(no)).0.unwrap_err().exit(), Exit::Usage, "{no:?}");
        }
    }

    #[test]
    fn where_nobody_can_be_asked_nothing_is_terminated() {
        let (done, said) = asked(None);
        assert_eq!((done.unwrap_err().exit(), said.as_str()), (Exit::Usage, ""));
    }
}
