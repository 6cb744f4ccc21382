//! What views are told of a run, and what their rows say.

use std::marker::PhantomData;

use hansom_core::{
    Call, ChildOutcome, Fact, Fold, Ledger, Machine, Origin, Owed, Patch, Payload, Seq, Signal,
    SignalType, Status, Timestamp, Update, UpdateType, View, ViewType, Workflows,
};
use serde_json::json;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("full")]
struct Full;

activity!(Reserve, "reserve", u64, Full);
activity!(Free, "free", (), Never);

#[derive(Serialize, Deserialize)]
struct Knock(u64);
impl Signal for Knock {
    const NAME: &'static str = "knock";
}

#[derive(Serialize, Deserialize)]
struct Ask(u64);
impl Update for Ask {
    const NAME: &'static str = "ask";
    type Output = u64;
    type Error = Never;
}

/// Reserves, charges, has a child do its part, waits for a knock, and asks for it to be freed.
struct Stay;
impl Workflow for Stay {
    const NAME: &'static str = "stay";
    const ACTIVITIES: &'static [&'static str] =
        &["book", "unbook", "charge", "refund", "look", "reserve", "free"];
    const SIGNALS: &'static [SignalType] = &[SignalType::of::<Knock>()];
    const UPDATES: &'static [UpdateType] = &[UpdateType::of::<Ask>()];
    type Input = i64;
    type Output = u64;
    type Error = ActivityError<Full>;
    async fn run(ctx: Ctx, _: i64) -> Result<u64, Self::Error> {
        let room = ctx.run(Reserve).undo(Free).await?;
        let charge = ctx.run(Charge).undo(Refund).on_unknown(OnUnknown::Verify);
        let lost = |_| ActivityError::Refused(Full);
        charge.await.map_err(lost)?;
        ctx.child::<Probed>("child", &()).await.map_err(|_| ActivityError::Refused(Full))?;
        ctx.signals::<Knock>().next().await;
        Ok(room)
    }
}

/// Writes down all that it is told.
struct Diary<W>(PhantomData<W>);
impl<W: Workflow<Input = i64>> View for Diary<W> {
    const NAME: &'static str = "diary";
    type Workflow = W;
    fn key(input: &i64) -> i64 {
        *input
    }
    fn start(input: &i64) -> Patch {
        Patch::new().set("input", input).set("told", json!([]))
    }
    fn on(fact: &Fact<'_>) -> Option<Patch> {
        let mut told: Vec<String> = fact.field("told")?;
        told.push(line(fact)?);
        Some(Patch::new().set("told", told).set("at", fact.at().0))
    }
}

fn line(fact: &Fact<'_>) -> Option<String> {
    let done = fact.done::<Reserve>().map(|(_, room)| format!("reserved {room}"));
    done.or_else(|| fact.done::<Charge>().map(|(_, paid)| format!("charged {paid}")))
        .or_else(|| fact.refused::<Reserve>().map(|(_, why)| format!("reserve refused: {why}")))
        .or_else(|| fact.given_up::<Charge>().map(|_| "charge given up".to_owned()))
        .or_else(|| fact.given_up::<Reserve>().map(|_| "reserve given up".to_owned()))
        .or_else(|| fact.undone::<Free>().map(|_| "freed".to_owned()))
        .or_else(|| fact.undone::<Refund>().map(|_| "refunded".to_owned()))
        .or_else(|| fact.undone::<Unbook>().map(|_| "unbooked".to_owned()))
        .or_else(|| fact.signal::<Knock>().map(|knock| format!("knock {}", knock.0)))
        .or_else(|| fact.update::<Ask>().map(|ask| format!("ask {}", ask.0)))
        .or_else(|| fact.asked::<Reserve>().map(|_| "asked to reserve".to_owned()))
        .or_else(|| fact.closed().map(|status| format!("{status:?}")))
}

fn told(script: &Script<Stay>) -> Vec<String> {
    let row = script.row::<Diary<Stay>>().unwrap();
    serde_json::from_value(row["told"].clone()).unwrap()
}

fn reserved() -> Script<Stay> {
    Script::<Stay>::start(&7).complete::<Reserve>(&12)
}

#[test]
fn a_row_begins_with_its_start_and_hears_of_answers_and_messages() {
    let script = Script::<Stay>::start(&7);
    assert_eq!(script.row::<Diary<Stay>>().unwrap()["input"], 7);
    let script = script.complete::<Reserve>(&12).signal(&Knock(3)).update("a", &Ask(4));
    let script = script.complete::<Charge>(&99).complete_child::<Probed>("child", &7, Vec::new());
    let story = ["asked to reserve", "reserved 12", "knock 3", "ask 4", "charged 99", "Completed"];
    assert_eq!(told(&script), story);
}

