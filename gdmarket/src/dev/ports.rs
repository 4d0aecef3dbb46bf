//! The ports of the loopback that the parts listen on. All of them are bound once before anything is started.

use crate::output::{Exit, Failure};
use gdmarket_domain::Service;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

/// How many ports follow each other from the first one on.
const IN_A_ROW: u16 = 7;

/// The ports of all parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct DevPorts {
    first: u16,
    pub(super) gateway: u16,
}

impl DevPorts {
    /// The ports from `first` on, and that of the gateway.
    pub(super) fn new(first: u16, gateway: u16) -> Result<Self, Failure> {
        let Some(last) = first.checked_add(IN_A_ROW.saturating_sub(1)).filter(|_| first > 0) else {
            let message = format!("--first-port {first}: {IN_A_ROW} ports from it on are needed");
            return Err(Failure::new(Exit::Usage, message).next("choose one from 1024 to 65529"));
        };
        if gateway == 0 || (first..=last).contains(&gateway) {
            let message = format!(
                "--gateway-port {gateway}: the ports {first} to {last} belong to the other parts"
            );
            return Err(Failure::new(Exit::Usage, message).next("choose another one"));
        }
        Ok(Self { first, gateway })
    }

    /// The port of a service: item, reservation, payment and alarm follow each other.
    pub(super) fn of(self, service: Service) -> u16 {
        let place = Service::ALL.iter().position(|each| *each == service).unwrap_or_default();
        self.after_first(u16::try_from(place).unwrap_or_default())
    }

    /// The port of the payment provider.
    pub(super) const fn payment_provider(self) -> u16 {
        self.after_first(4)
    }

    /// The port of the NATS server.
    pub(super) const fn nats(self) -> u16 {
        self.after_first(5)
    }

    /// The port of PostgreSQL.
    pub(super) const fn postgres(self) -> u16 {
        self.after_first(6)
    }

    const fn after_first(self, number: u16) -> u16 {
        self.first.saturating_add(number)
    }

    /// Refuses ports that other programs have, each by its name.
    pub(super) fn require_free(self) -> Result<(), Failure> {
        let services = Service::ALL.map(|service| (service.name(), self.of(service)));
        let others = [
            ("payment-provider", self.payment_provider()),
            ("nats", self.nats()),
            ("postgresql", self.postgres()),
            ("gateway", self.gateway),
        ];
        let parts = services.into_iter().chain(others);
        let faults: Vec<String> = parts.filter_map(|(name, port)| fault(name, port)).collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Failure::new(Exit::Unreachable, faults.join("\n")).next(
            "end that program, or choose other ports: gdmarket dev --first-port 9081 --gateway-port 9088",
        ))
    }
}

/// Why a port can't be used.
fn fault(name: &str, port: u16) -> Option<String> {
    let error = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
    let why = match error.kind() {
        ErrorKind::AddrInUse => "is taken by another program".to_owned(),
        ErrorKind::PermissionDenied => "may not be used; choose ports above 1023".to_owned(),
        _ => error.to_string(),
    };
    Some(format!("127.0.0.1:{port} ({name}) {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_port_of_its_own() {
        let ports = DevPorts::new(8081, 8088).unwrap();
        let [item, reservation, payment, alarm] = Service::ALL.map(|service| ports.of(service));
        assert_eq!([item, reservation, payment, alarm], [8081, 8082, 8083, 8084]);
        assert_eq!([ports.payment_provider(), ports.nats(), ports.postgres()], [8085, 8086, 8087]);
        for (first, gateway) in [(8082, 8088), (8088, 8088), (0, 8088), (65530, 8088), (8081, 0)] {
            let refused = DevPorts::new(first, gateway).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage, "{first} {gateway}");
        }
        assert!(DevPorts::new(65529, 8088).is_ok());
    }
}
