//! Numbered pages, as the documents' clients ask for them.

/// Which page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 0.
    pub number: u32,
    /// Rows per page; 0 counts as 1.
    pub size: u32,
}

impl Default for Page {
    /// The first twenty.
    fn default() -> Self {
        Self { number: 0, size: 20 }
    }
}

impl Page {
    pub(crate) fn limit(self) -> i64 {
        i64::from(self.size.max(1))
    }

    pub(crate) fn offset(self) -> i64 {
        i64::from(self.number) * self.limit()
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// How many rows there are on all pages together.
    pub total: i64,
}
