//! Runs that go on in others, and what is for them.

use std::sync::Arc;

use hansom_core::Event;

use super::super::saga::Step;
use super::super::worker::Worker;
use super::stage::{RUN, SECOND, Stage};

#[test]
fn what_was_read_before_its_run_went_on_is_heard_before_what_was_read_after() {
    let mut stage =
        Stage::new(&[Step::Sleep(1_000), Step::Continue(false), Step::Hear(600_000), Step::Wait]);
    let mut one = stage.owner();
    for n in 1..=2 {
        let (key, payload) = (format!("signal:{n}"), Some(n.to_string()));
        stage.database.send(&stage.address, key, Some("ping".to_owned()), payload);
    }
    let parts = [stage.address.part];
    let before = stage.database.read_inbox(&parts, 1);
    assert!(matches!(&before[..], [(_, None)]));
    stage.wait(SECOND);
    one.owner.ring(stage.now());
    stage.commit(&mut one);
    let latest = stage.database.latest(stage.address.part, &stage.address.workflow_id);
    let heir = Arc::clone(&latest.unwrap().address);
    assert_ne!(heir.run, RUN, "it went on in another");
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
        Event::Signalled { id, .. } => Some(id.as_str()),
        _ => None,
    });
    assert_eq!(heard.collect::<Vec<_>>(), ["1", "2"]);
}
