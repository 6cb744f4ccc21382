//! Where things are, in the words of the documents.

use serde::{Deserialize, Serialize};

/// An enum whose values are literals of the protocol.
macro_rules! literals {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $text)] $value,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// As it is stored, sent and shown.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }

            /// From how it is stored, sent and shown.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }
    };
}

literals! {
    /// `callStatus` of a call.
    CallStatus {
        /// Placed.
        Called = "택시호출",
        /// Cancelled, or given up. Final.
        Cancelled = "호출취소",
        /// Reviewed. Final.
        Reviewed = "서비스평가",
    }
}

literals! {
    /// `callStatus` of a taxi's row: of the dispatch.
    DispatchStatus {
        /// Shown to taxis.
        Called = "택시호출",
        /// A taxi has it.
        Assigned = "배정됨",
        /// Shown no more. Final.
        Cancelled = "택시호출취소",
    }
}

literals! {
    /// `taxiStatus`: where the taxi is with it.
    TaxiStatus {
        /// On its way to the customer.
        Assigned = "배정됨",
        /// Under way with the customer.
        InService = "운행시작",
        /// Arrived and paid. Final.
        Ended = "운행종료",
    }
}
