//! The bundled services: what each performs for sagas, here or in a process of its own.

use hansom_core::{Ask, Handlers};

use crate::faults::Switches;
use crate::forward::Elsewhere;

/// What a service is called.
#[derive(Debug)]
pub struct Kind {
    /// `hansom service NAME`, `--NAME-url`, `/faults/NAME`.
    pub name: &'static str,
    /// The setting that says where it runs, when it is not here.
    pub setting: &'static str,
    /// The same as a flag, without its dashes.
    pub flag: &'static str,
    /// The setting that says when its breaker opens.
    pub breaker: &'static str,
    /// The same as a flag, without its dashes.
    pub breaker_flag: &'static str,
    /// Where it listens unless told otherwise: as in the documents.
    pub port: u16,
    /// Whether it can say no ([`crate::faults::Faults::decline`]).
    pub declines: bool,
    /// What it keeps, for a help text.
    pub about: &'static str,
}

/// There is one of each name.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

macro_rules! kinds {
    ($($id:ident = $name:literal $port:literal $declines:literal $about:literal;)*) => {
        $(
            #[doc = $about]
            pub const $id: &Kind = &Kind {
                name: $name,
                setting: concat!($name, "_url"),
                flag: concat!($name, "-url"),
                breaker: concat!($name, "_breaker"),
                breaker_flag: concat!($name, "-breaker"),
                port: $port,
                declines: $declines,
                about: $about,
            };
        )*
        /// All of them.
        pub const ALL: &[&Kind] = &[$($id),*];
    };
}

kinds! {
    CALL = "call" 8082 false "taxisvc: calls, and where they are";
    PAYMENT = "payment" 8083 true "Charges and refunds of every system";
    DRIVE = "drive" 8084 false "taxisvc: drivers and drives";
    NOTIFICATION = "notification" 8085 false "Messages of every system, and who got them";
    ANYCALL = "anycall" 8081 false "anycall: calls, and whether they stand";
    MEMBERSHIP = "membership" 8086 false "anycall: members and their cards";
    TAXI = "taxi" 8087 false "anycall: which taxi has which call";
    MOVER = "mover" 8081 false "move24mall: orders, and whether a mover comes";
    MOVEMANAGE = "movemanage" 8082 false "move24mall: requests for movers";
    MOVEASSIGN = "moveassign" 8084 false "move24mall: who moves whom";
    APPROVAL = "approval" 8081 false "bike: purchases of points";
    RESERVATION = "reservation" 8082 false "bike: who reserved which bike";
    POINT = "point" 8083 false "bike: what everybody has";
    BIKE = "bike" 8084 false "bike: which bikes there are, and who holds which";
}

/// A service of a kind.
#[derive(Clone)]
pub struct Service {
    /// Which.
    pub kind: &'static Kind,
    /// What is wrong with it.
    pub faults: Switches,
    handlers: Handlers,
}

impl Service {
    /// One that performs with these handlers, which look at `faults` to see whether to decline.
    pub fn new(kind: &'static Kind, faults: Switches, handlers: Handlers) -> Self {
        Self { kind, faults, handlers }
    }

    /// What it performs in this process, as its switches say.
    pub fn here(&self) -> Handlers {
        let faults = self.faults.clone();
        self.handlers.clone().layered(move |ask: Ask| faults.clone().serve(ask))
    }

    /// The same, performed by the process at `place`.
    pub fn there(&self, place: Elsewhere) -> Handlers {
        self.handlers.clone().layered(move |ask: Ask| place.clone().forward(ask))
    }
}
