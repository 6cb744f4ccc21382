//! The services of the ride as models: they keep the rules of the real ones.

use std::collections::{BTreeMap, BTreeSet};

use hansom_core::testing::exhaust::Visit;
use hansom_core::{Failure, Seq, Verdict};
use hansom_workflows::anycall_ride::{AssignTaxi, CallTaken, RecordTrip, TripCount};
use hansom_workflows::payment::{Charge, Declined, PaymentId, WasCharged, Won};

/// What the services remember of the one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct World {
    pub(super) call: Option<Owned<CallStatus>>,
    pub(super) dispatch: Option<Owned<Dispatch>>,
    pub(super) account: Account,
    /// Keys of the messages that were delivered.
    pub(super) told: BTreeSet<String>,
    pub(super) trips: BTreeMap<String, Won>,
}

/// A row belongs to the run that wrote it first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owned<T> {
    pub(super) run: String,
    pub(super) row: T,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CallStatus {
    Called,
    Cancelled,
    Reviewed,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Dispatch {
    pub(super) closed: bool,
    pub(super) has_member: bool,
    pub(super) taxi: Option<String>,
    /// None will be assigned any more.
    pub(super) never_assigned: bool,
    pub(super) status: TaxiStatus,
    pub(super) pay_amt: Option<Won>,
    pub(super) score: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub(super) enum TaxiStatus {
    #[default]
    Free,
    Assigned,
    Started,
    Ended,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Account {
    pub(super) charged: Option<Won>,
    pub(super) refunded: Option<Won>,
    pub(super) void: bool,
    /// What comes of this step, or of one before it, is refused.
    pub(super) barred: Option<Seq>,
}

impl World {
    pub(super) fn place(&mut self, visit: &Visit<'_>) -> Result<(), Failure<CallTaken>> {
        let ours = Owned { run: visit.run.clone(), row: CallStatus::Called };
        let row = self.call.get_or_insert(ours);
        if row.run == visit.run { Ok(()) } else { Err(Failure::Refused(CallTaken)) }
    }

    /// A call that is cancelled or reviewed stays so.
    pub(super) fn mark(&mut self, to: CallStatus, visit: &Visit<'_>) {
        let ours = self.call.as_mut().filter(|row| row.run == visit.run);
        if let Some(row) = ours.filter(|row| row.row == CallStatus::Called) {
            row.row = to;
        }
    }

    pub(super) fn withdraw(&mut self, visit: &Visit<'_>) {
        let tombstone = Owned { run: visit.run.clone(), row: CallStatus::Cancelled };
        self.call.get_or_insert(tombstone);
        self.mark(CallStatus::Cancelled, visit);
    }

    pub(super) fn open(&mut self, visit: &Visit<'_>) {
        let row = Dispatch::default();
        self.dispatch.get_or_insert(Owned { run: visit.run.clone(), row });
    }

    pub(super) fn close(&mut self, visit: &Visit<'_>) {
        self.open(visit);
        self.taxi(visit, |taxi| taxi.closed = true);
    }

    /// Changes the dispatch, if it is this run's.
    pub(super) fn taxi(&mut self, visit: &Visit<'_>, change: impl FnOnce(&mut Dispatch)) {
        if let Some(ours) = self.dispatch.as_mut().filter(|row| row.run == visit.run) {
            change(&mut ours.row);
        }
    }

    pub(super) fn assign(&mut self, ask: AssignTaxi, visit: &Visit<'_>) {
        self.taxi(visit, |taxi| {
            if !taxi.closed && !taxi.never_assigned && taxi.taxi.is_none() {
                taxi.taxi = Some(ask.taxi.taxi_number);
                taxi.status = TaxiStatus::Assigned;
            }
        });
    }

    pub(super) fn unassign(&mut self, visit: &Visit<'_>) {
        self.taxi(visit, |taxi| {
            (taxi.taxi, taxi.status, taxi.never_assigned) = (None, TaxiStatus::Free, true);
        });
    }

    /// From one status to the next, and not back.
    pub(super) fn moves(&mut self, from: TaxiStatus, to: TaxiStatus, visit: &Visit<'_>) {
        self.taxi(visit, |taxi| {
            if taxi.status == from {
                taxi.status = to;
            }
        });
    }

    pub(super) fn record(&mut self, ask: RecordTrip, visit: &Visit<'_>) -> TripCount {
        self.trips.entry(visit.workflow_id.clone()).or_insert(ask.pay_amt);
        TripCount(i64::try_from(self.trips.len()).expect("a few"))
    }

    pub(super) fn charge(
        &mut self,
        ask: &Charge,
        visit: &Visit<'_>,
    ) -> Result<PaymentId, Failure<Declined>> {
        let account = &mut self.account;
        let refused = match account.charged {
            _ if account.void => Declined::Closed,
            Some(amount) if amount == ask.amount => return Ok(PaymentId(5)),
            Some(amount) => Declined::Charged(amount),
            None if account.barred >= Some(visit.seq) => Declined::Card,
            None if visit.happens("the card is declined") => {
                account.barred = Some(visit.seq);
                Declined::Card
            }
            None => {
                account.charged = Some(ask.amount);
                return Ok(PaymentId(5));
            }
        };
        Err(Failure::Refused(refused))
    }

    pub(super) fn was_charged(
        &mut self,
        ask: &WasCharged,
        visit: &Visit<'_>,
    ) -> Verdict<PaymentId> {
        let account = &mut self.account;
        if account.charged == Some(ask.amount) && !account.void {
            return Verdict::Done(PaymentId(5));
        }
        account.barred = account.barred.max(Some(visit.seq));
        Verdict::NotDone
    }

    pub(super) fn refund(&mut self) {
        self.account.void = true;
        self.account.refunded = self.account.charged;
    }

    /// What was taken and not given back.
    pub(super) fn kept(&self) -> i64 {
        let won = |amount: Option<Won>| amount.map_or(0, |amount| amount.0);
        won(self.account.charged) - won(self.account.refunded)
    }

    pub(super) fn status(&self) -> TaxiStatus {
        self.dispatch.as_ref().map_or(TaxiStatus::Free, |row| row.row.status)
    }

    /// Whether the taxis see a call that none has.
    pub(super) fn is_offered(&self) -> bool {
        let offered = |taxi: &Dispatch| taxi.has_member && taxi.taxi.is_none() && !taxi.closed;
        self.dispatch.as_ref().is_some_and(|row| offered(&row.row))
    }
}
