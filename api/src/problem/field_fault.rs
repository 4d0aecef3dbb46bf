//! The faults of fields, headers and query parameters, with their messages in both languages. `extract.rs` finds
//! them, and `problem.rs` renders them.

use super::kind::{Language, Words};
use gdmarket_domain::name::MAX_NAME;
use gdmarket_domain::rental_period::MAX_DAYS;
use serde::Serialize;
use utoipa::ToSchema;

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldFault {
    /// A path as `period.from`, or the name of a header or parameter; empty for the body as a whole.
    pub(crate) field: String,
    pub(crate) fault: Fault,
}

/// The ways in which a value can be at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Required,
    Unknown,
    Duplicate,
    /// The value has another JSON type, or another shape, than this one.
    WrongType(Words),
    /// The number lies outside these limits.
    OutOfRange(i64, i64),
    /// The word is none of these.
    NotOneOf(&'static [&'static str]),
    Empty,
    TooLong(usize),
    ControlCharacter,
    /// The character can't be seen, or changes the direction of the text.
    InvisibleCharacter(char),
    NotUtf8,
    TooDeep,
    TooManyFields(usize),
    InThePast,
    /// The value must come before this other field.
    UpsideDown(&'static str),
    PeriodTooLong,
    /// The value contradicts this one, which the path or the resource implies.
    Contradicts(String),
    /// The field excludes this other field.
    NotTogetherWith(&'static str),
    /// No token of this log.
    UnknownToken,
    /// Pages have no numbers.
    PageNumber,
}

/// The shapes that a value may have to have.
pub(crate) mod shape {
    use super::Words;

    pub(crate) const WHOLE_NUMBER: Words = Words { en: "a whole number", ko: "정수" };
    pub(crate) const TEXT: Words = Words { en: "a string", ko: "문자열" };
    pub(crate) const PERIOD: Words = Words {
        en: "an object with from and to, or null",
        ko: "from과 to가 있는 객체 또는 null",
    };
    pub(crate) const DAY: Words =
        Words { en: "a day as YYYY-MM-DD", ko: "YYYY-MM-DD 형식의 날짜" };
    pub(crate) const UUID: Words = Words { en: "a UUID", ko: "UUID" };
    pub(crate) const NUMBERS: Words = Words {
        en: "whole numbers from 1, with full stops between them",
        ko: "점으로 구분한 1 이상의 정수",
    };
    pub(crate) const QUERY: Words = Words { en: "a query", ko: "쿼리" };
    pub(crate) const ACTOR: Words = Words {
        en: "operator:NAME, owner:ID or renter:ID",
        ko: "operator:NAME, owner:ID, renter:ID 가운데 하나",
    };
    pub(crate) const KEY: Words =
        Words { en: "1 to 255 visible ASCII characters", ko: "보이는 ASCII 문자 1~255자" };
    pub(crate) const ETAG: Words = Words { en: "* or a list of ETags", ko: "* 또는 ETag 목록" };
}

impl FieldFault {
    pub(crate) fn new(field: impl Into<String>, fault: Fault) -> Self {
        Self { field: field.into(), fault }
    }

    pub(super) fn body(&self, language: Language) -> FieldErrorBody {
        FieldErrorBody {
            field: self.field.clone(),
            code: self.fault.code(),
            message: match language {
                Language::English => self.fault.english(),
                Language::Korean => self.fault.korean(),
            },
        }
    }
}

// A fault on the wire.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FieldErrorBody {
    /// A field as `period.from`, a header or a parameter.
    field: String,
    /// What is wrong with it, for programs.
    #[schema(value_type = String)]
    code: &'static str,
    /// What is wrong with it, for people.
    message: String,
}

