//! The owner and the grants of a table on PostgreSQL. A build may be served by another role than the one
//! that the servers run under: owner and grants of the served table are carried over, or the build isn't
//! served.

use crate::db::Tx;
use crate::error::StoreError;
use sqlx::{Executor, PgConnection};

/// The owner and the grants that `$1` has, or, where it isn't there, those of the table of
/// generations, which the same servers use; whether that is all that a new table has anyway, whether `$1`
/// isn't there, and whether this role may give a table to that owner.
const RIGHTS: &str = "SELECT quote_ident(r.rolname), \
    coalesce((SELECT array_agg(format('GRANT %s ON TABLE %%s TO %s%s', g.privilege_type, \
        CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END, \
        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)) \
      FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner), '{}'), \
    c.relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user) AND c.relacl IS NULL, \
    to_regclass($1) IS NULL, pg_has_role(c.relowner, 'MEMBER') \
    FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner \
    WHERE c.oid = coalesce(to_regclass($1), to_regclass('generations'))";

type Rights = (String, Vec<String>, bool, bool, bool);

/// Gives the table `to` the owner and the grants of the table `from`, inside the transaction in which it
/// takes that one's place. A new table of a role that only serves stays its own; the role that migrates may use it.
pub(super) async fn carry_over(tx: &mut Tx, from: &str, to: &str) -> Result<(), StoreError> {
    let Tx::Postgres(tx) = tx else { return Ok(()) };
    let connection: &mut PgConnection = &mut *tx;
    let rights: Option<Rights> =
        sqlx::query_as(RIGHTS).bind(from).fetch_optional(&mut *connection).await?;
    let Some((owner, grants, is_plain, is_new, is_member)) = rights else { return Ok(()) };
    if is_plain {
        return Ok(());
    }
    for grant in grants {
        connection.execute(grant.replace("%s", to).as_str()).await?;
    }
    // Last: from here on the table is the owner's.
    let last = if is_new && !is_member {
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {to} TO {owner}")
    } else {
        format!("ALTER TABLE {to} OWNER TO {owner}")
    };
    connection.execute(last.as_str()).await?;
    Ok(())
}
