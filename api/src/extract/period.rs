//! The days of a rental: an object with `from` and `to`.

use super::body::{Body as _, FieldValue, body};
use super::form::Form;
use crate::problem::field_fault::{Fault, shape};
use chrono::NaiveDate;
use gdmarket_domain::{PeriodError, RentalPeriod};
use utoipa::openapi::{Ref, RefOr, Schema};

body! {
    /// Whole days: `from` is taken, `to` is free again.
    pub(crate) struct PeriodBody as "Period" ignores [] {
        /// Today or later.
        "from" => from: NaiveDate, eg "2099-01-05";
        /// After `from`, at most 365 days.
        "to" => to: NaiveDate, eg "2099-01-08";
    }
}

impl FieldValue for RentalPeriod {
    fn read(form: &mut Form, name: &str) -> Option<Self> {
        let first_day = form.not_before;
        form.object(name, shape::PERIOD, |form| {
            let body = PeriodBody::read(form);
            form.refuse_the_rest();
            body?.checked(form, first_day)
        })
    }

    fn schema() -> RefOr<Schema> {
        Ref::from_schema_name("Period").into()
    }
}

impl PeriodBody {
    fn checked(&self, form: &mut Form, first_day: Option<NaiveDate>) -> Option<RentalPeriod> {
        if first_day.is_some_and(|first_day| self.from < first_day) {
            form.fault("from", Fault::InThePast);
        }
        match RentalPeriod::new(self.from, self.to) {
            Ok(period) => Some(period),
            Err(PeriodError::UpsideDown) => {
                form.fault("from", Fault::UpsideDown("period.to"));
                None
            }
            Err(PeriodError::TooLong) => {
                form.fault("to", Fault::PeriodTooLong);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::json_object::parse;

    #[test]
    fn fault_names_the_field_of_the_period_that_is_wrong() {
        let today = NaiveDate::from_ymd_opt(2027, 1, 1);
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
            let fields = parse(format!(r#"{{"period": {json}}}"#).as_bytes()).unwrap();
            let mut form = Form::new(fields).not_before(today);
            RentalPeriod::read(&mut form, "period");
            form.refuse_the_rest();
            let faults = form.faults.iter().map(|fault| (fault.field.as_str(), fault.fault.code()));
            assert_eq!(faults.collect::<Vec<_>>(), [(field, code)], "{json}");
        }
    }
}
