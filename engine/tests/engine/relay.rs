//! Between a worker and its database: a relay that loses the answer to a commit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hansom_postgres::testing::TestDatabase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// What becomes of the next commits of transactional attempts.
#[derive(Default)]
pub(crate) struct Losses {
    /// So many do not arrive.
    pub(crate) asked: AtomicU32,
    /// So many take place, and nobody hears of it.
    pub(crate) answered: AtomicU32,
}

fn taken(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// Where Postgres is, for whoever goes through it. Gone when it is dropped.
pub(crate) struct Relay {
    pub(crate) losses: Arc<Losses>,
    pub(crate) url: String,
    folder: PathBuf,
}

impl Relay {
    pub(crate) fn open(database: &TestDatabase) -> Self {
        let (front, query) = database.url().split_once("?host=").unwrap();
        let socket = format!("{}/.s.PGSQL.5432", query.replace("%2F", "/"));
        let folder = std::env::temp_dir().join(format!("hansom-relay-{}", database.name()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
        let host = folder.to_str().unwrap().replace('/', "%2F");
        let (losses, url) = (Arc::<Losses>::default(), format!("{front}?host={host}"));
        let lost = Arc::clone(&losses);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(relay(client, server, Arc::clone(&lost)));
            }
        });
        Self { losses, url, folder }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Hands on what each says, until one of them ends, or a commit is to be lost.
async fn relay(mut client: UnixStream, mut server: UnixStream, losses: Arc<Losses>) {
    let ((mut client, mut to_client), (mut server, mut to_server)) =
        (client.split(), server.split());
    let (mut said, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let handed_on = tokio::select! {
            Ok(count @ 1..) = client.read(&mut said) => {
                let said = &said[..count];
                let commits = said.windows(16).any(|bytes| bytes == b"commit and chain");
                if commits && taken(&losses.asked) {
                    return;
                }
                let handed_on = to_server.write_all(said).await;
                if commits && taken(&losses.answered) {
                    // It is over there when there is an answer, and nobody hears it.
                    let _ = server.read(&mut answered).await;
                    return;
                }
                handed_on
            }
            Ok(count @ 1..) = server.read(&mut answered) => {
                to_client.write_all(&answered[..count]).await
            }
            else => return,
        };
        if handed_on.is_err() {
            return;
        }
    }
}
