//! Uploaded images, by the digest of their bytes: in the store, so that any replica has them.

use homolog_core::bundle::hex;
use homolog_core::geometry::Size;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::Row;
use std::time::Duration;
use utoipa::ToSchema;

use super::{Seen, Store};
use crate::Error;

/// An uploaded image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImageInfo {
    /// SHA-256 of its bytes, in hexadecimal.
    pub id: String,
    /// Width as displayed, px.
    pub width: u32,
    /// Height as displayed, px.
    pub height: u32,
    /// Length of the file.
    pub bytes: u64,
}

impl Store {
    /// Keeps an image, whose size as displayed is `size`, unless all would be more than `limit` bytes. The same image is kept once.
    ///
    /// # Errors
    /// [`Error::ImagesFull`], and those of the store.
    pub async fn keep_image(&self, file: &[u8], size: Size, limit: u64) -> Result<ImageInfo, Error> {
        let id = hex(&Sha256::digest(file));
        let info = ImageInfo { id, width: size.width, height: size.height, bytes: file.len() as u64 };
        let mut transaction = self.begin().await?;
        let now = self.now(&mut transaction).await?;
        let there = sqlx::query("UPDATE images SET used = $1 WHERE id = $2").bind(now).bind(info.id.as_str());
        if there.execute(&mut *transaction).await?.rows_affected() == 0 {
            let kept: i64 = sqlx::query_scalar("SELECT CAST(coalesce(sum(length), 0) AS BIGINT) FROM images")
                .fetch_one(&mut *transaction)
                .await?;
            let kept = kept.max(0) as u64;
            if kept.saturating_add(info.bytes) > limit {
                return Err(Error::ImagesFull { bytes: kept, limit });
            }
            sqlx::query(
                "INSERT INTO images (id, bytes, length, width, height, used) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            )
            .bind(info.id.as_str())
            .bind(file.to_vec())
            .bind(file.len() as i64)
            .bind(i64::from(size.width))
            .bind(i64::from(size.height))
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(info)
    }

    /// An image's file.
    ///
    /// # Errors
    /// [`Error::UnknownImage`], and those of the store.
    pub async fn image(&self, id: &str) -> Result<Vec<u8>, Error> {
        let row = sqlx::query("SELECT bytes FROM images WHERE id = $1").bind(id).fetch_optional(&self.pool).await?;
        let row = row.ok_or_else(|| Error::UnknownImage { id: id.to_owned() })?;
        Ok(row.try_get("bytes")?)
    }

    /// Whether there is an image of that id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn has_image(&self, id: &str) -> Result<bool, Error> {
        if !is_id(id) {
            return Ok(false);
        }
        let seen = self.seen.as_deref();
        if seen.is_some_and(|seen| seen.has(id)) {
            return Ok(true);
        }
        let losses = seen.map(Seen::losses);
        let row = sqlx::query("SELECT 1 AS one FROM images WHERE id = $1").bind(id).fetch_optional(&self.pool).await?;
        if let (Some(_), Some(seen), Some(losses)) = (&row, seen, losses) {
            seen.found(id, losses);
        }
        Ok(row.is_some())
    }

    /// Forgets an image that no evaluation needs. False if there is none such, or one needs it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget_image(&self, id: &str) -> Result<bool, Error> {
        if !is_id(id) {
            return Ok(false);
        }
        let gone =
            sqlx::query("DELETE FROM images WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM eval_images WHERE image = $1)");
        let _lost = self.losing();
        Ok(gone.bind(id).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Forgets images that no evaluation needs and nobody has sent for `age`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn expire_images(&self, age: Duration) -> Result<u64, Error> {
        let _lost = self.losing();
        let mut transaction = self.begin().await?;
        let before = self.now(&mut transaction).await? - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let gone = sqlx::query(
            "DELETE FROM images WHERE used < $1 AND NOT EXISTS (SELECT 1 FROM eval_images WHERE image = images.id)",
        )
        .bind(before)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        transaction.commit().await?;
        Ok(gone)
    }

    /// Says when it is dropped, however that comes about, that images may be gone.
    fn losing(&self) -> Option<Losing<'_>> {
        self.seen.as_deref().map(Losing)
    }
}

struct Losing<'a>(&'a Seen);

impl Drop for Losing<'_> {
    fn drop(&mut self) {
        self.0.lost();
    }
}

/// Whether it is a SHA-256 in lower-case hexadecimal: what is not is no image's id, whatever a database makes of such a text.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
