//! The routes of services that are not in this process: each answers 404 and names its service, so that a wrong rule of
//! a gateway is found at once.

use crate::problem::{Problem, kind};
use crate::{command_router, query_router};
use axum::Router;
use axum::routing::any;
use gdmarket_domain::{Service, Services};
use std::collections::BTreeSet;

/// The routes of all services but these.
pub(crate) fn router(own: Services) -> Router {
    let absent = Services::ALL.without(own);
    absent.iter().fold(Router::new(), |router, service| {
        let answer = any(move || async move { not_served_here(service) });
        let routes = paths(service).into_iter();
        routes.fold(router, |router, path| router.route(&path, answer.clone()))
    })
}

/// The paths of a service's routes.
pub(crate) fn paths(service: Service) -> BTreeSet<String> {
    let writing = command_router::routes_of(service).into_openapi();
    let reading = query_router::routes_of(service).into_openapi();
    writing.paths.paths.into_keys().chain(reading.paths.paths.into_keys()).collect()
}

fn not_served_here(service: Service) -> Problem {
    Problem::new(&kind::NOT_SERVED_HERE).with_detail(
        format!(
            "The service {service} answers this address, and it is not in this process. Send the \
             request to the gateway, or to that service."
        ),
        format!(
            "이 주소는 {service} 서비스가 응답하는데, 이 프로세스에는 그 서비스가 없어요. \
             게이트웨이나 그 서비스로 요청을 보내세요."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_belongs_to_one_service() {
        let mut seen = BTreeSet::new();
        for service in Service::ALL {
            let paths = paths(service);
            assert!(!paths.is_empty(), "{service} has no route");
            for path in paths {
                assert!(seen.insert(path.clone()), "{path} belongs to two services");
            }
        }
        assert!(seen.contains("/reservations/{reservationNo}/payment"));
    }
}
