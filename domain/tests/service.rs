//! The owners of all parts of the market, and sets of services as text.

use gdmarket_domain::{
    AggregateType, ManagerName, MarketPart, Service, Services, ServicesError, ViewName,
};

fn owned_by(service: Service) -> Vec<&'static str> {
    let aggregates = AggregateType::ALL.map(|part| (part.name(), MarketPart::Aggregate(part)));
    let views = ViewName::ALL.map(|part| (part.name(), MarketPart::View(part)));
    let managers = ManagerName::ALL.map(|part| (part.name(), MarketPart::Manager(part)));
    let all = aggregates.into_iter().chain(views).chain(managers);
    all.filter(|(_, part)| Service::of(*part) == service).map(|(name, _)| name).collect()
}

#[test]
fn every_part_has_its_service() {
    let expected: [(Service, &[&str]); 4] = [
        (Service::Item, &["item", "hold", "item_info", "holding", "abandonment"]),
        (Service::Reservation, &["reservation", "reservations", "reservation_process"]),
        (Service::Payment, &["payment", "payments", "payment_process"]),
        (Service::Alarm, &["alarm", "alarms", "alarm_saga"]),
    ];
    for (service, parts) in expected {
        assert_eq!(owned_by(service), parts, "{service}");
    }
}

#[test]
fn aggregates_are_found_by_their_stored_names() {
    for aggregate in AggregateType::ALL {
        assert_eq!(AggregateType::named(aggregate.name()), Some(aggregate));
    }
    assert_eq!(AggregateType::named("person"), None);
}

#[test]
fn text_names_a_set_of_services() {
    for (text, services, printed) in [
        ("item", &[Service::Item][..], "item"),
        ("payment,item", &[Service::Item, Service::Payment], "item,payment"),
        (" Alarm , alarm,", &[Service::Alarm], "alarm"),
        ("item,reservation,payment,alarm", &Service::ALL, "item,reservation,payment,alarm"),
    ] {
        let set: Services = text.parse().unwrap();
        assert_eq!(set, Services::of(services), "{text}");
        assert_eq!(set.iter().collect::<Vec<_>>(), services, "{text}");
        assert_eq!(set.to_string(), printed);
        assert_eq!(set.is_all(), services.len() == 4, "{text}");
    }
}

#[test]
fn text_with_an_unknown_service_or_none_is_refused_with_the_known_names() {
    let refused = |text: &str| text.parse::<Services>().unwrap_err();
    assert_eq!(refused("item,shop"), ServicesError::Unknown { name: "shop".to_owned() });
    assert_eq!(
        refused("shop").to_string(),
        "\"shop\" is no service; there are item,reservation,payment,alarm"
    );
    for text in ["", " , "] {
        assert_eq!(refused(text), ServicesError::Empty, "{text:?}");
    }
}

#[test]
fn a_set_needs_the_services_outside_it_that_its_members_need() {
    for (text, needed) in [
        ("item", "reservation,alarm"),
        ("reservation", "item,payment"),
        ("payment", "reservation"),
        ("alarm", "item"),
        ("item,alarm", "reservation"),
        ("reservation,payment", "item"),
        ("item,reservation,payment", "alarm"),
        ("item,reservation,payment,alarm", ""),
    ] {
        let set: Services = text.parse().unwrap();
        assert_eq!(set.needs().to_string(), needed, "{text}");
    }
}

#[test]
fn a_process_keeps_the_views_of_its_services_and_its_copies() {
    for (text, views, managers) in [
        ("item", "item_info alarms", "holding abandonment"),
        ("reservation", "item_info reservations", "reservation_process"),
        ("payment", "payments", "payment_process"),
        ("alarm", "item_info alarms", "alarm_saga"),
        ("item,alarm", "item_info alarms", "holding alarm_saga abandonment"),
    ] {
        let set: Services = text.parse().unwrap();
        assert_eq!(set.views().map(ViewName::name).collect::<Vec<_>>().join(" "), views, "{text}");
        let names: Vec<_> = set.managers().map(ManagerName::name).collect();
        assert_eq!(names.join(" "), managers, "{text}");
    }
    assert!(Services::ALL.views().eq(ViewName::ALL));
    assert!(Services::ALL.managers().eq(ManagerName::ALL));
}

#[test]
fn a_service_calls_none_whose_events_it_does_not_need() {
    for service in Service::ALL {
        let unneeded = service.calls().without(service.reads_events_of());
        assert!(unneeded.is_empty(), "{service} calls {unneeded}");
        assert!(!service.reads_events_of().contains(service), "{service}");
    }
}
