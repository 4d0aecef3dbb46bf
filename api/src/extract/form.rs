//! Reads the fields of a body one by one and keeps every fault, so that a caller corrects them all
//! at once. A field that nobody asked for is a fault too.

use super::body::Fields;
use super::number::whole_number;
use crate::problem::Problem;
use crate::problem::field_fault::{Fault, FieldFault, PRICE_RANGE, shape};
use chrono::NaiveDate;
use gdmarket_domain::ids::MAX_ID;
use gdmarket_domain::money::MAX_PRICE;
use gdmarket_domain::name::MAX_NAME;
use gdmarket_domain::{IdError, Money, NameError, PeriodError, RentalPeriod, checked_name};
use serde_json::value::RawValue;

/// The fields of one body while they are read.
#[derive(Debug)]
pub(crate) struct Form {
    fields: Vec<(String, Box<RawValue>)>,
    /// The object that is being read: empty, or `period.`.
    prefix: &'static str,
    faults: Vec<FieldFault>,
}

impl Form {
    pub(crate) fn new(fields: Fields) -> Self {
        Self::within("", fields)
    }

    fn within(prefix: &'static str, Fields(fields): Fields) -> Self {
        let mut form = Self { fields: Vec::with_capacity(fields.len()), prefix, faults: vec![] };
        for (name, json) in fields {
            if form.has(&name) {
                form.fault(name, Fault::Duplicate);
            } else {
                form.fields.push((name, json));
            }
        }
        form
    }

