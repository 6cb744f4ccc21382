//! What a saga needs of the payment service, which is shared by all systems.
//!
//! What is paid for has an account: the id of the workflow that pays. An account is charged
//! once at most, by the run that charged it first.

use hansom_core::{Activity, ActivityOptions, Never, Probe, Verdict};
use serde::{Deserialize, Serialize};

use crate::patience::synchronous;

/// An amount of money, in whole Korean won.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Won(pub i64);

impl Won {
    /// Nothing that is paid for here is dearer.
    pub const MOST: Self = Self(1_000_000_000);
}

/// A payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentId(pub i64);

/// Who pays, as the payment service knows them: a token that means nothing to anybody else. Never
/// the number of a card: what a saga is told stays in its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payer(pub String);

/// Take an amount. Undone by [`Refund`].
///
/// An account that was charged is not charged again: the same amount is answered with the same
/// payment. A step that was declined, or that a probe found not done, stays so however late an
/// attempt of it comes; a step that its run asks for afterwards may still charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The workflow id of what is paid for.
    pub account: String,
    /// Who pays.
    pub payer: Payer,
    /// How much; above 0.
    pub amount: Won,
}

/// The payment service says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Declined {
    /// The card is not good for it. Final for this step; another may try another card.
    #[error("the card was declined")]
    Card,
    /// The account is charged, with another amount. Final.
    #[error("{} won were charged already", .0.0)]
    Charged(Won),
    /// The account was refunded or voided, or it belongs to another run. Final.
    #[error("the account is closed")]
    Closed,
}

impl Activity for Charge {
    const NAME: &'static str = "charge";
    type Output = PaymentId;
    type Error = Declined;

    fn options() -> ActivityOptions {
        synchronous()
    }

    fn probe(&self) -> Option<Probe<Self>> {
        Some(Probe::ask(&WasCharged { account: self.account.clone(), amount: self.amount }))
    }
}

/// Whether this run has charged the account with this amount. If not, the step that is asked
/// about and the ones before it never will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasCharged {
    /// As in [`Charge`].
    pub account: String,
    /// As in [`Charge`].
    pub amount: Won,
}

impl Activity for WasCharged {
    const NAME: &'static str = "was_charged";
    type Output = Verdict<PaymentId>;
    type Error = Never;

    fn options() -> ActivityOptions {
        synchronous()
    }
}

/// Give back what this run took, once; whether it took anything or not, it never will again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// As in [`Charge`].
    pub account: String,
}

impl Activity for Refund {
    const NAME: &'static str = "refund";
    type Output = ();
    type Error = Never;
}
