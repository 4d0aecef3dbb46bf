//! Parameters and bodies of requests, as narrow as they are read: ranges, words, which bodies may be
//! left out, and that unknown fields are refused. What a schema can't say is listed in docs/testing.md.

use gdmarket_domain::event_names;
use gdmarket_domain::ids::MAX_ID;
use gdmarket_domain::money::MAX_PRICE;
use gdmarket_domain::name::MAX_NAME;
use serde_json::{Map, Value, json};

/// Bodies, with the fields that are taken and ignored.
const BODIES: &[(&str, &[&str])] = &[
    ("NewItem", &["itemStatus", "rentalStatus", LINKS]),
    (
        "NewReservation",
        &["itemStatus", "rentalStatus", "paymentStatus", "itemName", "itemPrice", LINKS],
    ),
    ("WhichReservation", &[LINKS]),
    ("Days", &[LINKS]),
    ("ReservationPatch", &["itemName", "itemPrice", "customerName", LINKS]),
    ("Period", &[]),
];
/// A client of HAL sends back what it got.
const LINKS: &str = "_links";

/// Makes the document say what the server takes, and no more.
pub(super) fn narrow(document: &mut Value) {
    if let Some(schemas) =
        document.pointer_mut("/components/schemas").and_then(Value::as_object_mut)
    {
        narrow_schemas(schemas);
    }
    let Some(paths) = document.pointer_mut("/paths").and_then(Value::as_object_mut) else { return };
    for (path, item) in paths.iter_mut() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            narrow_parameters(method, path, operation);
            narrow_body(method, path, operation);
        }
    }
}

fn narrow_schemas(schemas: &mut Map<String, Value>) {
    schemas.insert("WholeNumber".to_owned(), whole("A number: an integer, or its digits.", MAX_ID));
    schemas.insert("Price".to_owned(), whole("Whole won: an integer, or its digits.", MAX_PRICE));
    for (name, ignored) in BODIES {
        let Some(schema) = schemas.get_mut(*name).and_then(Value::as_object_mut) else { continue };
        schema.insert("additionalProperties".to_owned(), json!(false));
        if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            fields.extend(ignored.iter().map(|name| ((*name).to_owned(), taken_and_ignored())));
        }
    }
    set(schemas, "/NewItem/properties/itemPrice", reference("Price"));
    let word = json!({"type": "string", "enum": ["Paid", "NotPaid"],
        "description": "`Paid` pays, `NotPaid` takes the payment back."});
    set(schemas, "/ReservationPatch/properties/paymentStatus", word);
    let word = json!({"enum": ["NotRenting", null]});
    set(schemas, "/ReservationPatch/properties/rentalStatus", word);
    schemas.insert("ItemPatch".to_owned(), item_patch());
}

fn set(schemas: &mut Map<String, Value>, pointer: &str, value: Value) {
    let (schema, rest) = pointer.trim_start_matches('/').split_once('/').unwrap_or((pointer, ""));
    let schema = schemas.get_mut(schema);
    if let Some(place) = schema.and_then(|schema| schema.pointer_mut(&format!("/{rest}"))) {
        *place = value;
    }
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn optional(schema: &str) -> Value {
    json!({"oneOf": [reference(schema), {"type": "null"}]})
}

fn taken_and_ignored() -> Value {
    json!({"description": "Taken and ignored."})
}

/// A JSON integer, or a string of its digits.
fn whole(description: &str, most: i64) -> Value {
    // As many digits as are surely below the limit.
    let more = most.to_string().len().saturating_sub(2);
    json!({"description": description, "examples": [100, "100"], "oneOf": [
        {"type": "integer", "minimum": 1, "maximum": most},
        {"type": "string", "pattern": format!("^[1-9][0-9]{{0,{more}}}$")},
    ]})
}

/// Lending, taking back, or a new name and price: each with fields of its own.
fn item_patch() -> Value {
    let name = |kinds: Value| json!({"type": kinds, "minLength": 1, "maxLength": MAX_NAME});
    let shape = |required: &str, fields: Value| {
        let mut properties = json!({"itemNo": optional("WholeNumber"), LINKS: taken_and_ignored()});
        if let (Some(all), Some(own)) = (properties.as_object_mut(), fields.as_object()) {
            all.extend(own.clone());
        }
        json!({"type": "object", "required": [required], "additionalProperties": false,
            "properties": properties})
    };
    let transition = |rental_status: &str, item_status: &str| {
        shape(
            "rentalStatus",
            json!({
                "rentalStatus": {"const": rental_status},
                "itemStatus": {"enum": [item_status, null]},
                "reservationNo": optional("WholeNumber"),
            }),
        )
    };
    json!({
        "description": "A transition by its `rentalStatus` (`Renting` lends, `Returned` takes back), or \
            a new name and price. `itemNo` is the path's or left out.",
        "examples": [{"rentalStatus": "Renting", "reservationNo": 1}, {"itemPrice": 200}],
        "anyOf": [
            transition("Renting", "NotRentable"),
            transition("Returned", "Rentable"),
            shape("itemName", json!({"itemName": name(json!("string")), "itemPrice": optional("Price")})),
            shape("itemPrice", json!({"itemPrice": reference("Price"),
                "itemName": name(json!(["string", "null"]))})),
        ],
    })
}

/// The words of a collection's `status`, by the schema that lists them.
fn words_of(path: &str) -> Option<&'static str> {
    match path {
        "/items" | "/itemInfoes" => Some("ItemStatus"),
        "/alarms" => Some("AlarmStatus"),
        "/reservations" => Some("ReservationProgress"),
        "/payments" => Some("PaymentProgress"),
        _ => None,
    }
}

