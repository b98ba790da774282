//! A DNS server on loopback, whose records a test changes as a person would at their DNS host.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::sync::Arc;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Metadata, ResponseCode};
use hickory_server::proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use parking_lot::Mutex;
use tokio::net::UdpSocket;

/// It answers until it is dropped.
pub(crate) struct DnsServer {
    zone: Zone,
    address: SocketAddr,
    _server: Server<Zone>,
}

#[derive(Clone, Default)]
struct Zone(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    /// By name in lower case, with its dot at the end; `*.` stands for one label that has no records of its own.
    by_name: BTreeMap<String, Vec<RData>>,
    /// Whether every question is answered with a failure.
    fails: bool,
    asked: usize,
}

impl DnsServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (zone, address) = (Zone::default(), socket.local_addr().unwrap());
        let mut server = Server::new(zone.clone());
        server.register_socket(socket);
        Self { zone, address, _server: server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a text.
    pub(crate) fn txt(&self, name: &str, text: &str) {
        self.add(name, RData::TXT(TXT::new(vec![text.to_owned()])));
    }

    /// Adds an address.
    pub(crate) fn leads(&self, name: &str, to: &str) {
        self.add(
            name,
            match to.parse().unwrap() {
                IpAddr::V4(ip) => RData::A(A(ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
            },
        );
    }

    /// Says that a name is another name for `to`.
    pub(crate) fn is_alias(&self, name: &str, to: &str) {
        self.add(name, RData::CNAME(CNAME(Name::from_str(&dotted(to)).unwrap())));
    }

    /// Takes all records of a name away.
    pub(crate) fn forget(&self, name: &str) {
        self.zone.0.lock().by_name.remove(&dotted(name));
    }

    /// Whether it fails from now on.
    pub(crate) fn fails(&self, fails: bool) {
        self.zone.0.lock().fails = fails;
    }

    /// How many questions it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.zone.0.lock().asked
    }

    fn add(&self, name: &str, data: RData) {
        self.zone.0.lock().by_name.entry(dotted(name)).or_default().push(data);
    }
}

fn dotted(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.').to_ascii_lowercase())
}

impl Records {
    /// The answer to a question; nothing where there is no such name.
    fn answer(&self, name: &str, kind: RecordType) -> Option<Vec<Record>> {
        let mut name = name.to_owned();
        let mut answer = Vec::new();
        for _ in 0..4 {
            let star = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            let found = self.by_name.get(&name).or_else(|| self.by_name.get(&star?));
            let Some(found) = found else { return (!answer.is_empty()).then_some(answer) };
            let own = Name::from_str(&name).unwrap();
            let mut next = None;
            for data in found {
                if let RData::CNAME(CNAME(to)) = data {
                    next = Some(to.to_string().to_ascii_lowercase());
                }
                if data.record_type() == kind || matches!(data, RData::CNAME(_)) {
                    answer.push(Record::from_rdata(own.clone(), 60, data.clone()));
                }
            }
            match next {
                Some(next) => name = next,
                None => break,
            }
        }
        Some(answer)
    }
}

#[async_trait::async_trait]
impl RequestHandler for Zone {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut respond: R) -> ResponseInfo {
        let info = request.request_info().unwrap();
        let (name, kind) = (info.query.name().to_string().to_ascii_lowercase(), info.query.query_type());
        let (answer, fails) = {
            let mut records = self.0.lock();
            records.asked += 1;
            (records.answer(&name, kind), records.fails)
        };
        let mut head = Metadata::response_from_request(info.metadata);
        head.authoritative = true;
        head.response_code = match (fails, &answer) {
            (true, _) => ResponseCode::ServFail,
            (false, None) => ResponseCode::NXDomain,
            (false, Some(_)) => ResponseCode::NoError,
        };
        let answers = answer.filter(|_| !fails).unwrap_or_default();
        let none: &[Record] = &[];
        let response = MessageResponseBuilder::from_message_request(request).build(head, &answers, none, none, none);
        respond.send_response(response).await.unwrap()
    }
}
