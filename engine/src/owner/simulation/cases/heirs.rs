//! Runs that go on in others, and what is for them.

use std::sync::Arc;

use hansom_core::{Event, Payload, Timestamp, Workflow};
use tokio::sync::oneshot::channel;

use super::super::contracts;
use super::super::saga::{Saga, Step};
use super::super::worker::Worker;
use super::stage::{RUN, SECOND, Stage};
use crate::address::Address;
use crate::owner::{Message, NewStart, Owner};

/// One runs a while, and goes on; and again, so that there are three. What was read of its inbox
/// after it went on so many times is told to who owns it next; then, what is read now.
fn heard_in_the_end(times: u32) -> Vec<String> {
    let again = [Step::Sleep(1_000), Step::Continue(false)];
    let end = [Step::Hear(600_000), Step::Wait];
    let mut stage = Stage::new(&[&again[..], &again[..], &end[..]].concat());
    let mut one = stage.owner();
    for n in 1..=2 {
        let (key, payload) = (format!("signal:{n}"), Some(n.to_string()));
        stage.database.send(&stage.address, key, Some("ping".to_owned()), payload);
    }
    let parts = [stage.address.part];
    let mut before = stage.database.read_inbox(&parts, 1);
    for time in 1..=2 {
        stage.wait(SECOND);
        one.owner.ring(stage.now());
        stage.commit(&mut one);
        stage.commit(&mut one);
        if time == times {
            before = stage.database.read_inbox(&parts, 1);
        }
    }
    let latest = stage.database.latest(stage.address.part, &stage.address.workflow_id);
    let heir = Arc::clone(&latest.unwrap().address);
    assert_eq!(heir.run_no, 3, "it went on in others");
    stage.database.bury(one.name, false);
    // It had read the inbox when the partition was its own before, and hears of that only now.
    let mut two = Worker::join(9, &stage.registry, &mut stage.database);
    two.gain(&stage.database.claim(9, 9));
    let after = stage.database.read_inbox(&parts, 9);
    for (message, heir) in before.into_iter().chain(after) {
        two.owner.message(message, heir, stage.now());
    }
    stage.look(&mut two);
    stage.look(&mut two);
    let heard = stage.database.events(heir.run).filter_map(|event| match event {
        Event::Signalled { id, .. } => Some(id.clone()),
        _ => None,
    });
    heard.collect()
}

#[test]
fn what_was_read_before_a_run_went_on_is_heard_before_what_is_read_after() {
    for times in 0..=2 {
        assert_eq!(heard_in_the_end(times), ["1", "2"], "{times}");
    }
}

#[test]
fn what_was_sent_to_a_start_that_went_on_at_once_and_lost_its_id_does_not_wait_for_ever() {
    let (mut owner, now) = (Owner::new(Arc::new(contracts::registry()), 4, 1), Timestamp(1));
    owner.gain(0, true);
    let (namespace, workflow_id) = ("default".into(), "w".into());
    let address = Address { part: 0, run: RUN, namespace, workflow_id, run_no: 1 };
    let input = Payload::of(&[Step::Continue(false), Step::Wait]).unwrap();
    let (reply, _answer) = channel();
    owner.start(
        NewStart {
            address: address.clone(),
            workflow_type: Saga::NAME.to_owned(),
            events: vec![Event::started(input)],
            labels: None,
            reply,
            permit: None,
        },
        now,
    );
    assert_eq!(owner.seal().unwrap().kin.heirs.len(), 1, "it went on at once");
    let (key, name) = ("signal:1".to_owned(), Some("ping".to_owned()));
    let payload = Some("1".to_owned());
    owner.message(Message { address: Arc::new(address), key, name, payload }, None, now);
    owner.committed(&[RUN], now);
    let next = owner.seal().expect("what nobody can hear is taken from the inbox");
    assert_eq!(next.consumed.len(), 1);
}