impl Fault {
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Unknown => "unknown-field",
            Self::Duplicate => "duplicate-field",
            Self::WrongType(_) => "wrong-type",
            Self::OutOfRange(..) => "out-of-range",
            Self::NotOneOf(_) => "not-one-of",
            Self::Empty => "empty",
            Self::TooLong(_) => "too-long",
            Self::ControlCharacter => "control-character",
            Self::InvisibleCharacter(_) => "invisible-character",
            Self::NotUtf8 => "not-utf-8",
            Self::TooDeep => "too-deep",
            Self::TooManyFields(_) => "too-many-fields",
            Self::InThePast => "in-the-past",
            Self::UpsideDown(_) => "upside-down",
            Self::PeriodTooLong => "period-too-long",
            Self::Contradicts(_) => "contradicts",
            Self::NotTogetherWith(_) => "not-together",
            Self::UnknownToken => "unknown-token",
            Self::PageNumber => "page-number",
        }
    }

    fn english(&self) -> String {
        match self {
            Self::Required => "is required".to_owned(),
            Self::Unknown => "is not known here".to_owned(),
            Self::Duplicate => "is given twice".to_owned(),
            Self::WrongType(Words { en, .. }) => format!("must be {en}"),
            Self::OutOfRange(from, to) => format!("must be from {from} to {to}"),
            Self::NotOneOf(words) => format!("must be one of {}", words.join(", ")),
            Self::Empty => "must not be empty".to_owned(),
            Self::TooLong(most) => format!("must have at most {most} characters"),
            Self::ControlCharacter => "must not contain control characters".to_owned(),
            Self::InvisibleCharacter(hidden) => {
                format!("must not contain invisible characters (U+{:04X})", u32::from(*hidden))
            }
            Self::NotUtf8 => "must be UTF-8".to_owned(),
            Self::TooDeep => "is nested too deep".to_owned(),
            Self::TooManyFields(most) => format!("must have at most {most} fields"),
            Self::InThePast => "must be today or later".to_owned(),
            Self::UpsideDown(end) => format!("must be before {end}"),
            Self::PeriodTooLong => format!("must be at most {MAX_DAYS} days after period.from"),
            Self::Contradicts(expected) => format!("must be {expected} or left out"),
            Self::NotTogetherWith(other) => format!("can't be given together with {other}"),
            Self::UnknownToken => "was not given out by this market".to_owned(),
            Self::PageNumber => {
                "is not known here: pages have no numbers; follow the link next, or \
                                 send its cursor as after"
                    .to_owned()
            }
        }
    }

    fn korean(&self) -> String {
        match self {
            Self::Required => "반드시 있어야 해요".to_owned(),
            Self::Unknown => "여기에서는 쓸 수 없어요".to_owned(),
            Self::Duplicate => "두 번 나왔어요".to_owned(),
            Self::WrongType(Words { ko, .. }) => format!("{ko}이어야 해요"),
            Self::OutOfRange(from, to) => format!("{from}부터 {to}까지여야 해요"),
            Self::NotOneOf(words) => format!("다음 중 하나여야 해요: {}", words.join(", ")),
            Self::Empty => "비어 있으면 안 돼요".to_owned(),
            Self::TooLong(most) => format!("{most}자까지예요"),
            Self::ControlCharacter => "제어 문자는 쓸 수 없어요".to_owned(),
            Self::InvisibleCharacter(hidden) => {
                format!("보이지 않는 문자는 쓸 수 없어요 (U+{:04X})", u32::from(*hidden))
            }
            Self::NotUtf8 => "UTF-8이어야 해요".to_owned(),
            Self::TooDeep => "너무 깊이 중첩되었어요".to_owned(),
            Self::TooManyFields(most) => format!("필드는 {most}개까지예요"),
            Self::InThePast => "오늘이거나 그 이후여야 해요".to_owned(),
            Self::UpsideDown(end) => format!("{end}보다 앞이어야 해요"),
            Self::PeriodTooLong => format!("period.from에서 {MAX_DAYS}일까지예요"),
            Self::Contradicts(expected) => format!("{expected}이거나 없어야 해요"),
            Self::NotTogetherWith(other) => format!("{other}와 함께 쓸 수 없어요"),
            Self::UnknownToken => "이 마켓에서 발급한 것이 아니에요".to_owned(),
            Self::PageNumber => {
                "여기에서는 쓸 수 없어요. 페이지 번호 대신 next 링크를 따라가거나 그 \
                                 커서를 after로 보내세요"
                    .to_owned()
            }
        }
    }
}

/// The name that a caller gave a field, as far as an answer repeats it.
pub(crate) fn shown_name(sent: &str) -> String {
    sent.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}
