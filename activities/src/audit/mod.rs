//! The books of the services, side by side with what the sagas say of themselves.
//!
//! All of it is read in the caller's transaction: in one snapshot a saga that is closed has
//! done, or undone, all that it ever will.

mod store;

use sqlx::PgConnection;

use self::store::Store;
use crate::StoreError;

/// What the services have on account of one workflow.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Holding {
    /// The workflow, as the façade calls it.
    pub workflow_id: String,
    /// Of a `taxi_call`, which stays one run: that run. Who starts one without the façade may
    /// call it otherwise.
    pub run: Option<String>,
    /// What is counted: `KRW`, in whole won, or `points`.
    pub currency: String,
    /// What was taken.
    pub taken: i64,
    /// What was given back.
    pub given_back: i64,
    /// What was earned by what was completed.
    pub earned: i64,
    /// What is reserved for it, and must not be once it is closed.
    pub held: Option<String>,
    /// What it may keep if it completed, and not otherwise.
    pub kept: Option<String>,
}

impl Holding {
    /// What was taken, and neither given back nor earned. Not zero while it is under way.
    pub fn open(&self) -> i128 {
        i128::from(self.taken) - i128::from(self.given_back) - i128::from(self.earned)
    }
}

/// The holdings of a snapshot, some at a time.
pub struct Holdings<'a>(Store<'a>);

impl<'a> Holdings<'a> {
    /// In a transaction, whose isolation is repeatable read.
    pub async fn open(transaction: &'a mut PgConnection) -> Result<Self, StoreError> {
        Store::open(transaction).await.map(Self)
    }

    /// The next of them; none at the end.
    pub async fn next(&mut self) -> Result<Vec<Holding>, StoreError> {
        self.0.next().await
    }

    /// The transaction, for who reads something else between.
    pub fn transaction(&mut self) -> &mut PgConnection {
        self.0.transaction()
    }

    /// What is wrong with the books whoever is asked, one line each: a balance below zero, or
    /// one that is not the sum of its entries.
    pub async fn wrong(&mut self) -> Result<Vec<String>, StoreError> {
        self.0.wrong().await
    }
}
