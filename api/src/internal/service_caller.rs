//! The service that sent a request, from its token. The token is never logged: it is in a header, and no log line has
//! headers.

use super::InternalState;
use crate::problem::kind::Words;
use crate::problem::{Problem, kind};
use crate::server::places;
use axum::extract::FromRequestParts;
use gdmarket_domain::Service;
use gdmarket_service_token::{SERVICE_TOKEN, TokenFault, VerifiedToken};
use http::HeaderMap;
use http::request::Parts;

/// The caller of an internal route: its token was valid, and is used up.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServiceCaller(Service);

impl ServiceCaller {
    /// Refuses every other service.
    pub(super) fn must_be(self, service: Service) -> Result<(), Problem> {
        let Self(caller) = self;
        if caller == service {
            return Ok(());
        }
        let en = format!("Only the service {service} calls this address, and {caller} did.");
        let ko =
            format!("{service} 서비스만 이 주소를 호출할 수 있는데, {caller} 서비스가 호출했어요.");
        Err(Problem::new(&kind::SERVICE_TOKEN_REFUSED).with_detail(en, ko))
    }
}

impl FromRequestParts<InternalState> for ServiceCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &InternalState) -> Result<Self, Problem> {
        let Some(token) = token(&parts.headers) else {
            let en = "Send exactly one header Gdmarket-Service-Token.";
            let ko = "Gdmarket-Service-Token 헤더를 하나만 보내세요.";
            return Err(Problem::new(&kind::SERVICE_TOKEN_REFUSED).with_detail(en, ko));
        };
        match state.tokens.verify(token, (state.now)()) {
            Ok(VerifiedToken { caller, request_id }) => {
                tracing::debug!(%caller, %request_id, "a service calls");
                Ok(Self(caller))
            }
            Err(TokenFault::TooMany) => {
                Err(places::overloaded().with_cause(TokenFault::TooMany.to_string()))
            }
            Err(fault) => {
                let Words { en, ko } = advice(fault);
                let refused = Problem::new(&kind::SERVICE_TOKEN_REFUSED);
                Err(refused.with_detail(en, ko).with_cause(fault.to_string()))
            }
        }
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(SERVICE_TOKEN).iter();
    let token = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(token)
}

/// What to do about a refused token.
const fn advice(fault: TokenFault) -> Words {
    match fault {
        TokenFault::Malformed => Words {
            en: "It isn't a service token: look at the caller's program.",
            ko: "서비스 토큰의 형식이 아니에요. 호출한 프로그램을 확인하세요.",
        },
        TokenFault::WrongKey => Words {
            en: "No key of this service signed it: compare services.keys_file of both.",
            ko: "이 서비스의 키로 서명되지 않았어요. 두 서비스의 services.keys_file을 비교하세요.",
        },
        TokenFault::WrongAudience => Words {
            en: "It is for another service: compare the caller's services.*.url with this address.",
            ko: "다른 서비스에 보내는 토큰이에요. 호출한 쪽의 services.*.url과 이 주소를 비교하세요.",
        },
        TokenFault::UnknownCaller => Words {
            en: "Its caller is not a service that this program knows.",
            ko: "이 프로그램이 모르는 서비스가 보낸 토큰이에요.",
        },
        TokenFault::Expired => Words {
            en: "It has expired: compare the clocks of both machines.",
            ko: "만료된 토큰이에요. 두 컴퓨터의 시계를 비교하세요.",
        },
        TokenFault::ValidForTooLong => Words {
            en: "It is valid for more than 60 seconds: compare the clocks of both machines.",
            ko: "60초보다 오래 유효한 토큰이에요. 두 컴퓨터의 시계를 비교하세요.",
        },
        TokenFault::Replayed => Words {
            en: "Its request id was used before: every request needs a token of its own.",
            ko: "이미 사용된 요청 ID예요. 요청마다 새 토큰을 만드세요.",
        },
        TokenFault::TooMany => Words {
            en: "Too many requests came within its validity.",
            ko: "토큰의 유효 시간 안에 요청이 너무 많이 왔어요.",
        },
    }
}
