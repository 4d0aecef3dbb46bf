//! One declaration per body: [`body!`] gives a struct, its strict reader, and its schema in the OpenAPI document.

use super::form::Form;
use crate::problem::Problem;
use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, ObjectBuilder, OneOfBuilder, SchemaType, Type,
};
use utoipa::openapi::{RefOr, Schema};

/// A value that a field of a body may have.
pub(crate) trait FieldValue: Sized {
    /// Reads the field; `None` if it is absent, `null` or at fault.
    fn read(form: &mut Form, name: &str) -> Option<Self>;

    /// The values that are accepted.
    fn schema() -> RefOr<Schema>;
}

/// A field of a body: required, or optional if its type is an `Option`.
pub(crate) trait Property: Sized {
    const IS_REQUIRED: bool;

    /// Reads the field; `None` if the body can't be read without it.
    fn read(form: &mut Form, name: &str) -> Option<Self>;

    fn schema(documentation: Documentation<'_>) -> RefOr<Schema>;
}

impl<T: FieldValue> Property for T {
    const IS_REQUIRED: bool = true;

    fn read(form: &mut Form, name: &str) -> Option<Self> {
        let value = <T as FieldValue>::read(form, name);
        form.required(name, value)
    }

    fn schema(documentation: Documentation<'_>) -> RefOr<Schema> {
        documentation.of(<T as FieldValue>::schema())
    }
}

impl<T: FieldValue> Property for Option<T> {
    const IS_REQUIRED: bool = false;

    fn read(form: &mut Form, name: &str) -> Option<Self> {
        Some(<T as FieldValue>::read(form, name))
    }

    fn schema(documentation: Documentation<'_>) -> RefOr<Schema> {
        nullable(documentation.of(<T as FieldValue>::schema()))
    }
}

/// What the document says about a body or a field in addition to its schema.
#[derive(Debug, Default)]
pub(crate) struct Documentation<'a> {
    /// The lines of the doc comment.
    lines: &'a [&'a str],
    example: Option<Value>,
}

impl<'a> Documentation<'a> {
    pub(crate) const fn new(lines: &'a [&'a str]) -> Self {
        Self { lines, example: None }
    }

    pub(crate) fn with_example(self, example: Value) -> Self {
        Self { example: Some(example), ..self }
    }

    pub(crate) fn of(self, mut schema: RefOr<Schema>) -> RefOr<Schema> {
        let lines: Vec<_> = self.lines.iter().map(|line| line.trim()).collect();
        let text = lines.join("\n");
        match &mut schema {
            RefOr::Ref(reference) => reference.description = text,
            RefOr::T(Schema::Object(object)) => {
                object.description = Some(text).filter(|text| !text.is_empty());
                object.example = self.example;
            }
            RefOr::T(_) => {}
        }
        schema
    }
}

/// The schema that accepts `null` too.
pub(crate) fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut object)) = schema else {
        let null = ObjectBuilder::new().schema_type(Type::Null);
        return OneOfBuilder::new().item(schema).item(null).into();
    };
    if let SchemaType::Type(known) = object.schema_type {
        object.schema_type = SchemaType::from_iter([known, Type::Null]);
    }
    object.enum_values = object.enum_values.map(|mut words| {
        words.push(Value::Null);
        words
    });
    object.into()
}

/// A body, as [`body!`] declares it.
pub(crate) trait Body: Sized {
    /// Reads the fields; `None` if the body is at fault.
    fn read(form: &mut Form) -> Option<Self>;
}

impl Form {
    /// Reads a whole body, or reports all its faults.
    pub(crate) fn body<B: Body>(mut self) -> Result<B, Problem> {
        let body = B::read(&mut self);
        self.finish(body)
    }
}

/// The schema of an object without other fields than the ignored ones.
pub(crate) fn closed_object(ignored: &[&str]) -> ObjectBuilder {
    let closed = Some(AdditionalProperties::FreeForm(false));
    let empty = ObjectBuilder::new().additional_properties(closed);
    ignored.iter().fold(empty, |object, name| {
        let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        object.property(*name, any.description(Some("Taken and ignored.")))
    })
}

/// Adds a field to the schema of an object.
pub(crate) fn add<P: Property>(
    object: ObjectBuilder,
    name: &str,
    documentation: Documentation<'_>,
) -> ObjectBuilder {
    let extended = object.property(name, P::schema(documentation));
    if P::IS_REQUIRED { extended.required(name) } else { extended }
}

/// Declares a body. Its doc comments are the descriptions in the document, `eg` gives an example; a field whose type is
/// no `Option` is required; the fields after `ignores` are accepted and not read.
macro_rules! body {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $body:ident as $schema:literal ignores $ignored:tt $(eg $example:tt)? {
            $(
                $(#[doc = $field_doc:literal])*
                $name:literal => $field:ident: $type:ty $(, eg $field_example:literal)?;
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        $vis struct $body {
            $($(#[doc = $field_doc])* pub(crate) $field: $type,)*
        }

        impl $crate::extract::body::Body for $body {
            fn read(form: &mut $crate::extract::form::Form) -> Option<Self> {
                form.ignore(&$ignored);
                $(let $field = $crate::extract::body::Property::read(form, $name);)*
                Some(Self { $($field: $field?),* })
            }
        }

        impl utoipa::PartialSchema for $body {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let object = $crate::extract::body::closed_object(&$ignored);
                $(
                    let documentation = $crate::extract::body::Documentation::new(&[$($field_doc),*])
                        $(.with_example($field_example.into()))?;
                    let object = $crate::extract::body::add::<$type>(object, $name, documentation);
                )*
                $crate::extract::body::Documentation::new(&[$($doc),*])
                    $(.with_example(serde_json::json!($example)))?
                    .of(object.into())
            }
        }

        impl utoipa::ToSchema for $body {
            fn name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }
        }
    };
}
pub(crate) use body;
