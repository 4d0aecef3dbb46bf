//! Rows as structs. `sqlx`'s own derive would build its macros, and each driver a second time for them.

/// Reads a struct of strings and 64-bit integers from the columns that have the names of its fields:
/// `from_row!(Struct: field, …)`.
macro_rules! from_row {
    ($row:ident: $($field:ident),+) => {
        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $row
        where
            &'static str: sqlx::ColumnIndex<R>,
            String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
            i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
        {
            fn from_row(row: &'r R) -> sqlx::Result<Self> {
                Ok(Self { $($field: row.try_get(stringify!($field))?),+ })
            }
        }
    };
}

pub(crate) use from_row;
