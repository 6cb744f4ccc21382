//! Where an order is, as each service has it: the words are those of the documents' protocol.

use serde::{Deserialize, Serialize};

/// Who packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveType {
    /// The movers do.
    #[serde(rename = "포장")]
    Full,
    /// The customer does half of it.
    #[serde(rename = "반포장")]
    Half,
}

impl MoveType {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "포장",
            Self::Half => "반포장",
        }
    }

    /// From how it is stored and shown.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Full, Self::Half].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where an order is, for the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStatus {
    /// Taken; a mover is looked for.
    #[serde(rename = "호출")]
    Called,
    /// A mover comes.
    #[serde(rename = "호출확정")]
    Confirmed,
    /// Cancelled. Final.
    #[serde(rename = "호출취소")]
    Cancelled,
}

impl OrderStatus {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Called => "호출",
            Self::Confirmed => "호출확정",
            Self::Cancelled => "호출취소",
        }
    }

    /// From how it is stored and shown.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Called, Self::Confirmed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Where its request is, at the manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestStatus {
    /// Taken; a mover is looked for.
    #[serde(rename = "호출중")]
    Calling,
    /// A mover comes.
    #[serde(rename = "호출확정")]
    Confirmed,
    /// Cancelled. Final.
    #[serde(rename = "호출요청취소됨")]
    Cancelled,
}

impl RequestStatus {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calling => "호출중",
            Self::Confirmed => "호출확정",
            Self::Cancelled => "호출요청취소됨",
        }
    }

    /// From how it is stored and shown.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Calling, Self::Confirmed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Where its mover is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssignmentStatus {
    /// One was picked.
    #[serde(rename = "할당확정")]
    Assigned,
    /// Let go. Final.
    #[serde(rename = "할당취소")]
    Cancelled,
}

impl AssignmentStatus {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "할당확정",
            Self::Cancelled => "할당취소",
        }
    }

    /// From how it is stored and shown.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Assigned, Self::Cancelled].into_iter().find(|status| status.as_str() == text)
    }
}
