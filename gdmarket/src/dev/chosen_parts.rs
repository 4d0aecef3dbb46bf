//! Which parts a market has: those whose programs are installed, and always those that hold data of earlier starts.

use super::account::SystemAccount;
use super::folder::DevFolder;
use super::payment_provider::has_ledger;
use super::postgres::DevCluster;
use super::programs::{DevPrograms, LeftOut};
use super::services::DevServices;
use crate::output::{Exit, Failure};
use gdmarket_domain::Service;

/// A market that began without PostgreSQL stays without it.
const DATA_IN_SQLITE: LeftOut = LeftOut {
    part: "postgresql",
    consequence: "the market in this folder began without PostgreSQL, and keeps its data in SQLite",
    next: "gdmarket dev --dir ./gdmarket-dev-2",
};

/// The programs that are run, and what is left out.
#[derive(Debug)]
pub(super) struct ChosenParts {
    pub(super) programs: DevPrograms,
    /// The account of PostgreSQL and nginx, if it isn't that of this process.
    pub(super) account: Option<SystemAccount>,
    pub(super) left_out: Vec<LeftOut>,
}

impl ChosenParts {
    /// Chooses the parts of the market in a folder.
    pub(super) fn choose(mut programs: DevPrograms, folder: &DevFolder) -> Result<Self, Failure> {
        let mut left_out = programs.left_out();
        let has_cluster = DevCluster::is_in(folder);
        if has_cluster && programs.postgres.is_none() {
            return Err(missing(folder, "PostgreSQL", "apt-get install postgresql"));
        }
        if has_ledger(folder) && programs.payment_provider.is_none() {
            return Err(missing(folder, "gdmarket-payment-provider", "cargo build --release"));
        }
        let has_files = DevServices::has_files(folder, Service::Item);
        if has_files && !has_cluster && programs.postgres.take().is_some() {
            left_out.insert(0, DATA_IN_SQLITE);
        }
        let needs_account = programs.postgres.is_some() || programs.nginx.is_some();
        let account = if needs_account { SystemAccount::for_servers()? } else { None };
        if let Some(account) = account {
            account.require_entry(folder.path())?;
        }
        Ok(Self { programs, account, left_out })
    }
}

fn missing(folder: &DevFolder, program: &str, install: &str) -> Failure {
    let message =
        format!("{} has data of {program}, which isn't here any more", folder.shown.display());
    Failure::new(Exit::Failed, message)
        .next(format!("type: {install}; or begin another market with --dir"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn market_keeps_its_data_where_they_are() {
        let root = tempfile::tempdir().unwrap();
        let (folder, _lock) = DevFolder::open(&root.path().join("dev")).unwrap();
        fs::create_dir_all(folder.at("postgresql/cluster/data")).unwrap();
        let refused = ChosenParts::choose(DevPrograms::default(), &folder).unwrap_err();
        assert!(refused.message.contains("has data of PostgreSQL"), "{refused:?}");
        fs::remove_dir_all(folder.at("postgresql")).unwrap();
        fs::create_dir(folder.at("item")).unwrap();
        fs::write(folder.at("item/log.db"), "").unwrap();
        let programs = DevPrograms { postgres: Some("/bin".into()), ..DevPrograms::default() };
        let chosen = ChosenParts::choose(programs, &folder).unwrap();
        assert_eq!(chosen.programs.postgres, None);
        assert_eq!(chosen.left_out.first(), Some(&DATA_IN_SQLITE));
        fs::create_dir(folder.at("payment-provider")).unwrap();
        let refused = ChosenParts::choose(DevPrograms::default(), &folder).unwrap_err();
        assert!(refused.message.contains("has data of gdmarket-payment-provider"), "{refused:?}");
    }
}