fn narrow_parameters(method: &str, path: &str, operation: &mut Value) {
    let parameters = operation.pointer_mut("/parameters").and_then(Value::as_array_mut);
    let Some(parameters) = parameters else { return };
    for parameter in parameters.iter_mut() {
        let number = json!({"type": "integer", "minimum": 1, "maximum": MAX_ID});
        let is_number = parameter.pointer("/schema/format") == Some(&json!("int64"));
        match parameter.get("name").and_then(Value::as_str) {
            Some("type") => parameter["schema"] = json!({"type": "string", "enum": event_names()}),
            _ if is_number => parameter["schema"] = number,
            _ => {}
        }
    }
    let Some(words) = words_of(path).filter(|_| method == "get") else { return };
    parameters.push(json!({"name": "status", "in": "query", "schema": reference(words),
        "description": "Only with this status."}));
}

fn narrow_body(method: &str, path: &str, operation: &mut Value) {
    let Some(operation) = operation.as_object_mut().filter(|_| method == "post") else { return };
    if path.ends_with("/lend") || path.ends_with("/return") {
        if let Some(body) = operation.get_mut("requestBody") {
            body["required"] = json!(false);
        }
    } else if !operation.contains_key("requestBody") {
        let empty = json!({"type": "object", "additionalProperties": false,
            "properties": {LINKS: taken_and_ignored()}});
        operation.insert(
            "requestBody".to_owned(),
            json!({"required": false,
            "description": "Nothing, or an empty object.",
            "content": {"application/json": {"schema": empty}}}),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::openapi::document;
    use serde_json::{Value, json};

    fn read() -> Value {
        serde_json::from_str(&document()).unwrap()
    }

    #[test]
    fn a_body_says_which_fields_there_are_and_whether_it_may_be_left_out() {
        let document = read();
        let schemas = &document["components"]["schemas"];
        for name in
            ["NewItem", "NewReservation", "WhichReservation", "Days", "ReservationPatch", "Period"]
        {
            assert_eq!(schemas[name]["additionalProperties"], json!(false), "{name}");
        }
        assert!(schemas["NewItem"]["properties"]["rentalStatus"].is_object());
        assert!(schemas.get("PeriodBody").is_none(), "it is the period of the answers");
        for (path, required) in [
            ("/items", true),
            ("/items/{itemNo}/lend", false),
            ("/items/{itemNo}/delete", false),
            ("/reservations/{reservationNo}/payment", false),
            ("/items/{itemNo}/block", true),
        ] {
            assert_eq!(
                document["paths"][path]["post"]["requestBody"]["required"], required,
                "{path}"
            );
        }
    }

    #[test]
    fn a_parameter_says_which_words_and_numbers_there_are() {
        let document = read();
        let of = |path: &str, name: &str| {
            let all = document["paths"][path]["get"]["parameters"].as_array().unwrap();
            all.iter().find(|p| p["name"] == name).map(|p| p["schema"].clone())
        };
        let words = json!({"$ref": "#/components/schemas/PaymentProgress"});
        assert_eq!(of("/payments", "status"), Some(words));
        assert_eq!(of("/items/{itemNo}", "itemNo").unwrap()["minimum"], 1);
        assert!(of("/events", "type").unwrap()["enum"].as_array().unwrap().len() > 30);
        let created = document["paths"]["/items"]["post"]["parameters"].as_array().unwrap();
        let if_match = json!({"$ref": "#/components/parameters/IfMatch"});
        assert!(!created.contains(&if_match), "what doesn't exist has no version");
    }
}
