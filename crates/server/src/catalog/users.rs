//! Users in the catalog.

use super::versions::{id, sql};
use super::{Tx, now};
use crate::error::{Error, Result};
use shale_model::Role;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// One user.
#[derive(Clone)]
pub struct UserRow {
    /// Id.
    pub id: Uuid,
    /// Unique without regard to case.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Hash of the password, a PHC string.
    pub password: String,
    /// When they were made.
    pub created_at: String,
    /// When they last signed in.
    pub last_login_at: Option<String>,
}

const COLUMNS: &str = "SELECT id, name, role, password, created_at, last_login_at FROM users";

fn row(row: SqliteRow) -> Result<UserRow> {
    Ok(UserRow {
        id: id(&row, "id")?,
        name: row.try_get("name")?,
        role: role(&row)?,
        password: row.try_get("password")?,
        created_at: row.try_get("created_at")?,
        last_login_at: row.try_get("last_login_at")?,
    })
}

/// The role in a row; one that nobody knows lets nobody in.
pub(super) fn role(row: &SqliteRow) -> Result<Role> {
    let name: String = row.try_get("role")?;
    Role::parse(&name).ok_or_else(|| Error::internal(format!("the catalog holds an unknown role: {name}")))
}

/// A name as names are compared.
fn key(name: &str) -> String {
    name.to_lowercase()
}

impl UserRow {
    /// Adds them. A taken name is an error of the database: look first.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO users (id, name, key, role, password, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
        )
        .bind(self.id.to_string())
        .bind(&self.name)
        .bind(key(&self.name))
        .bind(self.role.as_str())
        .bind(&self.password)
        .bind(&self.created_at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Writes name, role, password and last sign-in.
    pub async fn update(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "UPDATE users SET name = $2, key = $3, role = $4, password = $5, last_login_at = $6, updated_at = $7 \
             WHERE id = $1",
        )
        .bind(self.id.to_string())
        .bind(&self.name)
        .bind(key(&self.name))
        .bind(self.role.as_str())
        .bind(&self.password)
        .bind(&self.last_login_at)
        .bind(now())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The user with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// The user with this name, in whatever case.
    pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE key = $1");
        sqlx::query(query).bind(key(name)).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// All, by name.
    pub async fn list(tx: &mut Tx) -> Result<Vec<Self>> {
        let rows = sqlx::query(sql(COLUMNS, " ORDER BY key")).fetch_all(&mut **tx).await?;
        rows.into_iter().map(row).collect()
    }

    /// How many administrators there are.
    pub async fn administrators(tx: &mut Tx) -> Result<usize> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE role = 'administrator'")
            .fetch_one(&mut **tx)
            .await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Removes them and their sessions.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        super::SessionRow::end_all(tx, id, None).await?;
        sqlx::query("DELETE FROM users WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