#[test]
fn a_refusal_and_what_is_given_up_are_not_done_and_an_undo_is_not_an_action() {
    let script = Script::<Stay>::start(&7).refuse::<Reserve>(Full);
    assert_eq!(told(&script), ["asked to reserve", "reserve refused: full", "Failed"]);
    let script = Script::<Stay>::start(&7).lose::<Reserve>().complete::<Free>(&());
    assert_eq!(told(&script), ["asked to reserve", "reserve given up", "freed", "Failed"]);
    let script = reserved().cancel().complete::<Charge>(&99);
    assert_eq!(
        told(&script)[2..],
        ["charged 99"],
        "what was in flight is heard of while it unwinds"
    );
    let script = script.complete::<Refund>(&()).lose::<Free>();
    assert_eq!(told(&script)[3..], ["refunded"], "an undo that stays owed is not done");
    assert_eq!(told(&script.retry().complete::<Free>(&()))[4..], ["freed", "Cancelled"]);
    assert_eq!(told(&reserved().terminate())[2..], ["Terminated"]);
}

#[test]
fn what_only_its_probe_knows_is_told_of_the_action() {
    let asked = reserved().exhaust::<Charge>();
    assert_eq!(told(&asked).len(), 2, "that it is looked for is nothing yet");
    assert_eq!(told(&asked.find_done::<Look>(&99))[2..], ["charged 99"]);
    let not_done = reserved().exhaust::<Charge>().find_not_done::<Look>();
    assert_eq!(told(&not_done.complete::<Free>(&()))[2..], ["charge given up", "freed", "Failed"]);
}

#[test]
fn what_a_child_did_and_its_parent_undoes_is_undone() {
    let undo = Call { activity: "unbook".to_owned(), request: Payload::of(&()).unwrap() };
    let origin = Some(Origin { workflow_id: "child".to_owned(), run: "c".to_owned() });
    let because = hansom_core::Because::Done;
    let owed = vec![Owed { of: Seq(0), origin, undo, because }];
    let script = reserved().complete::<Charge>(&99);
    let script = script.complete_child::<Probed>("child", &7, owed).cancel();
    let script = script.complete::<Unbook>(&()).complete::<Refund>(&()).complete::<Free>(&());
    assert_eq!(told(&script)[3..], ["unbooked", "refunded", "freed", "Cancelled"]);
    let failed = reserved().complete::<Charge>(&99).close_child("child", ChildOutcome::Taken {});
    assert_eq!(told(&failed)[2..], ["charged 99"], "a child itself is none of these facts");
}

/// Asks for a room, and gives up before anybody could hear of it.
struct Hasty;
impl Workflow for Hasty {
    const NAME: &'static str = "hasty";
    const ACTIVITIES: &'static [&'static str] = &["reserve", "free"];
    type Input = i64;
    type Output = u64;
    type Error = ActivityError<Full>;
    async fn run(ctx: Ctx, _: i64) -> Result<u64, Self::Error> {
        let impatient = async { Err(ActivityError::Refused(Full)) };
        match ctx.select(ctx.run(Reserve).undo(Free), impatient).await {
            Either::Left(reserved) => reserved,
            Either::Right(over) => over,
        }
    }
}

/// The same run, told to its views as it happens.
fn live<W: Workflow<Input = i64>>(history: &[(Timestamp, Vec<hansom_core::Event>)]) -> Fold {
    let mut fold = Fold::new([ViewType::of::<Diary<W>>()].into());
    let mut machine = Machine::new(Some(hansom_core::WorkflowType::of::<W>()), 7);
    for (at, events) in history {
        fold.see(machine.ledger(), &events[0], *at);
        machine.deliver(events[0].clone(), *at);
        machine.take_with(*at, |ledger, event| assert_eq!(fold.see(ledger, event, *at), []));
    }
    fold
}

fn again<W: Workflow<Input = i64>>(history: &[(Timestamp, Vec<hansom_core::Event>)]) -> Fold {
    let mut fold = Fold::new([ViewType::of::<Diary<W>>()].into());
    let mut ledger = Ledger::default();
    for (at, events) in history {
        fold.recall(&mut ledger, (*at, events));
    }
    fold
}

