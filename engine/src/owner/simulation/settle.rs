//! In the end no worker is lost any more, and no commit; and an operator looks at what is stuck.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use hansom_core::Status;
use rand::RngExt;

use super::worker::Luck;
use super::{World, checks, saga};

impl World {
    /// Everything comes to its end.
    pub(super) fn settle(&mut self) {
        self.database.crowded = false;
        for round in 0..2_000 {
            // For a while, as before.
            saga::be_clumsy(round < 40 && self.mood.clumsy == 10);
            for at in 0..2 {
                self.settle_worker(at);
                self.settle_beyond(at);
                self.hear_answers(at);
            }
            let late = self.database.start_late();
            self.tally.saw_times("a child is late", late);
            if round % 10 == 0 {
                self.operate();
            }
            let busy = self.database.rows().any(|row| !row.cached.status.is_closed());
            if !busy && self.database.inbox_is_empty() && round > 10 {
                return self.nothing_is_held();
            }
            // First what is near, then what sleeps.
            self.database.pass(Duration::from_millis(if round < 40 { 1_500 } else { 9_000 }));
        }
        let open = self.database.rows().filter(|row| !row.cached.status.is_closed());
        for row in open {
            let history = self.database.history(row.address.run);
            eprintln!("open: {:?} {:?} {history:#?}", row.address, row.cached);
        }
        panic!("a run, or a message, is forgotten");
    }

    fn nothing_is_held(&self) {
        for worker in &self.workers {
            assert!(worker.owner.holds_nothing(), "a step of a run that is over is held back");
        }
    }

    fn settle_worker(&mut self, at: usize) {
        let (now, database) = (self.now_of(at), &mut self.database);
        let worker = &mut self.workers[at];
        if worker.fenced || database.is_buried(worker.name) {
            self.names += 1;
            worker.join_anew(self.names, database);
        }
        worker.move_release(false, database);
        worker.gain(&database.claim(worker.name, 2));
        worker.send_for_runs(database, &mut self.tally);
        worker.poll(database);
        worker.scan(database, now);
        while worker.errands() > 0 {
            worker.arrive(0, now);
        }
        worker.owner.ring(now);
        worker.owner.evict(now);
        for _ in 0..self.workers[at].attempts.len() {
            self.perform(at, 0, false);
        }
        let (worker, database) = (&mut self.workers[at], &mut self.database);
        for _ in 0..2 {
            worker.seal();
            worker.commit(Luck::Good, now, database, &mut self.tally);
        }
    }

    /// What is stuck goes on, or back; what waits for nobody goes back.
    fn operate(&mut self) {
        let stuck = self.database.rows().filter(|row| row.cached.status == Status::Stuck);
        for to in stuck.map(|row| Arc::clone(&row.address)).collect::<Vec<_>>() {
            self.runs += 1;
            let key = match self.random.random_range(0..8) {
                0 => "cancel".to_owned(),
                _ => format!("retry:{}", self.runs),
            };
            self.database.send(&to, key, None, None);
        }
        if self.mood.deserted {
            // Once is enough.
            for to in self.database.runs_that_wait_elsewhere() {
                self.database.send(&to, "cancel".to_owned(), None, None);
            }
        }
    }

    pub(super) fn check(&mut self) {
        self.database.sweep_tasks();
        assert!(!self.database.has_tasks(), "nothing is left of what is over");
        assert_eq!(self.database.alarms(), 0, "nothing rings for what is over");
        let runs: HashSet<_> = self.database.rows().map(|row| row.address.run).collect();
        assert!(self.acknowledged.is_subset(&runs), "every start that was answered exists");
        for row in self.database.rows() {
            self.tally.saw(match row.cached.status {
                Status::Completed => "completed",
                Status::Failed => "failed",
                Status::Cancelled => "cancelled",
                Status::Terminated => "terminated",
                Status::Continued => "continued",
                status => panic!("it is {status:?}"),
            });
        }
        self.tally.saw_times("a body panics", saga::stumbles());
        saga::be_clumsy(false);
        checks::check(&self.database, &self.registry, &self.services, &mut self.tally);
    }
}
