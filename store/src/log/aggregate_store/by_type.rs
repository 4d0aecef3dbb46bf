//! The aggregate stores of one process, one for each aggregate type.

use super::{AggregateStore, DecodeEvent};
use crate::log::appender::Appender;
use crate::log::stream_loader::StreamLoader;
use cqrs_es::Aggregate;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// One cache per aggregate type, made when it is first used.
pub(crate) struct AggregateStores {
    /// Aggregates kept in memory, per type.
    entries: u64,
    loader: StreamLoader,
    appender: Appender,
    by_type: RwLock<HashMap<TypeId, Box<dyn Any + Send + Sync>>>,
}

impl AggregateStores {
    pub(crate) fn new(entries: u64, loader: StreamLoader, appender: Appender) -> Self {
        Self { entries, loader, appender, by_type: RwLock::default() }
    }

    /// The store of one type; the first call decides how its events are decoded.
    pub(crate) fn get<A: Aggregate + Clone + 'static>(
        &self,
        decode: DecodeEvent<A>,
    ) -> AggregateStore<A> {
        let by_type = self.by_type.read().unwrap_or_else(PoisonError::into_inner);
        let found = by_type.get(&TypeId::of::<A>()).and_then(|any| any.downcast_ref());
        if let Some(found) = found {
            return AggregateStore::clone(found);
        }
        drop(by_type);
        let make = || {
            let (loader, appender) = (self.loader.clone(), self.appender.clone());
            AggregateStore::new(self.entries, loader, appender, decode)
        };
        let mut by_type = self.by_type.write().unwrap_or_else(PoisonError::into_inner);
        let entry = by_type.entry(TypeId::of::<A>()).or_insert_with(|| Box::new(make()));
        entry.downcast_ref::<AggregateStore<A>>().map_or_else(make, AggregateStore::clone)
    }
}