#[test]
fn rows_are_the_same_as_it_happens_and_from_history() {
    let script = Script::<Hasty>::start(&7);
    let row = script.row::<Diary<Hasty>>().unwrap();
    assert_eq!(row["told"], json!(["asked to reserve", "reserve given up", "Failed"]));
    let mut fold = live::<Hasty>(script.history());
    assert_eq!(fold.rows().next(), again::<Hasty>(script.history()).rows().next());
    let (place, changed) = fold.take_changed().next().unwrap();
    let events = script.history().iter().map(|(_, events)| events.len()).sum::<usize>();
    assert_eq!((place, changed.key, changed.position), (0, 7, u32::try_from(events).unwrap()));
    assert_eq!(fold.take_changed().count(), 0, "it has not changed since");
    let script = reserved().wait(HOUR).signal(&Knock(3)).complete::<Charge>(&1).cancel();
    let script = script.close_child("child", ChildOutcome::Cancelled {});
    let script = script.complete::<Refund>(&()).complete::<Free>(&());
    assert_eq!(script.ledger().status(), Status::Cancelled);
    let live = live::<Stay>(script.history());
    assert_eq!(live.rows().next(), again::<Stay>(script.history()).rows().next());
    assert_eq!(live.rows().next().unwrap().fields["at"], 3_600_000_000_i64);
}

/// Panics at a knock, and takes the answer to a reservation for something else.
struct Clumsy;
impl View for Clumsy {
    const NAME: &'static str = "clumsy";
    type Workflow = Stay;
    fn key(input: &i64) -> i64 {
        *input
    }
    fn start(input: &i64) -> Patch {
        assert!(*input > 0, "no such room");
        Patch::new().set("said", "a")
    }
    fn on(fact: &Fact<'_>) -> Option<Patch> {
        #[derive(Serialize, Deserialize)]
        struct Rude(String);
        impl Activity for Rude {
            const NAME: &'static str = "reserve";
            type Output = String;
            type Error = Never;
        }
        if fact.signal::<Knock>().is_some() {
            return Some(Patch::new().set("said", "a\0b"));
        }
        fact.done::<Rude>().map(|(_, said)| Patch::new().set("said", said))
    }
}

#[test]
fn what_a_view_cannot_mean_changes_nothing_and_is_said() {
    let history = reserved().signal(&Knock(1)).history().to_vec();
    let mut fold = Fold::new([ViewType::of::<Clumsy>()].into());
    let mut ledger = Ledger::default();
    let faults = history.iter().flat_map(|(at, events)| fold.recall(&mut ledger, (*at, events)));
    let faults: Vec<_> = faults.map(|fault| fault.to_string()).collect();
    assert!(faults[0].starts_with("view clumsy at event 2: reserve: invalid type"), "{faults:?}");
    let nul = "view clumsy at event 4: field said: a text has a NUL (\\u0000)";
    assert_eq!(faults[1..], [nul]);
    assert_eq!(fold.rows().next().unwrap().fields["said"], "a");
    let nowhere = Script::<Stay>::start(&0).complete::<Reserve>(&1);
    let mut fold = Fold::new([ViewType::of::<Clumsy>()].into());
    let (at, events) = &nowhere.history()[0];
    let faults = fold.recall(&mut Ledger::default(), (*at, events));
    assert_eq!(faults[0].to_string(), "view clumsy at event 0: no such room");
    assert_eq!(fold.rows().count(), 0, "it has no row");
}

/// Counts whatever it is told.
struct Count;
impl View for Count {
    const NAME: &'static str = "count";
    type Workflow = Stay;
    fn key(input: &i64) -> i64 {
        *input
    }
    fn start(_: &i64) -> Patch {
        Patch::new().set("told", 0)
    }
    fn on(fact: &Fact<'_>) -> Option<Patch> {
        Some(Patch::new().set("told", fact.field::<u64>("told")? + 1))
    }
}

#[test]
fn what_happens_between_two_attempts_is_told_to_no_view() {
    let told = |script: &Script<Stay>| script.row::<Count>().unwrap()["told"].as_u64().unwrap();
    let before = told(&reserved());
    let held = reserved().hold_back::<Charge>().hold_back::<Charge>();
    assert_eq!(told(&held), before);
    assert_eq!(told(&held.fire().signal(&Knock(1))), before + 1);
}

#[test]
fn views_are_found_by_name_and_by_type_and_one_name_is_one_view() {
    let views = || Workflows::default().with::<Stay>().view::<Diary<Stay>>().view::<Clumsy>();
    let both = Workflows::default().and(views());
    assert_eq!(both.views_of("stay").unwrap().len(), 2);
    assert_eq!(both.find_view("clumsy").unwrap().workflow, "stay");
    assert!(both.views_of("hasty").is_none() && both.views_twice().next().is_none());
    let twice: Vec<_> = both.view::<Diary<Hasty>>().views_twice().collect();
    assert_eq!(twice, ["diary"]);
}