    /// Whether the body names this field at all, `null` or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    pub(crate) fn fault(&mut self, name: impl AsRef<str>, fault: Fault) {
        self.faults.push(FieldFault::new(format!("{}{}", self.prefix, name.as_ref()), fault));
    }

    /// Whether no field has had a fault so far.
    pub(crate) const fn is_faultless(&self) -> bool {
        self.faults.is_empty()
    }

    /// The JSON text of a field; `null` is as if absent.
    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.fields.iter().position(|(known, _)| known == name)?;
        let (_, json) = self.fields.swap_remove(at);
        (json.get() != "null").then_some(json)
    }

    fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Fault>) -> Option<T> {
        let json = self.take(name)?;
        match parse(json.get()) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fault(name, fault);
                None
            }
        }
    }

    /// Says that a field is missing, unless it was there and had another fault.
    pub(crate) fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        let field = format!("{}{name}", self.prefix);
        // A fault of something inside it is a fault of its own.
        let is_of_it = |known: &FieldFault| {
            let rest = known.field.strip_prefix(&field);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if value.is_none() && !self.faults.iter().any(is_of_it) {
            self.fault(name, Fault::Required);
        }
        value
    }

    /// A name, by the domain's rule.
    pub(crate) fn name(&mut self, name: &str) -> Option<String> {
        self.read(name, |json| checked_name(&text(json)?).map_err(name_fault))
    }

    pub(crate) fn id<T: TryFrom<i64, Error = IdError>>(&mut self, name: &str) -> Option<T> {
        let range = Fault::OutOfRange(1, MAX_ID);
        self.read(name, |json| T::try_from(whole_number(json, 1, MAX_ID)?).map_err(|_| range))
    }

    pub(crate) fn price(&mut self, name: &str) -> Option<Money> {
        self.read(name, |json| {
            Money::price(whole_number(json, 1, MAX_PRICE)?).map_err(|_| PRICE_RANGE)
        })
    }

    /// One of these words.
    pub(crate) fn word(
        &mut self,
        name: &str,
        words: &'static [&'static str],
    ) -> Option<&'static str> {
        self.read(name, |json| {
            let said = text(json)?;
            words.iter().copied().find(|word| *word == said).ok_or(Fault::NotOneOf(words))
        })
    }

    /// Days that begin on `not_before` or later; absent and `null` both mean: from now until
    /// returned.
    pub(crate) fn period(&mut self, not_before: Option<NaiveDate>) -> Option<RentalPeriod> {
        let json = self.take("period")?;
        let Ok(fields) = super::body::parse(json.get().as_bytes()) else {
            self.fault("period", Fault::WrongType(shape::PERIOD));
            return None;
        };
        let mut inner = Self::within("period.", fields);
        let from = inner.day("from");
        let from = inner.required("from", from);
        let to = inner.day("to");
        let to = inner.required("to", to);
        inner.refuse_the_rest();
        let period = from.zip(to).and_then(|(from, to)| inner.checked_period(from, to, not_before));
        self.faults.append(&mut inner.faults);
        period
    }

    fn checked_period(
        &mut self,
        from: NaiveDate,
        to: NaiveDate,
        not_before: Option<NaiveDate>,
    ) -> Option<RentalPeriod> {
        if not_before.is_some_and(|first| from < first) {
            self.fault("from", Fault::InThePast);
        }
        match RentalPeriod::new(from, to) {
            Ok(period) => Some(period),
            Err(PeriodError::UpsideDown) => {
                self.fault("from", Fault::UpsideDown("period.to"));
                None
            }
            Err(PeriodError::TooLong) => {
                self.fault("to", Fault::PeriodTooLong);
                None
            }
        }
    }

    fn day(&mut self, name: &str) -> Option<NaiveDate> {
        self.read(name, |json| day(&text(json)?))
    }

    /// Takes these fields without looking at them: the seed's callers send what only the server
    /// decides.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        self.fields.retain(|(name, _)| !names.contains(&name.as_str()));
    }

    /// A field that may only repeat what is so anyway.
    pub(crate) fn must_be<T: PartialEq + ToString>(&mut self, name: &str, said: Option<T>, is: &T) {
        if said.is_some_and(|said| said != *is) {
            self.fault(name, Fault::Contradicts(is.to_string()));
        }
    }

    fn refuse_the_rest(&mut self) {
        for (name, _) in std::mem::take(&mut self.fields) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
            self.fault(shown, Fault::Unknown);
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

fn text(json: &str) -> Result<String, Fault> {
    serde_json::from_str(json).map_err(|_| Fault::WrongType(shape::TEXT))
}

const fn name_fault(error: NameError) -> Fault {
    match error {
        NameError::Empty => Fault::Empty,
        NameError::TooLong => Fault::TooLong(MAX_NAME),
        NameError::ControlCharacter => Fault::ControlCharacter,
        NameError::Invisible(character) => Fault::InvisibleCharacter(character),
    }
}

/// A day as `YYYY-MM-DD`, exactly.
pub(super) fn day(text: &str) -> Result<NaiveDate, Fault> {
    let is_shaped = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    is_shaped
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
        .ok_or(Fault::WrongType(shape::DAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gdmarket_domain::ItemNo;

    fn form(json: &str) -> Form {
        Form::new(super::super::body::parse(json.as_bytes()).unwrap())
    }

    fn faults(form: Form) -> Vec<(String, &'static str)> {
        let mut form = form;
        form.refuse_the_rest();
        form.faults.into_iter().map(|fault| (fault.field, fault.fault.code())).collect()
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let mut form = form(r#"{"itemName": " ", "itemPrice": 0, "itemNo": "x", "colour": 1}"#);
        form.name("itemName");
        form.price("itemPrice");
        form.id::<ItemNo>("itemNo");
        let told = faults(form);
        let told: Vec<_> = told.iter().map(|(field, code)| (field.as_str(), *code)).collect();
        let expected = [
            ("itemName", "empty"),
            ("itemPrice", "out-of-range"),
            ("itemNo", "wrong-type"),
            ("colour", "unknown-field"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn periods_name_the_field_that_is_wrong() {
        let today = NaiveDate::from_ymd_opt(2027, 1, 1).unwrap();
        for (json, field, code) in [
            (r#""x""#, "period", "wrong-type"),
            (r#"{"from": "2027-01-05"}"#, "period.to", "required"),
            (r#"{"from": "2027-1-5", "to": "2027-01-08"}"#, "period.from", "wrong-type"),
            (r#"{"from": "2027-02-30", "to": "2027-03-08"}"#, "period.from", "wrong-type"),
            (r#"{"from": "2026-12-31", "to": "2027-01-08"}"#, "period.from", "in-the-past"),
            (r#"{"from": "2027-01-08", "to": "2027-01-08"}"#, "period.from", "upside-down"),
            (r#"{"from": "2027-01-08", "to": "2028-01-09"}"#, "period.to", "period-too-long"),
            (r#"{"from": "2027-01-08", "to": "2027-01-09", "x": 1}"#, "period.x", "unknown-field"),
        ] {
            let mut form = form(&format!(r#"{{"period": {json}}}"#));
            form.period(Some(today));
            assert_eq!(faults(form), [(field.to_owned(), code)], "{json}");
        }
    }
}
