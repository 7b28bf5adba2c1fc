//! How far each delivery has come.

use rusqlite::params;

use super::{Store, rows};

/// How far one delivery has come: what was told up to `position` is where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where to, such as `kubernetes_events`.
    pub sink: String,
    /// Of the last entry that was delivered.
    pub position: u64,
    /// What this delivery has to remember: JSON.
    pub state: String,
}

impl Store {
    /// How far each has come.
    pub fn deliveries(&self) -> rusqlite::Result<Vec<Delivery>> {
        self.connection
            .prepare("SELECT sink, position, state FROM deliveries")?
            .query_map([], |row| {
                Ok(Delivery { sink: row.get(0)?, position: rows::unsigned(row, 1)?, state: row.get(2)? })
            })?
            .collect()
    }

    /// Notes how far these have come: all or nothing.
    pub fn note_deliveries<'a>(
        &mut self,
        deliveries: impl IntoIterator<Item = &'a Delivery>,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for delivery in deliveries {
            transaction
                .prepare_cached(
                    "INSERT INTO deliveries (sink, position, state) VALUES (?1, ?2, ?3) ON CONFLICT (sink) DO UPDATE SET \
                     position = excluded.position, state = excluded.state",
                )?
                .execute(params![delivery.sink, rows::signed(delivery.position), delivery.state])?;
        }
        transaction.commit()
    }
}
