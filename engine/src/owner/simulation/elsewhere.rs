//! Whoever carries attempts to where they are claimed, and whoever performs them there.

use std::collections::VecDeque;

use hansom_core::{Attempt, Direction};
use rand::RngExt;

use super::super::remote::{Elsewhere, Outcome};
use super::World;
use super::database::{Claim, Database, WorkerId};
use super::tally::Tally;
use super::worker::{Luck, Worker};

/// On its way from a lane to the rows, in the order of commits; each with how many those are.
#[derive(Default)]
pub(super) struct Outbox {
    work: VecDeque<(WorkerId, Elsewhere, u64)>,
    pub(super) sent: u64,
    pub(super) carried: u64,
}

/// The world beyond the workers.
#[derive(Default)]
pub(super) struct Beyond {
    claims: Vec<Claim>,
    /// What a worker that was killed had sent, and what has not arrived yet.
    late: Vec<(WorkerId, Elsewhere)>,
}

impl Outbox {
    pub(super) fn send(&mut self, name: WorkerId, elsewhere: Elsewhere) {
        if !elsewhere.is_empty() {
            self.sent += 1;
            self.work.push_back((name, elsewhere, 1));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.work.is_empty()
    }

    /// What was committed under one name goes together from here on.
    pub(super) fn gather(&mut self) {
        let Some((name, mut first, mut count)) = self.work.pop_front() else { return };
        while let Some((_, next, more)) = self.work.pop_front_if(|(next, ..)| *next == name) {
            first.extend(next);
            count += more;
        }
        self.work.push_front((name, first, count));
    }
}

impl Worker {
    /// What was committed first arrives; now and then nobody hears of it, and it is sent again.
    pub(super) fn carry(&mut self, luck: Luck, database: &mut Database, tally: &mut Tally) {
        let Some((name, elsewhere, count)) = self.outbox.work.front_mut() else { return };
        if luck == Luck::Cut {
            return;
        }
        let of = |elsewhere: &Elsewhere| {
            let offers = elsewhere.offers.iter();
            offers.map(|o| (o.address.run, o.seq, o.attempt)).collect()
        };
        let offered = of(elsewhere);
        elsewhere.keep_last();
        let written = database.carry(*name, elsewhere, tally);
        if luck == Luck::AnswerLost {
            return;
        }
        self.outbox.carried += *count;
        self.outbox.work.pop_front();
        self.offered(if written { offered } else { Vec::new() });
    }
}

impl World {
    /// Something happens where attempts are made elsewhere.
    pub(super) fn beyond(&mut self, at: usize) {
        match self.random.random_range(0..16) {
            0..6 => {
                let luck = self.luck();
                self.workers[at].carry(luck, &mut self.database, &mut self.tally);
            }
            6 => self.workers[at].outbox.gather(),
            7..10 => self.claim(),
            10..13 if !self.beyond.claims.is_empty() && self.is_lively() => {
                let index = self.random.random_range(0..self.beyond.claims.len());
                let again = self.chance(1, 8);
                self.settle_claim(index, again);
            }
            13 => {
                let expired = self.database.expire_tasks();
                self.tally.saw_times("expired", expired);
            }
            14 => self.database.sweep_tasks(),
            15 if !self.beyond.late.is_empty() => {
                let index = self.random.random_range(0..self.beyond.late.len());
                let (name, elsewhere) = self.beyond.late.swap_remove(index);
                self.database.carry(name, &elsewhere, &mut self.tally);
            }
            _ => {}
        }
    }

    /// A worker is killed: what it was sending, one thing at a time, may arrive yet.
    pub(super) fn leave_behind(&mut self, outbox: Outbox) {
        let work = outbox.work.into_iter().take(usize::from(self.chance(1, 2)));
        self.beyond.late.extend(work.map(|(name, elsewhere, _)| (name, elsewhere)));
    }

    fn claim(&mut self) {
        let (deserted, random) = (self.mood.deserted, &mut self.random);
        let pick = |of: usize| random.random_range(0..of.max(1));
        let takes =
            |of: &hansom_core::ActivityContext| of.direction == Direction::Undo || !deserted;
        let claim = self.database.claim_task(takes, pick);
        self.tally.saw_times("claimed", usize::from(claim.is_some()));
        self.beyond.claims.extend(claim);
    }

    /// It is performed; `again` leaves it to be performed, and answered, once more.
    fn settle_claim(&mut self, index: usize, again: bool) {
        let claims = &mut self.beyond.claims;
        let claim = if again { claims[index].clone() } else { claims.swap_remove(index) };
        let luck = self.fortune();
        let outcome = match self.services.perform(&claim.activity, &claim.context, luck) {
            Attempt::Done(output) => Outcome::Done(output),
            Attempt::Refused(error) => Outcome::Refused(error),
            Attempt::Failed { reason, .. } | Attempt::Unavailable { reason, .. } => {
                Outcome::Failed { reason, retry_after: None }
            }
        };
        let settled = self.database.settle_task(&claim, &outcome);
        self.tally.saw(if settled { "settled" } else { "settled too late" });
    }

    /// Everything beyond comes to its end.
    pub(super) fn settle_beyond(&mut self, at: usize) {
        while !self.workers[at].outbox.is_empty() {
            self.workers[at].carry(Luck::Good, &mut self.database, &mut self.tally);
        }
        let expired = self.database.expire_tasks();
        self.tally.saw_times("expired", expired);
        for _ in 0..3 {
            self.claim();
        }
        while !self.beyond.claims.is_empty() {
            self.settle_claim(0, false);
        }
    }
}
