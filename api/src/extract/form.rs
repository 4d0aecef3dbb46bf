//! Reads the fields of a body one by one and keeps every fault, so that a caller can correct them all at once. A field
//! that is never read is a fault too.

use super::fields::Fields;
use super::json_object::parse;
use crate::problem::Problem;
use crate::problem::field_fault::{Fault, FieldFault, shape, shown_name};
use crate::problem::kind::Words;
use chrono::NaiveDate;
use serde_json::value::RawValue;

/// The fields of one body while they are read.
#[derive(Debug)]
pub(crate) struct Form {
    fields: Vec<(String, Box<RawValue>)>,
    /// The path of the object that is read: empty, or `period.`.
    prefix: String,
    /// The first day that a period may begin on.
    pub(super) not_before: Option<NaiveDate>,
    /// Fields that may only repeat a known value, each with that value.
    known: Vec<(&'static str, String)>,
    pub(super) faults: Vec<FieldFault>,
}

impl Form {
    pub(crate) fn new(fields: Fields) -> Self {
        Self::within(String::new(), fields)
    }

    fn within(prefix: String, Fields(sent): Fields) -> Self {
        let fields = Vec::with_capacity(sent.len());
        let mut form = Self { fields, prefix, not_before: None, known: vec![], faults: vec![] };
        for (name, json) in sent {
            if form.has(&name) {
                form.fault(&name, Fault::Duplicate);
            } else {
                form.fields.push((name, json));
            }
        }
        form
    }

    /// Refuses periods that begin before this day.
    pub(crate) fn not_before(self, first_day: Option<NaiveDate>) -> Self {
        Self { not_before: first_day, ..self }
    }

    /// Refuses a field that, if it is sent, has another value than this one.
    pub(crate) fn must_repeat(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.known.push((name, value.to_string()));
        self
    }

    /// Whether the body has this field, `null` or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(sent, _)| sent == name)
    }

    pub(crate) fn fault(&mut self, name: &str, fault: Fault) {
        self.faults.push(FieldFault::new(format!("{}{name}", self.prefix), fault));
    }

    /// Whether no field has had a fault so far.
    pub(crate) const fn is_faultless(&self) -> bool {
        self.faults.is_empty()
    }

    /// Takes the JSON text of a field; `null` means the same as an absent field.
    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.fields.iter().position(|(sent, _)| sent == name)?;
        let (_, json) = self.fields.swap_remove(at);
        (json.get() != "null").then_some(json)
    }

    /// Reads a field; the value stays even where it contradicts a known one.
    pub(super) fn read<T: ToString>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let json = self.take(name)?;
        match parse(json.get()) {
            Ok(value) => {
                let known = self.known.iter().find(|(known, _)| *known == name);
                if let Some(known) = known.map(|(_, value)| value.clone()) {
                    self.refuse_other_than(&known, name, &value);
                }
                Some(value)
            }
            Err(fault) => {
                self.fault(name, fault);
                None
            }
        }
    }

    /// Refuses the value of a field unless it is the expected one.
    pub(crate) fn refuse_other_than(&mut self, expected: &str, name: &str, value: &impl ToString) {
        if value.to_string() != expected {
            self.fault(name, Fault::Contradicts(expected.to_owned()));
        }
    }

    /// Reads a field that is an object; its faults are faults of this form.
    pub(super) fn object<T>(
        &mut self,
        name: &str,
        shape: Words,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let json = self.take(name)?;
        let Ok(fields) = parse(json.get().as_bytes()) else {
            self.fault(name, Fault::WrongType(shape));
            return None;
        };
        let mut inner = Self::within(format!("{name}."), fields);
        let value = read(&mut inner);
        self.faults.append(&mut inner.faults);
        value
    }

    /// Reports that a field is missing, unless it was there and had another fault.
    pub(crate) fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        let field = format!("{}{name}", self.prefix);
        // A fault inside an object is a fault of the object.
        let is_of_field = |fault: &FieldFault| {
            let rest = fault.field.strip_prefix(&field);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if value.is_none() && !self.faults.iter().any(is_of_field) {
            self.fault(name, Fault::Required);
        }
        value
    }

    /// One of these words.
    pub(crate) fn word(
        &mut self,
        name: &str,
        words: &'static [&'static str],
    ) -> Option<&'static str> {
        self.read(name, |json| {
            let sent = text(json)?;
            words.iter().copied().find(|word| *word == sent).ok_or(Fault::NotOneOf(words))
        })
    }

    /// Accepts these fields without reading them: some callers send what only the server decides.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        self.fields.retain(|(name, _)| !names.contains(&name.as_str()));
    }

    pub(super) fn refuse_the_rest(&mut self) {
        for (name, _) in std::mem::take(&mut self.fields) {
            self.fault(&shown_name(&name), Fault::Unknown);
        }
    }

    /// The value, if every field was read and none had a fault.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
        self.refuse_the_rest();
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(Problem::invalid(self.faults)),
        }
    }
}

/// The text of a JSON string.
pub(super) fn text(json: &str) -> Result<String, Fault> {
    serde_json::from_str(json).map_err(|_| Fault::WrongType(shape::TEXT))
}
