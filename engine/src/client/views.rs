//! What views say.

use hansom_core::View;

use super::Client;
use crate::ClientError;
use crate::read_model::{ViewChanges, ViewCursor, ViewInfo, ViewPage, ViewQuery, ViewRecord};
use crate::store::view;

impl Client {
    /// The row of `V` with this key, as of the last commit.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`].
    pub async fn view<V: View>(&self, key: i64) -> Result<Option<ViewRecord>, ClientError> {
        Ok(view::get(&self.pool, V::NAME, key).await?)
    }

    /// Some rows of `V`, by key, and how many there are.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`].
    pub async fn views<V: View>(&self, query: &ViewQuery) -> Result<ViewPage, ClientError> {
        Ok(view::page(&self.pool, V::NAME, query).await?)
    }

    /// As [`Client::view`], by name.
    ///
    /// # Errors
    ///
    /// [`ClientError::UnknownView`], [`ClientError::Unavailable`].
    pub async fn view_named(
        &self,
        name: &str,
        key: i64,
    ) -> Result<Option<ViewRecord>, ClientError> {
        Ok(view::get(&self.pool, self.known_view(name)?, key).await?)
    }

    /// As [`Client::views`], by name.
    ///
    /// # Errors
    ///
    /// [`ClientError::UnknownView`], [`ClientError::Unavailable`].
    pub async fn views_named(
        &self,
        name: &str,
        query: &ViewQuery,
    ) -> Result<ViewPage, ClientError> {
        Ok(view::page(&self.pool, self.known_view(name)?, query).await?)
    }

    /// Up to `limit` rows of that view that were written since `cursor`, each as it is now; without
    /// one nothing but from where to read on. Whoever reads on from there misses none.
    ///
    /// # Errors
    ///
    /// [`ClientError::UnknownView`], [`ClientError::Unavailable`].
    pub async fn view_changes(
        &self,
        name: &str,
        cursor: Option<&ViewCursor>,
        limit: u32,
    ) -> Result<ViewChanges, ClientError> {
        let name = self.known_view(name)?;
        if let Some(cursor) = cursor {
            return Ok(view::changes(&self.pool, name, cursor, limit).await?);
        }
        let cursor = view::now(&self.pool).await?;
        Ok(ViewChanges { items: Vec::new(), cursor, more: false })
    }

    /// All views: those of this binary, and those that only have rows.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unavailable`].
    pub async fn all_views(&self) -> Result<Vec<ViewInfo>, ClientError> {
        let counts = view::counts(&self.pool).await?;
        let known = self.registry.views().map(|view| ViewInfo {
            name: view.name.to_owned(),
            workflow: Some(view.workflow.to_owned()),
            rows: 0,
        });
        let mut all: Vec<_> = known.collect();
        for (name, rows) in counts {
            match all.iter_mut().find(|view| view.name == name) {
                Some(view) => view.rows = rows,
                None => all.push(ViewInfo { name, workflow: None, rows }),
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn known_view(&self, name: &str) -> Result<&'static str, ClientError> {
        let found = self.registry.view(name).map(|view| view.name);
        found.ok_or_else(|| ClientError::UnknownView {
            name: name.to_owned(),
            known: self.registry.views().map(|view| view.name).collect(),
        })
    }
}
